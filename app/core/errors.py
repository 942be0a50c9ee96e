"""The errors that users see, as one tree. `http.problems` turns a Problem into a problem+json response (RFC 9457).

ServiceError             an expected error; its text says what is wrong and what to do
  Problem                an error response
    Malformed        400   the body, a header or the address is not what its type says
    Unauthenticated  401   no key, or an unknown one
    Forbidden        403   the key lacks a scope
    NotFound         404
    NotAcceptable    406   no form in which the client accepts the answer
    TooSlow          408   the request took too long to arrive
    Conflict         409   the request would change what others rely on
    TooLarge         413
    Unsupported      415   content type or encoding
    Invalid          422   well-formed but not acceptable; `errors` says where
    Busy             429   Retry-After says when to try again
    HeadersTooLarge  431
    NotSupported     501   a part of a protocol that this service does not have
    Unavailable      503   the database is unavailable; Retry-After says when to try again
  EventRejected          one event of a batch is not accepted
  EmbeddedError          the embedded PostgreSQL cannot run (defined in `embedded.cluster`)
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Self, TypeVar

from app.core.names import MAX_NAME_LENGTH, Fault, NearestNames, build_fault, name_fault, suggest
from app.core.sentences import explain, options

T = TypeVar("T")

# Fields that exist are listed where none of them is like an unknown one, unless they are more than this.
_MAX_LISTED = 20


class ServiceError(Exception):
    """An expected error. Its text is for people; the command line prints it without a traceback."""


class Problem(ServiceError):
    """An error response. `code` is for programs, `detail` for people; neither repeats a value that the client sent.

    Names that do not exist are repeated, see `names`.
    errors: one `Fault` for each invalid field (pointer: RFC 6901).
    more: further members of the problem object, such as `rejected`.
    """

    status = 500
    code = "problem"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = [fault.copy() for fault in errors]
        self.headers = dict(headers or {})
        self.more = more

    @classmethod
    def of(cls, faults: Sequence[Fault], *, subject: str = "The request", code: str | None = None) -> Self:
        """Return the error of one fault or more.

        subject: what has them, as the beginning of a sentence. code: by default the code that all faults have.
        """
        codes = {fault["code"] for fault in faults}
        detail = faults[0]["detail"] if len(faults) == 1 else f"{subject} has {len(faults)} faults; see `errors`."
        return cls(detail, code=code or (codes.pop() if len(codes) == 1 else None), errors=faults)

    @property
    def faults(self) -> list[Fault]:
        """The faults; one without a place where the error names none."""
        return self.errors or [build_fault("", self.detail, code=self.code)]


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


class NotAcceptable(Problem):
    status, code = 406, "not_acceptable"


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
        return cls(detail, code=code, errors=[build_fault(pointer, detail, code=code)])


class Busy(Problem):
    status, code = 429, "too_many_requests"


class HeadersTooLarge(Problem):
    status, code = 431, "headers_too_large"


class NotSupported(Problem):
    status, code = 501, "unsupported_option"


class Unavailable(Problem):
    status, code = 503, "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 2, **more: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **more)


class EventRejected(ServiceError):
    """One event of a batch is not accepted. It becomes an item of the response's `rejected`; other events are not affected.

    faults: all that is wrong with it, at least one.
    """

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.faults = [build_fault(pointer, detail, code=code)]

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> Self:
        """Return the rejection of an event with these faults."""
        rejection = cls(faults[0]["code"], faults[0]["detail"])
        rejection.faults = list(faults)
        return rejection


class FaultList:
    """Collects the faults of several steps, so that a client learns of all at once."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = list(faults)

    def attempt(self, step: Callable[[], T], default: T) -> T:
        """Return the result of a step, or the default when it raises Invalid: then its faults are added."""
        try:
            return step()
        except Invalid as invalid:
            self._faults += invalid.faults
            return default

    def raise_all(self, *, subject: str) -> None:
        """Raise Invalid if there are faults. subject: what has them, as the beginning of a sentence."""
        if self._faults:
            raise Invalid.of(self._faults, subject=subject)


def json_pointer(location: Sequence[str | int]) -> str:
    """Return the JSON pointer of a location as Pydantic names it; cut off before a key that is too long to repeat.

    >>> json_pointer(("data", "a/b", 0))
    '/data/a~1b/0'
    """
    steps = takewhile(lambda step: len(step) <= MAX_NAME_LENGTH and step != "[key]", map(str, location))
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def validation_faults(
    errors: Sequence[Mapping[str, Any]],
    *,
    fields: Callable[[Sequence[str | int]], Sequence[str]] = lambda _: (),
    nearest: NearestNames | None = None,
) -> list[Fault]:
    """Return Pydantic's errors as faults, without the values, which may be secret or personal.

    fields: returns the names of the fields that exist at a location. nearest: finds those that may have been meant.
    """
    nearest = nearest or NearestNames()
    return [_validation_fault(error, fields, nearest) for error in errors]


def _validation_fault(
    error: Mapping[str, Any], fields: Callable[[Sequence[str | int]], Sequence[str]], nearest: NearestNames
) -> Fault:
    location, code, pointer = error["loc"], error["type"], json_pointer(error["loc"])
    if code == "extra_forbidden":
        return unknown_field(location, fields(location[:-1]), nearest)
    fault = build_fault(pointer, explain(error), code=code)
    if code == "literal_error" and isinstance(value := error.get("input"), str):
        # The value is not repeated, but the message may name the allowed ones that are like it.
        similar = nearest.find(value, options(error))
        fault["detail"] = f"{fault['detail']} {suggest(similar)}".rstrip()
        fault["did_you_mean"] = similar
    return fault


def unknown_field(location: Sequence[str | int], existing: Sequence[str], nearest: NearestNames) -> Fault:
    """Return the fault of a field or parameter that does not exist. existing: the names of those that do."""
    noun = "parameter" if location[:1] == ("query",) and len(location) > 1 else "field"
    similar = nearest.find(str(location[-1]), existing)
    advice = f"There are: {', '.join(existing)}." if 0 < len(existing) <= _MAX_LISTED and not similar else ""
    if "extra" in existing:
        advice = f'{advice} Fields of your own belong under "extra".'.strip()
    sentence = f"Unknown {noun}{{}}."
    return name_fault(json_pointer(location), sentence, location[-1], similar, code="extra_forbidden", advice=advice)
