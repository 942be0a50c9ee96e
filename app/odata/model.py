"""Entity sets: what a client finds in the service document and in `$metadata`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from app.http.tables import ColumnType, TableColumn

if TYPE_CHECKING:
    from app.odata.query import Query
    from app.odata.sources import EntityPage, SetContext

Type = Literal["text", "integer", "number", "decimal", "boolean", "date", "time"]
EDM_TYPES: dict[Type, str] = {
    "text": "Edm.String",
    "integer": "Edm.Int64",
    "number": "Edm.Double",
    "decimal": "Edm.Decimal",
    "boolean": "Edm.Boolean",
    "date": "Edm.Date",
    "time": "Edm.DateTimeOffset",
}
NUMBERS: frozenset[str] = frozenset({"integer", "number", "decimal"})
# Values of other columns are shown as text.
_TYPES: dict[ColumnType, Type] = {
    "text": "text",
    "integer": "integer",
    "number": "number",
    "decimal": "decimal",
    "boolean": "boolean",
    "date": "date",
    "time": "time",
    "value": "text",
    "json": "text",
}


@dataclass(frozen=True, slots=True)
class Property:
    """A property of the entities of a set: a column of its table.

    read: returns its value of a row. parts: the members of the row that this needs, by default the one of its name.
    is_filterable: whether it may be in `$filter` and `$orderby`.
    """

    name: str
    type: Type
    description: str
    read: Callable[[Mapping[str, Any]], Any]
    nullable: bool = True
    is_filterable: bool = True
    parts: tuple[str, ...] = ()

    @property
    def edm_type(self) -> str:
        return EDM_TYPES[self.type]


def prop(name: str, type: Type, description: str, **more: Any) -> Property:
    """Return a property whose value is the member of a row with its name. more: of `Property`."""
    more.setdefault("parts", (name,))
    return Property(name, type, description, more.pop("read", lambda row: row[name]), **more)


def prop_of_column(
    column: TableColumn, description: str, *, name: str | None = None, nullable: bool = True
) -> Property:
    """Return the property that shows a column of a table of the API. name: by default that of the column."""
    read = column.read
    if column.type == "decimal":
        # Which is a text there.
        def read_decimal(row: Mapping[str, Any]) -> Decimal | None:
            text = column.read(row)
            return None if text is None else Decimal(text)

        read = read_decimal
    return Property(name or column.name, _TYPES[column.type], description, read, nullable)


class SetParameters(BaseModel):
    """The custom query options of an entity set. Those of sets without any."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class EntitySet:
    """An entity set.

    name: of the set, such as `Accounts`. entity_type: the name of one of its entities. key: the properties that identify one.
    load: returns a page. parameters: its custom query options. load_properties: returns the properties that depend on the data.
    """

    name: str
    entity_type: str
    description: str
    key: tuple[str, ...]
    properties: tuple[Property, ...]
    load: "Callable[[SetContext, Query], Any]"
    parameters: type[SetParameters] = SetParameters
    load_properties: "Callable[[SetContext], Any] | None" = None

    async def all_properties(self, context: "SetContext") -> Sequence[Property]:
        """Return the properties, with those that depend on the data."""
        if self.load_properties is None:
            return self.properties
        return [*self.properties, *await self.load_properties(context)]

    async def load_page(self, context: "SetContext", query: "Query") -> "EntityPage":
        """Return the page that a query asks for."""
        page: EntityPage = await self.load(context, query)
        return page


@dataclass(slots=True)
class _EntitySets:
    """The entity sets by name, in the order of the service document."""

    by_name: dict[str, EntitySet] = field(default_factory=dict)

    def add(self, entity_set: EntitySet) -> None:
        self.by_name[entity_set.name] = entity_set


ENTITY_SETS = _EntitySets()
