"""Large answers are sent while they are computed: the same bytes as in one piece, in bounded memory, and cut where they fail."""

import asyncio
import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from pyarrow import parquet

from app.core.errors import Busy, Problem, Unavailable
from app.http import responses
from app.http.formats import FORMATS, encode
from app.http.tables import Answer, columns
from app.ledger.sums.operands import Flow
from app.metrics.answer import answer
from app.metrics.compact_sums import CompactSums
from app.metrics.define import METRICS
from tests.http.test_formats import fetch
from tests.support.service import ADMIN_KEY, Service, account_update, event, session, survey_responses

RANGE = {"start": "2026-01-01", "end": "2026-04-01"}
FILES = [name for name, entry in FORMATS.items() if entry.is_file]
SCHEMA = {
    "text": {"type": "string"},
    "day": {"type": "string", "format": "date"},
    "value": {"type": "number"},
    "amount": {"type": "string", "format": "decimal"},
}


@pytest.fixture
def some(service: Service) -> Service:
    """A service with accounts of some metrics."""
    for number, plan in enumerate(("pro", "basic", "pro", "=1+1", 5)):
        account = f"account-{number}"
        paid = event("subscription.changed", account, at="2026-01-10", subscription_id="s", mrr=f"{100 + number}.57")
        service.send(account_update(account, plan=plan), paid, session(account, at=f"2026-02-{number + 1:02}"))
        service.send(*survey_responses("nps", [number, 9, 10], account, at="2026-03-02"))
        service.send(
            event("subscription.changed", account, at="2026-03-10", subscription_id="s", mrr=f"{90 + number}.01")
        )
    return service


