"""Sources: which vendor sends to which URL, with which secrets and mapping. Secrets are stored, and never shown again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.dialects.postgresql import insert

from app.books.books import Books
from app.core.errors import Conflict, Invalid, NotFound, json_pointer, validation_faults
from app.core.names import Fault, build_fault, field_finder, name_fault, nearest_names
from app.database.connection import Connection
from app.database.inbound_tables import delivery, source
from app.database.statements import BoundStatement, compile_query
from app.inbound.define import VENDORS, Vendor
from app.inbound.mapping import EventMapping, find_unknown_types

MAX_SECRETS = 5
MIN_SECRET_LENGTH = 16

Secret = Annotated[str, Field(min_length=MIN_SECRET_LENGTH, max_length=512)]


class SourceBody(BaseModel):
    """Who sends: a vendor, and how its deliveries are verified and translated."""

    model_config = ConfigDict(extra="forbid", strict=True)

    vendor: str = Field(
        max_length=128, description="An entry of `GET /v1/inbound-vendors`. It cannot be changed later."
    )
    secrets: list[Secret] | None = Field(
        None,
        min_length=1,
        max_length=MAX_SECRETS,
        description="The secrets of the sender, of which any may sign: during a rotation, the new one and the old one. They are "
        "never shown again. Left out, an existing source keeps those that it has.",
    )
    mapping: dict[str, Any] | None = Field(
        None,
        title="SourceMapping",
        description="JMESPath expressions. Of `generic`, which events a payload becomes; else which account it is about.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, title="SourceOptions", description="Settings that only some vendors have."
    )
    api_key: str | None = Field(
        None,
        min_length=MIN_SECRET_LENGTH,
        max_length=512,
        pattern="^[!-~]+$",
        description="Of vendors whose deliveries only name what happened: a key of their API, to read it. It is never shown "
        "again. Left out, an existing source keeps the one that it has; null removes it.",
    )


class DeliverySource(NamedTuple):
    """A source as it is stored."""

    id: str
    vendor: Vendor
    secrets: Sequence[str]
    mapping: Mapping[str, Any] | None
    options: Any
    put_at: datetime
    api_key: str | None

    def to_json(self, *, url: str) -> dict[str, Any]:
        """Return the source as the API shows it. Of the secrets and the key it shows the last four characters."""
        return {
            "id": self.id,
            "vendor": self.vendor.name,
            "url": url,
            "secrets": [_mask(secret) for secret in self.secrets],
            "mapping": self.mapping,
            "options": self.options.model_dump(exclude_defaults=True),
            "api_key": self.api_key and _mask(self.api_key),
            "put_at": self.put_at,
        }


def _mask(secret: str) -> str:
    return f"…{secret[-4:]}"


async def put_source(books: Books, id: str, body: SourceBody) -> DeliverySource:
    """Store a source, a new one or with other settings. Raises Invalid with all faults, and Conflict for another vendor."""
    vendor = _find_vendor(body.vendor)
    faults: list[Fault] = []
    options = _validate(vendor.options, body.options, "/options", faults)
    mapping = None if body.mapping is None else _validate(vendor.mapping, body.mapping, "/mapping", faults)
    if isinstance(mapping, EventMapping):
        faults += find_unknown_types(mapping)
    if mapping is None and body.mapping is None and vendor.mapping_required:
        faults.append(build_fault("/mapping", f"The vendor {vendor.name} needs a mapping.", code="missing"))
    if options is not None:
        faults += _secret_faults(vendor, options, body.secrets or ())
    faults += _character_faults(body.model_dump(), "")
    if body.api_key is not None and vendor.completion is None:
        detail = f"Deliveries of {vendor.title} need no key: they have all that is needed."
        faults.append(build_fault("/api_key", detail, code="api_key"))
    if faults:
        raise Invalid.of(faults, subject="The source", code="invalid")

    async def write(connection: Connection) -> DeliverySource:
        old = await _load(connection, id)
        if old is not None and old.vendor is not vendor:
            detail = "The source has another vendor. Delete it first, or use another name."
            raise Conflict(detail, code="other_vendor")
        if body.secrets is None and old is None:
            raise Invalid.at("/secrets", 'Field "secrets" is required.', code="missing")
        own_faults = _secret_faults(vendor, options, old.secrets) if old is not None and body.secrets is None else []
        if own_faults:
            raise Invalid.of(own_faults, subject="The source", code="invalid")
        secrets = body.secrets if body.secrets is not None else old.secrets if old is not None else ()
        values = {
            "vendor": vendor.name,
            "secrets": list(secrets),
            "mapping": mapping and mapping.model_dump(exclude_unset=True),
            "options": options.model_dump(exclude_unset=True),
            "put_at": books.clock(),
            "api_key": old.api_key if old is not None and "api_key" not in body.model_fields_set else body.api_key,
        }
        await connection.execute(
            insert(source).values(id=id, **values).on_conflict_do_update(index_elements=["id"], set_=values)
        )
        return DeliverySource(id, vendor, secrets, values["mapping"], options, values["put_at"], values["api_key"])

    return await books.database.write_aside(write)


def _find_vendor(name: str) -> Vendor:
    if name not in VENDORS:
        nearest = nearest_names(name, VENDORS)
        advice = f"There are: {', '.join(sorted(VENDORS))}."
        raise Invalid.of(
            [name_fault("/vendor", "Unknown vendor{}.", name, nearest, code="unknown_vendor", advice=advice)]
        )
    return VENDORS[name]


def _validate(model: type[BaseModel], raw: Mapping[str, Any], pointer: str, faults: list[Fault]) -> Any:
    """Return the valid model; None for an invalid one, of which the faults are added."""
    try:
        return model.model_validate(raw, strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        own_faults = validation_faults(errors, fields=field_finder(model.model_json_schema()))
        faults += [{**fault, "pointer": pointer + fault["pointer"]} for fault in own_faults]
        return None


def _secret_faults(vendor: Vendor, options: Any, secrets: Sequence[str]) -> list[Fault]:
    scheme = vendor.scheme_of(options)
    details = [scheme.find_fault(secret) for secret in secrets]
    return [
        build_fault(f"/secrets/{index}", detail, code="secret")
        for index, detail in enumerate(details)
        if detail is not None
    ]


def _character_faults(value: Any, pointer: str) -> list[Fault]:
    """Return the faults of texts that PostgreSQL cannot store."""
    if isinstance(value, dict):
        own_faults = _character_faults("".join(value), pointer)
        return own_faults or [
            fault for name, part in value.items() for fault in _character_faults(part, pointer + json_pointer((name,)))
        ]
    if isinstance(value, list):
        return [fault for index, part in enumerate(value) for fault in _character_faults(part, f"{pointer}/{index}")]
    if not isinstance(value, str) or "\0" not in value:
        return []
    return [build_fault(pointer, "A text must not contain U+0000.", code="control_character")]


_COLUMNS = [source.c[name] for name in DeliverySource._fields]
_FIND = compile_query(sa.select(*_COLUMNS).where(source.c.id == sa.bindparam("source_id", type_=sa.Text)))


async def find_source(books: Books, id: str) -> DeliverySource | None:
    """Return the source that a delivery names, without a transaction; None for an unknown one."""
    (rows,) = await books.database.look_up(
        lambda connection: connection.fetch_batch(BoundStatement(_FIND, {"source_id": id}))
    )
    return _to_source(*rows[0]) if rows else None


async def load_source(books: Books, id: str) -> DeliverySource:
    """Return a source. Raises NotFound."""

    async def read(connection: Connection) -> DeliverySource:
        if found_source := await _load(connection, id):
            return found_source
        raise await _source_not_found(connection, id)

    return await books.database.read(read)


async def _source_not_found(connection: Connection, id: str) -> NotFound:
    """Return the error of a source that does not exist, with the nearest ones."""
    existing = [row.id for row in await connection.execute(sa.select(source.c.id))]
    nearest, advice = nearest_names(id, existing), "GET /v1/sources lists all sources."
    fault = name_fault("/path/source", "Unknown source{}.", id, nearest, code="unknown_source", advice=advice)
    return NotFound.of([fault])


async def _load(connection: Connection, id: str) -> DeliverySource | None:
    rows = await connection.execute(sa.select(*_COLUMNS).where(source.c.id == id))
    return _to_source(*rows[0]) if rows else None


def _to_source(
    id: str, vendor_name: str, secrets: list[str], mapping: Any, options: Any, put_at: datetime, api_key: str | None
) -> DeliverySource:
    vendor = VENDORS[vendor_name]
    return DeliverySource(id, vendor, secrets, mapping, vendor.options.model_validate(options), put_at, api_key)


async def lock_source(connection: Connection, id: str) -> None:
    """Keep a source from being deleted before the transaction ends. Raises NotFound if it is deleted already."""
    query = sa.select(source.c.id).where(source.c.id == id).with_for_update(read=True, key_share=True)
    if not await connection.execute(query):
        raise await _source_not_found(connection, id)


async def list_sources(books: Books) -> list[tuple[DeliverySource, dict[str, int]]]:
    """Return all sources, each with the number of its kept deliveries by status."""

    async def load(connection: Connection) -> list[tuple[DeliverySource, dict[str, int]]]:
        rows = await connection.execute(sa.select(*_COLUMNS).order_by(source.c.id))
        count = sa.func.count().label("number")
        query = sa.select(delivery.c.source, delivery.c.status, count).group_by(delivery.c.source, delivery.c.status)
        counts: dict[str, dict[str, int]] = {}
        for row in await connection.execute(query):
            counts.setdefault(row.source, {})[row.status] = row.number
        return [(_to_source(*row), counts.get(row.id, {})) for row in rows]

    return await books.database.read(load)


async def delete_source(books: Books, id: str) -> None:
    """Delete a source and its kept deliveries. The events that they became stay. Raises NotFound."""

    async def write(connection: Connection) -> None:
        if not (await connection.execute(sa.delete(source).where(source.c.id == id))).row_count:
            raise await _source_not_found(connection, id)
        await connection.execute(sa.delete(delivery).where(delivery.c.source == id))

    await books.database.write_aside(write)
