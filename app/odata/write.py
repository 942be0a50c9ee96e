"""Write answers: the service document, pages of entities, single entities and errors, as OData's JSON."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from json import dumps
from typing import Any
from urllib.parse import quote

from app.core.errors import Problem
from app.odata.model import EntitySet, Property, Type
from app.odata.negotiate import Form
from app.odata.schema import NAMESPACE
from app.odata.sql import utc_text

_TYPES_WITHOUT_NOTE: frozenset[Type] = frozenset({"text", "boolean", "number"})
# In OData, all errors of a URL have this status.
_STATUSES = {422: 400}


def service_document(root: str, sets: Sequence[EntitySet], form: Form) -> bytes:
    """Return the service document. root: the URL of the service."""
    entries = [{"name": own.name, "kind": "EntitySet", "url": own.name} for own in sets]
    context = {} if form.level == "none" else {"@odata.context": f"{root}/$metadata"}
    return _json(context | {"value": entries}).encode()


class EntityWriter:
    """Writes entities of a set. selection: the properties that are shown. is_whole: whether these are all."""

    def __init__(
        self, root: str, entity_set: EntitySet, selection: Sequence[Property], form: Form, *, is_whole: bool
    ) -> None:
        self._root, self._set, self._form, self._is_whole = root, entity_set, form, is_whole
        self._selection = selection
        self._columns = [(self._prefix(own), own.read, _encoder(own.type, form)) for own in selection]
        key_names = set(entity_set.key)
        self._key = [own for own in selection if own.name in key_names]
        self._has_key = len(self._key) == len(key_names)

    def _prefix(self, own: Property) -> str:
        note = ""
        if self._form.level == "full" and own.type not in _TYPES_WITHOUT_NOTE:
            note = f'"{own.name}@odata.type":"#{own.edm_type.removeprefix("Edm.")}",'
        return f"{note}{_json(own.name)}:"

    def page(self, rows: Sequence[Mapping[str, Any]], *, count: int | None, next_link: str | None) -> bytes:
        """Return a page."""
        before = self._context("") + ([] if count is None else [f'"@odata.count":{self._whole(count)}'])
        after = [] if next_link is None else [f'"@odata.nextLink":{_json(next_link)}']
        entities = ",".join([f"{{{self._members(row)}}}" for row in rows])
        members = ",".join([*before, f'"value":[{entities}]', *after])
        return f"{{{members}}}".encode()

    def entity(self, row: Mapping[str, Any]) -> bytes:
        """Return a single entity."""
        members = self._members(row)
        return ("{" + ",".join([*self._context("/$entity"), members]) + "}").encode()

    def _context(self, suffix: str) -> list[str]:
        if self._form.level == "none":
            return []
        names = "" if self._is_whole else f"({','.join(own.name for own in self._selection)})"
        url = f"{self._root}/$metadata#{self._set.name}{names}{suffix}"
        return [f'"@odata.context":{_json(url)}']

    def _whole(self, number: int) -> str:
        return f'"{number}"' if self._form.is_exact else str(number)

    def _members(self, row: Mapping[str, Any]) -> str:
        notes: list[str] = []
        if self._form.level == "full":
            notes = [f'"@odata.type":"#{NAMESPACE}.{self._set.entity_type}"']
            if self._has_key:
                notes.append(f'"@odata.id":{_json(self._id(row))}')
        return ",".join(notes + [prefix + encode(read(row)) for prefix, read, encode in self._columns])

    def _id(self, row: Mapping[str, Any]) -> str:
        values = {own.name: _key_text(own, own.read(row)) for own in self._key}
        names = self._set.key
        inner = values[names[0]] if len(names) == 1 else ",".join(f"{name}={values[name]}" for name in names)
        return f"{self._root}/{self._set.name}({inner})"


def _key_text(own: Property, value: Any) -> str:
    text = str(value).replace("'", "''")
    return f"'{quote(text, safe='')}'" if own.type == "text" else quote(str(value), safe="")


def _encoder(type: Type, form: Form) -> Callable[[Any], str]:
    encode = _ENCODERS[type]
    if form.is_exact and type in ("integer", "decimal"):
        return lambda value: "null" if value is None else f'"{encode(value)}"'
    return lambda value: "null" if value is None else encode(value)


def _json(value: Any) -> str:
    return dumps(value, ensure_ascii=False)


def _number(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return repr(value) if isinstance(value, float) else str(value)


def _time(value: datetime) -> str:
    return f'"{utc_text(value)}"'


def _day(value: date) -> str:
    return f'"{value.isoformat()}"'


_ENCODERS: Mapping[Type, Callable[[Any], str]] = {
    "text": _json,
    "integer": _number,
    "number": _number,
    "decimal": _number,
    "boolean": lambda value: "true" if value else "false",
    "date": _day,
    "time": _time,
}


def error_body(problem: Problem) -> tuple[int, bytes]:
    """Return the status and the body of an error."""
    details = [
        {"code": fault["code"], "message": fault["detail"], "target": _target(fault["pointer"])}
        | {name: fault[name] for name in ("did_you_mean",) if name in fault}
        for fault in problem.errors
    ]
    error: dict[str, Any] = {"code": problem.code, "message": problem.detail}
    if len(details) == 1:
        error["target"] = details[0]["target"]
    if len(details) > 1:
        error["details"] = [{name: own[name] for name in ("code", "message", "target")} for own in details]
    nearest = [name for own in details for name in own.get("did_you_mean", ())]
    if nearest:
        # What the protocol has no member for goes here.
        error["innererror"] = {"did_you_mean": nearest}
    return _STATUSES.get(problem.status, problem.status), _json({"error": error}).encode()


def _target(pointer: str) -> str:
    return pointer.removeprefix("/query/").removeprefix("/path/").replace("~1", "/").replace("~0", "~")