@pytest.mark.parametrize("format", FORMATS)
def test_a_stream_has_the_same_rows_as_an_answer_in_one_piece(
    some: Service, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = RANGE | {"metrics": "mrr,nps,sessions", "group_by": "account", "granularity": "day"}
    whole = fetch(some, "/v1/query", format, **params)
    for module in ("app.metrics.answer._MAX_COMPUTED_ROWS", "app.http.responses.MAX_WHOLE_ROWS"):
        monkeypatch.setattr(module, 10)
    monkeypatch.setattr("app.http.encoded_stream.ROWS_PER_PART", 7)
    some.forget_answers()
    answer = some.request("GET", "/v1/query", params=params | {"format": format})
    assert "content-length" not in answer.headers
    tag = answer.headers["etag"]
    match format:
        case "json":
            assert answer.json() == json.loads(whole)
        case "parquet":
            tables = [parquet.read_table(io.BytesIO(content)) for content in (answer.content, whole)]
            assert tables[0].equals(tables[1])
        case "xlsx":
            assert read_sheet(answer.content) == read_sheet(whole)
        case _:
            assert answer.content == whole
    known = {"headers": {"If-None-Match": tag}}
    assert some.request("GET", "/v1/query", params=params | {"format": format}, **known).status_code == 304
    some.send(session("account-1", at="2026-02-07"))
    changed = some.request("GET", "/v1/query", params=params | {"format": format}, **known)
    assert changed.status_code == 200 and changed.headers["etag"] != tag


def read_sheet(content: bytes) -> list[list[Any]]:
    from python_calamine import CalamineWorkbook

    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_a_stream_is_compressed_where_that_is_of_use(
    some: Service, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = RANGE | {"group_by": "account", "granularity": "day", "format": format}
    monkeypatch.setattr("app.http.responses.MAX_WHOLE_ROWS", 10)
    request = some.client.build_request("GET", "/v1/metrics/sessions", params=params)
    answer = some.run(some.client.send(request, stream=True))
    assert answer.headers.get("content-encoding") == ("gzip" if format == "csv" else None)
    raw = b"".join(some.run(collect(answer.aiter_raw())))
    assert (gzip.decompress(raw).count(b"\n") > 400) if format == "csv" else raw.startswith(b"PK")


async def collect(parts: Any) -> list[bytes]:
    return [part async for part in parts]


def test_head_has_the_headers_of_a_stream_and_computes_no_rows(some: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    params = RANGE | {"group_by": "account", "granularity": "day", "format": "csv"}
    monkeypatch.setattr("app.http.responses.MAX_WHOLE_ROWS", 10)
    answer = some.request("HEAD", "/v1/metrics/sessions", params=params)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize("metric", METRICS)
def test_large_questions_have_the_same_rows_as_small_ones(
    some: Service, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [
        {"group_by": "account,plan"},
        {"group_by": "plan", "totals": True, "compare": "previous_period"},
        {"granularity": "week", "as_of": "2026-03-15", "compare": "previous_year"},
    ]
    params = {"format": "ndjson"} | RANGE
    small = [fetch(some, f"/v1/metrics/{metric}", **params | own) for own in questions]
    monkeypatch.setattr("app.metrics.answer.LARGE_SUMS", 0)
    monkeypatch.setattr("app.metrics.compact_sums._SUMS_AT_ONCE", 25)
    assert [fetch(some, f"/v1/metrics/{metric}", **params | own) for own in questions] == small


def test_compact_sums_keep_fractions_of_money_and_numbers_beyond_64_bits() -> None:
    sums = CompactSums(4, is_per_year=False)
    first, second = ((("str", "a"),), (("str", "b"),))
    sums.add({first: {0: 2**70, 1: -3}}, first=0, count=2)
    sums.add({second: {1: 5}}, first=2, count=2)
    assert dict(sums[first]) == {0: 2**70, 1: -3, 2: 0, 3: 0}
    assert dict(sums[second]) == {0: 0, 1: 0, 2: 0, 3: 5}
    assert sums[second].get(4, 7) == 7 and set(sums) == {first, second}
    assert Flow("sessions").is_per_year is False


def test_a_large_file_begins_before_its_sums_are_found_but_not_before_its_faults(
    some: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.metrics.lookup.LARGE_SUMS", 0)
    params = RANGE | {"group_by": "account", "format": "csv"}
    answer = some.request("GET", "/v1/metrics/sessions", params=params)
    assert answer.text.count("\n") == 16 and "content-length" not in answer.headers
    for wrong, code in (({"group_by": "plann"}, "unrecorded_attribute"), ({"fields": "valu"}, "unknown_field")):
        problem = some.request("GET", "/v1/metrics/sessions", params=params | wrong)
        assert (problem.status_code, problem.json()["code"]) == (422, code)


def test_a_stream_that_fails_is_cut(some: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.metrics.lookup.LARGE_SUMS", 0)

    async def fail(*_: Any, **__: Any) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setattr("app.metrics.routes.answer", fail)
    messages = some.run(call(some, "start=2026-01-01&end=2026-04-01&group_by=account&format=csv"))
    assert messages[0]["status"] == 200 and messages[1]["body"].startswith(b"metric,period")
    assert all(message["more_body"] for message in messages[1:])


def test_a_stream_that_has_begun_waits_for_other_questions(some: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.metrics.lookup.LARGE_SUMS", 0)
    monkeypatch.setattr("app.http.encoded_stream._PAUSE_SECONDS", 0)
    refusals: list[Problem] = [Unavailable("Another large one.", code="busy"), Busy("Many.", code="too_many_questions")]

    async def refuse(*arguments: Any, **named_arguments: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return await answer(*arguments, **named_arguments)

    monkeypatch.setattr("app.metrics.routes.answer", refuse)
    file = some.request("GET", "/v1/metrics/sessions", params=RANGE | {"group_by": "account", "format": "csv"})
    assert file.text.count("\n") == 16 and not refusals


def test_a_stream_that_fails_before_its_first_byte_is_an_error(some: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.responses.MAX_WHOLE_ROWS", 1)

    def fail(*_: Any) -> bytes:
        raise Unavailable("The database is away.")

    monkeypatch.setattr("app.http.csv_table.CsvEncoder.add", fail)
    assert some.request("GET", "/v1/metrics/sessions?format=csv").status_code == 503


def test_a_client_that_does_not_read_is_cut_off(start_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start_service(download_seconds=0.001)
    monkeypatch.setattr("app.http.responses.MAX_WHOLE_ROWS", 1)
    messages = service.run(call(service, "format=csv", waits=asyncio.Event()))
    assert [message["type"] for message in messages] == ["http.response.start"]


def test_a_key_reads_a_few_large_answers_at_a_time(start_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start_service(questions_per_key=2, question_wait=60)
    monkeypatch.setattr("app.http.responses.MAX_WHOLE_ROWS", 1)

    async def run() -> list[dict[str, Any]]:
        waits = [asyncio.Event(), asyncio.Event()]
        unread = [asyncio.create_task(call(service, "format=csv", waits=event)) for event in waits]
        await asyncio.gather(*(event.wait() for event in waits))
        messages = await call(service, "format=csv")
        for task in unread:
            task.cancel()
        await asyncio.gather(*unread, return_exceptions=True)
        assert not service.app.state.streams._count_by_caller
        return messages

    start, body = service.run(run())
    assert (start["status"], json.loads(body["body"])["code"]) == (429, "too_many_questions")
    assert service.request("GET", "/v1/metrics/sessions?format=csv").status_code == 200


async def call(service: Service, query: str, *, waits: asyncio.Event | None = None) -> list[Any]:
    """Return the messages of the application about sessions.

    waits: of a client that takes the headers only, set when the service waits for it.
    """
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and waits is not None:
            waits.set()
            await asyncio.Event().wait()
        messages.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/metrics/sessions",
        "raw_path": b"/v1/metrics/sessions",
        "query_string": query.encode(),
        "headers": [(b"host", b"service"), (b"authorization", f"Bearer {ADMIN_KEY}".encode())],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("service", 80),
        "client": ("client", 1),
    }
    await service.app(scope, receive, send)
    return messages


@pytest.mark.parametrize("format", FORMATS)
def test_the_memory_of_a_stream_does_not_grow_with_its_rows(format: str) -> None:
    def rows(count: int) -> Iterator[dict[str, Any]]:
        row = {"day": date(2026, 1, 1), "value": 1.5, "amount": "1.50"}
        return ({"text": f"=account {number}", **row} for number in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        size = 0
        for part in encode(FORMATS[format], Answer("rows", {"rows": rows(count), "next": None}, columns(SCHEMA))):
            size = max(size, len(part))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size < 2**20
        return used

    peak(1_000)  # imports
    assert peak(40_000) < peak(10_000) + 2**20


def test_answers_of_up_to_ten_thousand_rows_are_in_one_piece() -> None:
    assert responses.MAX_WHOLE_ROWS == 10_000
