"""The clients: `Client` waits for the service, `AsyncClient` is awaited. Both have the same methods."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from csmetrics_client import calls, frames
from csmetrics_client.batches import (
    MAX_BYTES,
    MAX_EVENTS,
    Batcher,
    BatchResult,
    Event,
    split_async_events,
    split_events,
)
from csmetrics_client.errors import Problem
from csmetrics_client.exchange import Call, Wait, exchange
from csmetrics_client.questions import Answer, Parameter, Row, answer_of, field_names
from csmetrics_client.retries import RetryPolicy

if TYPE_CHECKING:
    import pandas
    import polars

# Reading may take long: a large question is computed before its first byte.
DEFAULT_TIMEOUT = httpx.Timeout(10, read=120, write=120)


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "User-Agent": "csmetrics-client", "Accept-Encoding": "gzip"}


class _Settings:
    """What both clients are made of.

    url: of the service, with the path below which it is. key: an API key with the scopes that the methods need: `ingest` to send,
    `read` to ask. timeout, transport: of httpx. retries: when a request is sent again.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: httpx.Timeout | float = DEFAULT_TIMEOUT,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._retries = retries or RetryPolicy()
        self._options: dict[str, Any] = {"base_url": url.rstrip("/"), "headers": _headers(key), "timeout": timeout}


class Client(_Settings):
    """A client that waits for the service. It may be used by several threads, and closes its connections as a context."""

    def __init__(self, url: str, key: str, *, transport: httpx.BaseTransport | None = None, **options: Any) -> None:
        super().__init__(url, key, **options)
        self._http = httpx.Client(transport=transport, **self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, call: Call) -> httpx.Response:
        """Send a request, again where that may help, and return its response. Raises Problem or ConnectionFailed."""
        steps = exchange(call, self._retries)
        outcome: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                    outcome = None
                    continue
                try:
                    outcome = self._http.request(step.method, step.path, **step.arguments())
                except httpx.TransportError as error:
                    outcome = error
        except StopIteration as end:
            response: httpx.Response = end.value
            return response

    def post_events(
        self,
        events: Iterable[Event],
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        compress: bool = True,
    ) -> BatchResult:
        """Send events in batches, each as often as it takes, and return what became of them.

        Events with an id count exactly once, so that sending the same ones again, also after an exception, is safe. Raises
        Problem and ConnectionFailed, but not for rejected events: these are in the result.
        """
        result = BatchResult()
        batcher = Batcher(max_events=max_events, max_bytes=max_bytes, compress=compress)
        for batch in split_events(events, batcher):
            outcome: Mapping[str, Any] | Problem
            try:
                outcome = self.request(calls.post_batch(batch)).json()
            except Problem as problem:
                outcome = problem
            calls.add_batch(result, batch, outcome)
        return result

    def delete_event(self, event_id: str, *, account_id: str | None) -> None:
        """Retract an event. account_id: None for one of the whole company."""
        self.request(calls.delete_event(account_id, event_id))

    def query(self, metrics: str | Sequence[str], **parameters: Parameter) -> Answer:
        """Ask for metrics and return the first page, or with `cursor` the one after another. parameters: as in the API."""
        return answer_of(self.request(calls.query(metrics, parameters)).json())

    def metric(self, name: str, **parameters: Parameter) -> Answer:
        """Ask for one metric; without parameters, `body["definition"]` says what it is."""
        return answer_of(self.request(calls.metric(name, parameters)).json())

    def rows(self, metrics: str | Sequence[str], **parameters: Parameter) -> Iterator[Row]:
        """Yield all rows of an answer, page by page."""
        for page in self._pages(metrics, parameters):
            yield from page.rows

    def _pages(self, metrics: str | Sequence[str], parameters: Mapping[str, Parameter]) -> Iterator[Answer]:
        cursor = parameters.get("cursor")
        while True:
            answer = self.query(metrics, **{**parameters, "cursor": cursor})
            yield answer
            if (cursor := answer.next) is None:
                return

    def list(self, path: str, name: str, **parameters: Parameter) -> Iterator[Mapping[str, Any]]:
        """Yield all members `name` of a list of the API, page by page: `list("/v1/accounts", "accounts", limit=1000)`."""
        cursor: str | None = None
        while True:
            body = self.request(calls.listing(path, {**parameters, "cursor": cursor})).json()
            yield from body[name]
            if (cursor := body.get("next")) is None:
                return

    def pandas(self, metrics: str | Sequence[str], **parameters: Parameter) -> "pandas.DataFrame":
        """Return all rows of an answer as a frame of pandas, with typed columns. With `limit`, so many rows."""
        return frames.pandas_frame(self._table(metrics, parameters))

    def polars(self, metrics: str | Sequence[str], **parameters: Parameter) -> "polars.DataFrame":
        """Return all rows of an answer as a frame of polars, with typed columns. With `limit`, so many rows."""
        return frames.polars_frame(self._table(metrics, parameters))

    def _table(self, metrics: str | Sequence[str], parameters: Mapping[str, Parameter]) -> frames.Table:
        """Return all rows as Parquet, or as pages of a service without it."""
        try:
            return self.request(calls.query(metrics, {**parameters, "format": calls.PARQUET})).content
        except Problem as problem:
            if not calls.has_no_parquet(problem):
                raise
        pages = self._pages(metrics, parameters)
        return frames.Pages(
            [next(pages)] if parameters.get("limit") else [*pages], field_names(parameters.get("fields"))
        )


