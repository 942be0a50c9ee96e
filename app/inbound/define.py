"""How a vendor is declared: how its deliveries are verified, and a generator that turns a payload into events.

    @vendor(title="Acme CRM", scheme=Hmac("X-Acme-Signature"), documentation="https://…", example={…})
    def acme(payload: Fields, context: Context) -> Iterator[Part]:
        "Tickets of Acme CRM."
        yield context.event("ticket.opened", id=payload.text("id"), …)

The name of the function is the name of the vendor, its docstring documents what becomes what. The generator yields events, and
an `Ignored` or a `Remark` for what the sender should know; it raises Untranslatable for what it cannot translate.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from app.http.encoding import parse_json
from app.inbound.expressions import Budget, evaluate
from app.inbound.schemes import Scheme
from app.ingest.decode import UndecodableEvent
from app.ingest.payload import Fields, Ignored, Untranslatable, event_id, format_moment, text_of

if TYPE_CHECKING:
    from app.inbound.fetch import VendorApi


class Remark(NamedTuple):
    """What is to be known about an event that a delivery became. reason: a sentence."""

    reason: str


class Failure(NamedTuple):
    """A part of a delivery that cannot be translated, while others can. reason: a sentence."""

    reason: str


RawEvent = dict[str, Any]
Part = RawEvent | Ignored | Remark | Failure | UndecodableEvent


class NoOptions(BaseModel):
    """The options of a vendor that has none."""

    model_config = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Context:
    """What a translation needs besides the payload.

    options: of the source, validated by the vendor's model. mapping: of the source; None without one. headers: those that the
    vendor reads, in lower case. body: as it was received. day_of: returns the day of a time in the reporting time zone.
    position: of the delivery within its moment, in microseconds; None for a vendor without an `Ordering`. successor: the payload
    that is to count after this one, though it has an earlier position; see `order`. budget: of the expressions.
    """

    vendor: str
    options: Any
    mapping: Mapping[str, Any] | None
    headers: Mapping[str, str]
    body: bytes
    day_of: Callable[[datetime], date]
    position: int | None = None
    successor: Any = None
    budget: Budget = field(default_factory=Budget)

    def event(
        self,
        type: str,
        *,
        id: str,
        account: str,
        at: datetime,
        user: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> RawEvent:
        """Return an event. id: of the vendor's event, and of the part of it if it becomes several. data: None is left out."""
        event: RawEvent = {
            "id": event_id(self.vendor, id),
            "type": type,
            "account_id": account,
            "occurred_at": format_moment(at),
            "data": {name: value for name, value in (data or {}).items() if value is not None},
        }
        return event if user is None else event | {"user_id": user}

    def account(self, payload: Fields, item: Fields, default: str | None) -> str:
        """Return the account that an item of the payload is about: by the mapping of the source, else `default`.

        Raises Untranslatable without one.
        """
        account = self._map("account_id", payload, item, default)
        if account is None:
            raise Untranslatable("There is no account. Set `account_id` in the mapping of the source.")
        return account

    def user(self, payload: Fields, item: Fields, default: str | None) -> str | None:
        """Return the user that an item of the payload is about, as `account` does; None without one."""
        return self._map("user_id", payload, item, default)

    def _map(self, name: str, payload: Fields, item: Fields, default: str | None) -> str | None:
        expression = (self.mapping or {}).get(name)
        if expression is None:
            return default
        scope = {"payload": payload.raw, "item": item.raw, "headers": self.headers}
        return text_of(evaluate(expression, scope, f"/mapping/{name}", self.budget))


Translate = Callable[[Any, Context], Iterator[Part]]


class Reply(NamedTuple):
    """A response that a vendor expects in place of the usual one."""

    body: bytes
    media_type: str


class Ordering(NamedTuple):
    """How a vendor whose times are coarse says which of two payloads about one object came first.

    find_moment: returns what the payloads about an object at one time have in common; None for one that needs no order.
    compare: returns -1 if the first of two payloads of a moment came first, 1 if the second did, 0 if they do not say it.
    identify: returns the id of the event that a payload is.
    """

    find_moment: Callable[[Any], str | None]
    compare: Callable[[Any, Any], int]
    identify: Callable[[Any], str]


class Completion(NamedTuple):
    """How what a payload only names is read from the vendor's API. url: of the API. complete: returns the whole
    payload, from a payload, the API and the options of the source; None where nothing is missing.
    """

    url: str
    complete: Callable[[Any, "VendorApi", Any], Awaitable[Any]]


@dataclass(frozen=True)
class Vendor:
    """An entry of the catalogue.

    becomes: what of the vendor becomes what, for the reference. scheme_of: returns the scheme by the options. example: a payload.
    headers: those that its translation reads, in lower case; they are kept, as all that begin with one that ends with a hyphen.
    options, mapping: the models of the options and the mapping of a source.
    mapping_required: whether nothing can be translated without one. parse: returns the payload of a body. find_id: returns the
    vendor's id of a delivery; without one, it is a hash of the body. reply: returns the response to a body; None: the usual one.
    ordering, completion: None for a vendor that needs none.
    """

    name: str
    title: str
    description: str
    documentation: str
    becomes: Sequence[tuple[str, str]]
    scheme_of: Callable[[Any], Scheme]
    translate: Translate
    example: Any
    headers: tuple[str, ...]
    options: type[BaseModel]
    mapping: type[BaseModel]
    mapping_required: bool
    example_mapping: Mapping[str, Any] | None
    example_options: Mapping[str, Any]
    parse: Callable[[bytes], Any]
    find_id: Callable[[Any, Mapping[str, str]], str | None]
    reply: Callable[[bytes], Reply | None]
    ordering: Ordering | None
    completion: Completion | None


VENDORS: dict[str, Vendor] = {}


def find_member(name: str) -> Callable[[Any, Mapping[str, str]], str | None]:
    """Return a function that returns a member of the payload as the id of a delivery."""
    return lambda payload, headers: text_of(payload.get(name)) if isinstance(payload, dict) else None


def vendor(
    *,
    title: str,
    scheme: Scheme | Callable[[Any], Scheme],
    documentation: str,
    example: Any,
    becomes: Sequence[tuple[str, str]],
    mapping: type[BaseModel],
    headers: tuple[str, ...] = (),
    options: type[BaseModel] = NoOptions,
    mapping_required: bool = False,
    example_mapping: Mapping[str, Any] | None = None,
    example_options: Mapping[str, Any] | None = None,
    parse: Callable[[bytes], Any] = parse_json,
    find_id: Callable[[Any, Mapping[str, str]], str | None] = find_member("id"),
    reply: Callable[[bytes], Reply | None] = lambda body: None,
    ordering: Ordering | None = None,
    completion: Completion | None = None,
) -> Callable[[Translate], Vendor]:
    """Register a vendor; see `Vendor`. Raises ValueError for a name that is taken and for a function without a docstring."""

    def register(translate: Translate) -> Vendor:
        name = translate.__name__
        if name in VENDORS or not translate.__doc__:
            raise ValueError(f"The vendor {name} exists already or has no documentation.")
        VENDORS[name] = entry = Vendor(
            name=name,
            title=title,
            description=cleandoc(translate.__doc__),
            documentation=documentation,
            becomes=becomes,
            scheme_of=scheme if callable(scheme) else lambda _: scheme,
            translate=translate,
            example=example,
            headers=headers,
            options=options,
            mapping=mapping,
            mapping_required=mapping_required,
            example_mapping=example_mapping,
            example_options=example_options or {},
            parse=parse,
            find_id=find_id,
            reply=reply,
            ordering=ordering,
            completion=completion,
        )
        return entry

    return register
