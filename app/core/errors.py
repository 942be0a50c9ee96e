"""The errors that users see, as one tree. `http.problems` turns a Problem into a problem+json response (RFC 9457).

ServiceError             an expected error; its text says what is wrong and what to do
  Problem                an error response
    Malformed        400   the body, a header or the address is not what its type says
    Unauthenticated  401   no key, or an unknown one
    Forbidden        403   the key lacks a scope
    NotFound         404
    TooSlow          408   the request took too long to arrive
    Conflict         409   the request would change what others rely on
    TooLarge         413
    Unsupported      415   content type or encoding
    Invalid          422   well-formed but not acceptable; `errors` says where
    Busy             429   Retry-After says when to try again
    HeadersTooLarge  431
    Unavailable      503   the database is unavailable; Retry-After says when to try again
  EventRejected          one event of a batch is not accepted
  EmbeddedError          the embedded PostgreSQL cannot run (defined in `embedded.cluster`)
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

_MAX_POINTER_STEP = 128


class ServiceError(Exception):
    """An expected error. Its text is for people; the command line prints it without a traceback."""


class Problem(ServiceError):
    """An error response. `code` is for programs, `detail` for people; neither repeats a value that the client sent.

    errors: one `{"pointer", "code", "detail"}` for each invalid field (pointer: RFC 6901).
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
        """Return the error of one field. pointer: a JSON pointer into the body, or `/query/<name>` for a parameter."""
        return cls(detail, code=code, errors=[{"pointer": pointer, "code": code, "detail": detail}])


class Busy(Problem):
    status, code = 429, "too_many_requests"


class HeadersTooLarge(Problem):
    status, code = 431, "headers_too_large"


class Unavailable(Problem):
    status, code = 503, "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 2, **more: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **more)


class EventRejected(ServiceError):
    """One event of a batch is not accepted. It becomes an item of the response's `rejected`; other events are not affected."""

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.pointer = code, detail, pointer


def json_pointer(location: Sequence[str | int]) -> str:
    """Return the JSON pointer of a location as Pydantic names it; cut off before a key that is too long to repeat.

    >>> json_pointer(("data", "a/b", 0))
    '/data/a~1b/0'
    """
    steps = takewhile(lambda step: len(step) <= _MAX_POINTER_STEP and step != "[key]", map(str, location))
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def validation_faults(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return Pydantic's errors as `{pointer, code, detail}`, without the values, which may be secret or personal."""
    return [{"pointer": json_pointer(e["loc"]), "code": e["type"], "detail": _fault_detail(e)} for e in errors]


def _fault_detail(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a field. It names only fields that are required, since clients invent the unknown ones."""
    location, limits = error["loc"], error.get("ctx", {})
    kind = "parameter" if location[:1] == ("query",) and len(location) > 1 else "field"
    match error["type"]:
        case "missing":
            return f'{kind.capitalize()} "{location[-1]}" is required.'
        case "extra_forbidden":
            return f"Unknown {kind}."
        case "too_short" if "min_length" in limits:
            return f"Too few items: at least {limits['min_length']} required."
        case "too_long" if "max_length" in limits:
            return f"Too many items: at most {limits['max_length']} allowed."
    detail: str = error["msg"]
    return detail.removeprefix("Value error, ")
