"""Read what other systems send: each field with its type, and an error that says where something else stands.

A sender is trusted to be who it is, not to send what its documentation says: whatever has another shape is untranslatable.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from app.core.errors import ServiceError
from app.core.ids import MAX_ID_LENGTH
from app.core.names import MAX_NAME_LENGTH

T = TypeVar("T")

_LATEST = datetime(9998, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 10**11
_MOST_TIME_DIGITS = 20
_LONGEST_NUMBER = 10**40


class Untranslatable(ServiceError):
    """A payload, or a part of it, that becomes no event. Its text says why."""


class Ignored(NamedTuple):
    """A part of a payload that counts nothing, by intention. reason: a sentence."""

    reason: str


def parse_moment(raw: Any) -> datetime | None:
    """Return a time that is written as one with an offset, or as seconds or milliseconds since 1970; else None.

    A number from 10^11 on is in milliseconds: as seconds, it would be a day after the year 5000.
    """
    try:
        if isinstance(raw, str) and raw.strip().lstrip("-").isdecimal():
            raw = int(raw)
        if isinstance(raw, str):
            time = datetime.fromisoformat(raw.strip().replace(" UTC", "+00:00"))
            return None if time.tzinfo is None else time.astimezone(UTC)
        if isinstance(raw, int | float | Decimal) and not isinstance(raw, bool):
            number = Decimal(repr(raw) if isinstance(raw, float) else raw)
            # Written out, a number such as 1e999999999 would fill the memory.
            if not number.is_finite() or number.adjusted() > _MOST_TIME_DIGITS:
                return None
            microseconds = int(number * (1_000 if abs(number) >= _MILLISECONDS_FROM else 1_000_000))
            time = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
            return time.replace(microsecond=microseconds % 1_000_000) if time < _LATEST else None
    except (ValueError, OverflowError, OSError, ArithmeticError):
        return None
    return None


def format_moment(time: datetime) -> str:
    """Return a time as events have it."""
    return time.isoformat().replace("+00:00", "Z")


def text_of(raw: Any) -> str | None:
    """Return an id or name as a text: a number is written as one; None for anything else and for an empty text."""
    # Longer ones are no ids, and Python refuses to write some of them.
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw) if abs(raw) < _LONGEST_NUMBER else None
    return raw.strip() or None if isinstance(raw, str) else None


def event_id(vendor: str, id: str) -> str:
    """Return the id of an event: that of the vendor's event, with the vendor before it, so that those of two do not meet."""
    own_id = f"{vendor}:{id}"
    return own_id if len(own_id) <= MAX_ID_LENGTH else f"{vendor}:{hashlib.sha256(id.encode()).hexdigest()}"


class Fields:
    """An object of the payload. Methods that begin with `find_` return None where there is nothing."""

    def __init__(self, raw: Any, pointer: str = "") -> None:
        if not isinstance(raw, dict):
            raise Untranslatable(f"{pointer or 'The payload'} must be a JSON object.")
        self.raw: Mapping[str, Any] = raw
        self.pointer = pointer

    def __contains__(self, name: str) -> bool:
        return self.raw.get(name) is not None

    def find(self, *path: str) -> Any:
        """Return what stands below names, whatever it is."""
        value: Any = self.raw
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def find_text(self, *path: str) -> str | None:
        """Return a text, or a whole number as one."""
        return text_of(self.find(*path))

    def text(self, *path: str) -> str:
        return self._require(self.find_text(*path), path, "a text")

    def find_time(self, *path: str) -> datetime | None:
        return parse_moment(self.find(*path))

    def time(self, *path: str) -> datetime:
        return self._require(self.find_time(*path), path, "a time")

    def find_number(self, *path: str) -> Decimal | None:
        """Return a number, also one that is written as a text."""
        raw = self.find(*path)
        if (
            isinstance(raw, bool)
            or not isinstance(raw, int | Decimal | str)
            or (isinstance(raw, str) and len(raw) > 40)
        ):
            return None
        try:
            number = Decimal(raw)
        except ArithmeticError:
            return None
        return number if number.is_finite() and -30 < number.adjusted() < 30 else None

    def number(self, *path: str) -> Decimal:
        return self._require(self.find_number(*path), path, "a number")

    def whole_number(self, *path: str) -> int:
        number = self.number(*path)
        if number != int(number):
            raise Untranslatable(f"{self._pointer(path)} must be a whole number.")
        return int(number)

    def find_object(self, *path: str) -> "Fields | None":
        raw = self.find(*path)
        return Fields(raw, self._pointer(path)) if isinstance(raw, dict) else None

    def object(self, *path: str) -> "Fields":
        return Fields(self.find(*path), self._pointer(path))

    def objects(self, *path: str) -> Iterator["Fields"]:
        """Yield the objects of a list; nothing where there is none."""
        raw = self.find(*path)
        if raw is None:
            return
        if not isinstance(raw, list):
            raise Untranslatable(f"{self._pointer(path)} must be a list.")
        for index, item in enumerate(raw):
            yield Fields(item, f"{self._pointer(path)}/{index}")

    def _pointer(self, path: tuple[str, ...]) -> str:
        return "/".join([self.pointer, *(name[:MAX_NAME_LENGTH] for name in path)])

    def _require(self, value: T | None, path: tuple[str, ...], noun: str) -> T:
        if value is None:
            raise Untranslatable(f"{self._pointer(path)} must be {noun}.")
        return value
