"""Every refusal a client can see, and the one place that turns it into problem+json (RFC 9457).

Problem
  Malformed        400  the body is not what its content type says
  Unauthenticated  401  no key, or one that is not known
  Forbidden        403  a key without the scope
  NotFound         404
  TooSlow          408  the request did not arrive in time
  Conflict         409  it would change what others rely on
  TooLarge         413
  Unsupported      415  content type or encoding
  Invalid          422  understood, but not acceptable; `errors` says where
  Busy             429  slow down; Retry-After says how long
  HeadersTooLarge  431
  Unavailable      503  the database is away; Retry-After says when to come again
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import takewhile
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
_LONGEST_STEP = 128


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "For programs; it does not change."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


class Problem(Exception):
    """A refusal. `code` is for programs, `detail` for people; neither repeats what the client sent as a value.

    errors: one `{"pointer", "code", "detail"}` for each field at fault (pointer: RFC 6901).
    more: further members of the problem object, such as `rejected`.
    """

    status = 500
    code = "problem"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = [dict(fault) for fault in errors]
        self.headers = dict(headers or {})
        self.more = more


class Malformed(Problem):
    status, code = 400, "malformed"


class Unauthenticated(Problem):
    status, code = 401, "unauthenticated"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Basic realm="Customer Success Metrics"'}, **more)


class Forbidden(Problem):
    status, code = 403, "forbidden"


class NotFound(Problem):
    status, code = 404, "not_found"


class TooSlow(Problem):
    status, code = 408, "request_timeout"


class Conflict(Problem):
    status, code = 409, "conflict"


class TooLarge(Problem):
    status, code = 413, "too_large"


class Unsupported(Problem):
    status, code = 415, "unsupported_media_type"


class Invalid(Problem):
    status, code = 422, "invalid"

    @classmethod
    def at(cls, pointer: str, detail: str, *, code: str = "invalid") -> "Invalid":
        """One field at fault: `pointer` is a JSON pointer into the body, or `/query/<name>` for a parameter."""
        return cls(detail, code=code, errors=[{"pointer": pointer, "code": code, "detail": detail}])


class Busy(Problem):
    status, code = 429, "too_many_requests"


class HeadersTooLarge(Problem):
    status, code = 431, "headers_too_large"


class Unavailable(Problem):
    status, code = 503, "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 2, **more: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **more)


class Rejected(Exception):
    """One event of a batch is not accepted; its neighbours are. The batch's answer says so, not a problem of its own."""

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(code)
        self.code, self.detail, self.pointer = code, detail, pointer


def body_of(problem: Problem) -> dict[str, Any]:
    """The problem+json object of a refusal."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return body | problem.more


def pointer_to(location: Sequence[str | int]) -> str:
    """The JSON pointer of a place that Pydantic names as a tuple; to what holds it, when its key is too long to repeat.

    >>> pointer_to(("data", "a/b", 0))
    '/data/a~1b/0'
    """
    steps = takewhile(lambda step: len(step) <= _LONGEST_STEP and step != "[key]", map(str, location))
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def faults_of(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's errors as ours: never with the value that was sent, which may be a secret or a person's."""
    return [
        {
            "pointer": pointer_to(e["loc"]),
            "code": e["type"],
            "detail": _PLAINER.get(e["type"], e["msg"].removeprefix("Value error, ")),
        }
        for e in errors
    ]


_PLAINER = {
    "extra_forbidden": "There is no such field or parameter.",
    "missing": "This is needed.",
}
_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    400: "malformed",
    413: "too_large",
    415: "unsupported_media_type",
}


def install(app: FastAPI) -> None:
    """Answer every refusal of `app`, ours and the framework's, as problem+json."""

    def respond(problem: Problem) -> JSONResponse:
        return JSONResponse(body_of(problem), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)

    @app.exception_handler(Problem)
    async def of_ours(_: Request, problem: Problem) -> JSONResponse:
        return respond(problem)

    @app.exception_handler(RequestValidationError)
    async def of_validation(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = error.errors()
        if any(e["type"] == "json_invalid" for e in errors):
            return respond(Malformed("The body is not well-formed JSON.", code="malformed_json"))
        faults = [fault | {"pointer": fault["pointer"].removeprefix("/body")} for fault in faults_of(errors)]
        return respond(Invalid("The request is not acceptable; `errors` says where.", errors=faults))

    @app.exception_handler(HTTPException)
    async def of_framework(_: Request, error: HTTPException) -> JSONResponse:
        problem = Problem(str(error.detail), code=_CODES.get(error.status_code, "refused"), headers=error.headers)
        problem.status = error.status_code
        return respond(problem)
