"""What goes wrong, as exceptions: the service has answered a problem, or has not answered."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

PROBLEM_JSON = "application/problem+json"


class ClientError(Exception):
    """Base class of the exceptions of this package."""


class ConnectionFailed(ClientError):
    """The service did not answer, however often it was asked. Whether it has stored what was sent is not known.

    To send the same events again is safe: each is counted once.
    """


class Problem(ClientError):
    """The service has answered an error.

    status: of the response. code: for programs; it does not change. detail: for people. errors: what is wrong at which place,
    each with `pointer`, `code` and `detail`. request_id: of the line in the service's log. body: the whole problem object.
    """

    def __init__(self, status: int, body: Mapping[str, Any], *, request_id: str | None = None) -> None:
        self.status = status
        self.code = str(body.get("code", ""))
        self.detail = str(body.get("detail", ""))
        self.errors: Sequence[Mapping[str, Any]] = body.get("errors", ())
        self.request_id = request_id
        self.body = body
        super().__init__(f"{status} {self.code}: {self.detail}" + (f" (request {request_id})" if request_id else ""))


def problem_of(response: httpx.Response) -> Problem:
    """Return the exception of an error response, also of one that a proxy has answered. Its content has been read."""
    body: Any = None
    if response.headers.get("content-type", "").startswith(("application/json", PROBLEM_JSON)):
        try:
            body = response.json()
        except ValueError:
            body = None
    if not isinstance(body, dict):
        body = {"code": "", "detail": response.text[:1_000]}
    return Problem(response.status_code, body, request_id=response.headers.get("x-request-id"))
