"""The properties that stand for attributes of accounts: their names and types.

A type is looked for among all values, since a client relies on it. That may take a second, so types are remembered for some
minutes; a value of another type that is found meanwhile makes the attribute a text at once.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from time import monotonic
from typing import Any
from unicodedata import category

from app.books.books import Books
from app.core.names import is_repeatable
from app.database.connection import Connection
from app.database.tables import MAX_DATE
from app.odata.model import Property, Type
from app.odata.sources import SetContext
from app.odata.tokens import KEYWORDS

MAX_PROPERTIES = 300
_SECONDS = 300
_MAX_NAME = 120
# What names in a schema may have; they may have marks as well, which the filter language has no place for.
_NAME_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Nd"})

# The keys are found by one step in the index for each.
_KEYS = f"""
    WITH RECURSIVE keys(key) AS (
        (SELECT min(key) FROM attribute)
        UNION ALL
        SELECT (SELECT min(attribute.key) FROM attribute WHERE attribute.key > keys.key) FROM keys WHERE keys.key IS NOT NULL)
    SELECT key FROM keys WHERE key IS NOT NULL LIMIT {MAX_PROPERTIES + 1}
    """
# Of a text, the first value decides; of a number, all are looked at.
_TYPES = f"""
    SELECT wanted.key, first.type, EXISTS (
        SELECT FROM attribute WHERE attribute.key = wanted.key AND ceased_on = '{MAX_DATE}' AND value IS NOT NULL
            AND jsonb_typeof(value) <> first.type) AS is_mixed
    FROM unnest(CAST(%(keys)s AS text[])) AS wanted(key)
    LEFT JOIN LATERAL (
        SELECT jsonb_typeof(value) AS type FROM attribute
        WHERE attribute.key = wanted.key AND ceased_on = '{MAX_DATE}' AND value IS NOT NULL LIMIT 1) AS first ON true
    """


class OtherType(Exception):
    """An attribute has a value of another type than its property."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class AttributeProperty(Property):
    """A property that stands for an attribute. key: of the attribute."""

    key: str = ""


@dataclass(slots=True)
class AttributeTypes:
    """The types of attributes that one process remembers. until: by key, when they are looked at again."""

    types: dict[str, Type] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)
    books: Books | None = None

    async def load(self, connection: Connection, books: Books) -> Mapping[str, Type]:
        """Return the types of all attributes."""
        if self.books is not books:
            self.books = books
            self.types.clear()
        keys = [row.key for row in await connection.execute(_KEYS)][:MAX_PROPERTIES]
        now = monotonic()
        unknown = [key for key in keys if key not in self.types or self.until[key] < now]
        for row in await connection.execute(_TYPES, {"keys": unknown}) if unknown else ():
            is_plain = row.type in ("number", "boolean") and not row.is_mixed
            self.remember(row.key, row.type if is_plain else "text")
        return {key: self.types[key] for key in keys}

    def remember(self, key: str, type: Type) -> None:
        """Remember the type of an attribute until its values are looked at again."""
        self.types[key], self.until[key] = type, monotonic() + _SECONDS


async def attribute_properties(
    context: SetContext, *, taken_names: Collection[str], without: Collection[str]
) -> Sequence[AttributeProperty]:
    """Return a property for each attribute that accounts have ever had, without some. taken_names: names that are taken."""
    known_types: AttributeTypes = context.attribute_types
    types = await context.books.database.ask(lambda connection: known_types.load(connection, context.books))
    keys = [key for key in types if key not in without]
    return [_property(key, name, types[key]) for key, name in property_names(keys, taken_names).items()]


def property_names(keys: Sequence[str], taken_names: Collection[str]) -> dict[str, str]:
    """Return the names of the properties of attributes by key.

    A key that can be a name is one. In other keys, `_` replaces each character that names cannot have; a hash of the key follows
    where two would have the same name then.
    """
    names = {key: key for key in keys if _plain_name(key) == key and key not in taken_names}
    other_names = {key: _plain_name(key) for key in keys if key not in names}
    counts = Counter(other_names.values())
    all_names = {*names.values(), *taken_names}
    for key, name in other_names.items():
        is_taken = counts[name] > 1 or name in all_names
        names[key] = f"{name}_{blake2b(key.encode(), digest_size=3).hexdigest()}" if is_taken else name
    return dict(sorted(names.items()))


def _plain_name(key: str) -> str:
    """Return a key as the name of a property, which begins with a letter and is no word of the filter language."""
    name = "".join(own if category(own) in _NAME_CATEGORIES else "_" for own in key)[:_MAX_NAME]
    if category(name[0]) == "Nd" or name.lower() in KEYWORDS or name.strip("_") == "":
        name = f"attribute_{name}"
    return name


def _property(key: str, name: str, type: Type) -> AttributeProperty:
    shown_key = f' "{key}"' if is_repeatable(key) else ""
    description = f"The attribute{shown_key} of the account."

    def read(row: Mapping[str, Any]) -> Any:
        value = row["values"].get(key)
        if value is None or type == "text":
            return text_of(value)
        if _type_of(value) != type:
            raise OtherType(key)
        return value

    return AttributeProperty(name, type, description, read, parts=("attributes",), key=key)


def text_of(value: Any) -> str | None:
    """Return the value of an attribute as a text, as PostgreSQL writes it where the filter compares it."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else format(Decimal(value), "f")


def _type_of(value: Any) -> Type:
    return "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
