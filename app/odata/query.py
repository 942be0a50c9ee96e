"""The query options of a request, bound to the properties of an entity set.

System query options may be written with or without `$` and in any case, as OData 4.01 has it.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from app.core.errors import Malformed, NotSupported, json_pointer, validation_faults
from app.core.names import build_fault, name_fault, nearest_names
from app.odata.expressions import Expression
from app.odata.model import EntitySet, Property, SetParameters
from app.odata.parser import OrderItem, parse_filter, parse_orders
from app.odata.position import PagePosition, decode_position

# On a page, unless the client prefers fewer.
PAGE_ROWS = 10_000
# To sort more rows than that takes memory that others need.
MAX_SORTED_ROWS = 100_000
SUPPORTED_OPTIONS = ("filter", "select", "orderby", "top", "skip", "count", "format", "skiptoken")
UNSUPPORTED_OPTIONS = ("apply", "compute", "deltatoken", "expand", "id", "index", "levels", "schemaversion", "search")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")

T = TypeVar("T", bound=SetParameters)


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """The query options as they are written. system: by name, without `$`. custom: values by name."""

    system: Mapping[str, str]
    custom: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Query:
    """What a request wants of an entity set.

    properties: all that the set has, by name. selection: those that are wanted. orders: before the set's own order. limit: the
    number of rows on the page. rows_left: of `$top`, before the page; None: all. after: the row after which the page begins.
    wants_count: whether to count all rows that satisfy the filter.
    """

    properties: Mapping[str, Property]
    selection: tuple[Property, ...]
    filter: Expression | None = None
    orders: tuple[OrderItem, ...] = ()
    limit: int = PAGE_ROWS
    skip: int = 0
    rows_left: int | None = None
    after: PagePosition | None = None
    wants_count: bool = False
    parameters: SetParameters = field(default_factory=SetParameters)
    fingerprint: str = ""

    @property
    def used_parts(self) -> set[str]:
        """The members of rows that the selection needs."""
        return {part for own in self.selection for part in own.parts}


def read_options(items: Iterable[tuple[str, str]]) -> QueryOptions:
    """Return the query options of a URL. Raises Malformed and NotSupported."""
    system: dict[str, str] = {}
    custom: dict[str, list[str]] = {}
    for name, value in items:
        own_name = name.lower().removeprefix("$")
        if name.startswith("$") or own_name in SUPPORTED_OPTIONS or own_name in UNSUPPORTED_OPTIONS:
            _check_system_option(name, own_name)
            if own_name in system:
                _fail(f"${own_name}", "This option is given more than once. Send it once.", code="repeated")
            system[own_name] = value
        elif name != "api_key":
            custom.setdefault(name, []).append(value)
    return QueryOptions(system, custom)


def _fail(option: str, detail: str, *, code: str) -> None:
    raise Malformed.of([build_fault(json_pointer(("query", option)), detail, code=code)])


def _check_system_option(name: str, own_name: str) -> None:
    supported_names = [f"${own}" for own in SUPPORTED_OPTIONS]
    advice = f"There are: {', '.join(supported_names)}."
    if own_name in UNSUPPORTED_OPTIONS:
        raise NotSupported(f"The option ${own_name} is not supported. {advice}")
    if own_name not in SUPPORTED_OPTIONS:
        nearest = nearest_names(name, supported_names)
        pointer = json_pointer(("query", name))
        raise Malformed.of(
            [name_fault(pointer, "Unknown option{}.", name, nearest, code="unknown_option", advice=advice)]
        )


def check_no_options(options: QueryOptions, names: Iterable[str]) -> None:
    """Raise Malformed for a system option that this resource does not take. names: of those that it does, without `$`."""
    for name in options.system.keys() - {*names}:
        _fail(f"${name}", f"This resource does not take the option ${name}.", code="unknown_option")


def parse_parameters(options: QueryOptions, model: type[T]) -> T:
    """Return the custom query options as `model`. Raises Malformed."""
    try:
        return model.model_validate({name: _value_of(model, name, values) for name, values in options.custom.items()})
    except ValidationError as error:
        errors = [own | {"loc": ("query", *own["loc"])} for own in error.errors(include_url=False)]
        names = list(model.model_fields)
        raise Malformed.of(validation_faults(errors, fields=lambda _: names), code="invalid") from None


def _value_of(model: type[SetParameters], name: str, values: Sequence[str]) -> Any:
    if len(values) == 1:
        return values[0]
    if name in model.model_fields and "list" not in str(model.model_fields[name].annotation):
        _fail(name, "This option is given more than once. Send it once.", code="repeated")
    return list(values)


def bind_query(
    options: QueryOptions, entity_set: EntitySet, properties: Sequence[Property], *, page_rows: int = PAGE_ROWS
) -> Query:
    """Return what the query options want of an entity set. Raises Malformed."""
    by_name = {own.name: own for own in properties}
    system = options.system
    filter = parse_filter(system["filter"], by_name) if system.get("filter", "").strip() else None
    orders = tuple(parse_orders(system["orderby"], by_name)) if system.get("orderby", "").strip() else ()
    order_types = [own.expression.type for own in orders]
    mark = fingerprint(entity_set.name, options, order_types)
    token = system.get("skiptoken")
    after = decode_position(token, mark, order_types) if token is not None else None
    top, skip = _whole(system, "top"), _whole(system, "skip") or 0
    rows_left = after.rows_left if after is not None else top
    limit = page_rows if rows_left is None else min(page_rows, rows_left)
    if orders and skip + limit > MAX_SORTED_ROWS:
        detail = f"With $orderby, $skip and $top together may be at most {MAX_SORTED_ROWS:,}. Follow the links to next pages."
        _fail("$skip", detail, code="too_many_rows")
    return Query(
        properties=by_name,
        selection=_select(system.get("select"), by_name),
        filter=filter,
        orders=orders,
        limit=limit,
        skip=0 if after is not None else skip,
        rows_left=rows_left,
        after=after,
        wants_count=_truth(system, "count") and after is None,
        parameters=parse_parameters(options, entity_set.parameters),
        fingerprint=mark,
    )


def fingerprint(name: str, options: QueryOptions, order_types: Sequence[str]) -> str:
    """Return what a link to a next page has in common with the page before: rows, order and parameters.

    order_types: of the items of `$orderby`. An attribute that has become a text meanwhile has another order.
    """
    members = [name, options.system.get("filter"), options.system.get("orderby"), order_types]
    content = repr((members, sorted((own, [*values]) for own, values in options.custom.items())))
    return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()


def _select(text: str | None, properties: Mapping[str, Property]) -> tuple[Property, ...]:
    names = [name.strip() for name in (text or "").split(",")]
    if names == [""] or "*" in names:
        return tuple(properties.values())
    for name in names:
        if name not in properties:
            nearest = nearest_names(name, properties)
            sentence = "There is no property{}."
            raise Malformed.of([name_fault("/query/$select", sentence, name, nearest, code="unknown_property")])
    return tuple(properties[name] for name in dict.fromkeys(names))


def _whole(system: Mapping[str, str], name: str) -> int | None:
    text = system.get(name)
    if text is None:
        return None
    if not _WHOLE_NUMBER.fullmatch(text.strip()):
        _fail(f"${name}", "Expected a whole number, 0 or more.", code="invalid_option")
    return min(int(text), 2**62)


def _truth(system: Mapping[str, str], name: str) -> bool:
    text = system.get(name, "false").strip().lower()
    if text not in ("true", "false"):
        _fail(f"${name}", "Expected true or false.", code="invalid_option")
    return text == "true"