class AsyncClient(_Settings):
    """A client whose methods are awaited. It closes its connections as a context."""

    def __init__(
        self, url: str, key: str, *, transport: httpx.AsyncBaseTransport | None = None, **options: Any
    ) -> None:
        super().__init__(url, key, **options)
        self._http = httpx.AsyncClient(transport=transport, **self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def request(self, call: Call) -> httpx.Response:
        """Send a request as `Client.request` does."""
        steps = exchange(call, self._retries)
        outcome: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                    outcome = None
                    continue
                try:
                    outcome = await self._http.request(step.method, step.path, **step.arguments())
                except httpx.TransportError as error:
                    outcome = error
        except StopIteration as end:
            response: httpx.Response = end.value
            return response

    async def post_events(
        self,
        events: Iterable[Event] | AsyncIterable[Event],
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        compress: bool = True,
    ) -> BatchResult:
        """Send events as `Client.post_events` does, also those of an asynchronous iterable, a batch at a time."""
        result = BatchResult()
        batcher = Batcher(max_events=max_events, max_bytes=max_bytes, compress=compress)
        async for batch in split_async_events(events, batcher):
            outcome: Mapping[str, Any] | Problem
            try:
                outcome = (await self.request(calls.post_batch(batch))).json()
            except Problem as problem:
                outcome = problem
            calls.add_batch(result, batch, outcome)
        return result

    async def delete_event(self, event_id: str, *, account_id: str | None) -> None:
        """Retract an event. account_id: None for one of the whole company."""
        await self.request(calls.delete_event(account_id, event_id))

    async def query(self, metrics: str | Sequence[str], **parameters: Parameter) -> Answer:
        """Ask for metrics as `Client.query` does."""
        return answer_of((await self.request(calls.query(metrics, parameters))).json())

    async def metric(self, name: str, **parameters: Parameter) -> Answer:
        """Ask for one metric as `Client.metric` does."""
        return answer_of((await self.request(calls.metric(name, parameters))).json())

    async def rows(self, metrics: str | Sequence[str], **parameters: Parameter) -> AsyncIterator[Row]:
        """Yield all rows of an answer, page by page."""
        async for page in self._pages(metrics, parameters):
            for row in page.rows:
                yield row

    async def _pages(self, metrics: str | Sequence[str], parameters: Mapping[str, Parameter]) -> AsyncIterator[Answer]:
        cursor = parameters.get("cursor")
        while True:
            answer = await self.query(metrics, **{**parameters, "cursor": cursor})
            yield answer
            if (cursor := answer.next) is None:
                return

    async def list(self, path: str, name: str, **parameters: Parameter) -> AsyncIterator[Mapping[str, Any]]:
        """Yield all members `name` of a list of the API, as `Client.list` does."""
        cursor: str | None = None
        while True:
            body = (await self.request(calls.listing(path, {**parameters, "cursor": cursor}))).json()
            for member in body[name]:
                yield member
            if (cursor := body.get("next")) is None:
                return

    async def pandas(self, metrics: str | Sequence[str], **parameters: Parameter) -> "pandas.DataFrame":
        """Return all rows of an answer as a frame of pandas, with typed columns. With `limit`, so many rows."""
        return frames.pandas_frame(await self._table(metrics, parameters))

    async def polars(self, metrics: str | Sequence[str], **parameters: Parameter) -> "polars.DataFrame":
        """Return all rows of an answer as a frame of polars, with typed columns. With `limit`, so many rows."""
        return frames.polars_frame(await self._table(metrics, parameters))

    async def _table(self, metrics: str | Sequence[str], parameters: Mapping[str, Parameter]) -> frames.Table:
        """Return all rows as Parquet, or as pages of a service without it."""
        try:
            return (await self.request(calls.query(metrics, {**parameters, "format": calls.PARQUET}))).content
        except Problem as problem:
            if not calls.has_no_parquet(problem):
                raise
        pages: list[Answer] = []
        async for page in self._pages(metrics, parameters):
            pages.append(page)
            if parameters.get("limit"):
                break
        return frames.Pages(pages, field_names(parameters.get("fields")))
