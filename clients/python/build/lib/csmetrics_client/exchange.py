"""One request with its retries, as steps without input and output, so that both clients take the same ones."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import httpx

from csmetrics_client.errors import ConnectionFailed, problem_of
from csmetrics_client.retries import RetryPolicy


@dataclass(frozen=True)
class Call:
    """A request to send. All of this package may be repeated: ids make events count once, and the others change nothing."""

    method: str
    path: str
    params: list[tuple[str, str]] | None = None
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of httpx."""
        members = {"params": self.params, "json": self.json, "content": self.content, "headers": self.headers or None}
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True)
class Wait:
    """A pause in seconds."""

    seconds: float


# Steps yield what to do and get the response, or the error of the connection; a pause gets None.
Steps = Generator[Call | Wait, httpx.Response | httpx.TransportError | None, httpx.Response]


def exchange(call: Call, policy: RetryPolicy) -> Steps:
    """Return the steps of a request, which end with a successful response. Raises Problem or ConnectionFailed."""
    tries = 0
    while True:
        outcome = yield call
        tries += 1
        response = outcome if isinstance(outcome, httpx.Response) else None
        if response is not None and response.is_success:
            return response
        seconds = policy.wait(tries, response)
        if seconds is not None:
            yield Wait(seconds)
        elif response is not None:
            raise problem_of(response)
        else:
            error = outcome if isinstance(outcome, httpx.TransportError) else None
            raise ConnectionFailed(f"{call.method} {call.path}: {error!r} after {tries} tries") from error
