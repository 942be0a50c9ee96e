"""How an event type is declared, and how one event that came in is read by its declaration.

    @event("session.ended", user=True, example={"duration_seconds": 1260}, posts=lambda e: [...])
    class SessionEnded(Data):
        "A user's session in the product has ended."
        duration_seconds: ...

The name is the key, the docstring the documentation, the fields of the class the event's `data`. Registering it gives it
its validation, its place in the OpenAPI document and on the reference page, and its postings.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from inspect import cleandoc
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import NotRequired, TypedDict

from app.accounts.accounts import account_key
from app.core.errors import EventRejected, validation_faults
from app.database.tables import WHOLE_BUSINESS
from app.ingest.exchange_rates import ExchangeRate
from app.ingest.fields import Day, Extra, Id, Time
from app.ledger.measures import POSTING_RULES, Activity, EventView, Line, PostingRule
from app.ledger.posting import EventPosting
from app.ledger.recording import record_targets
from app.ledger.surveys import Survey

STRICT = ConfigDict(extra="forbid", strict=True)
# How the ids of events begin that the service itself makes of a PUT of an account.
RESERVED_ID_PREFIX = "PUT "
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(hours=24)


@with_config(STRICT)
class Data(TypedDict):
    """What every event's data may have."""

    extra: NotRequired[Extra]


@dataclass(frozen=True, slots=True)
class EventType:
    """A kind of event, as it comes in; how it is counted is its `PostingRule`."""

    name: str
    description: str
    needs_user: bool
    examples: Sequence[Mapping[str, Any]]
    envelope: type
    adapter: TypeAdapter[Any]

    @property
    def example(self) -> Mapping[str, Any]:
        """The example that is published."""
        return self.examples[0]


@dataclass(slots=True)
class IncomingEvent:
    """An event as it was read. `index` is its place in the request; `account` the client's id, `account_id` ours.

    replaces: how the ids of events begin that it takes the place of, if they are of its account, type and moment.
    survey, rate, record: by what it is read, and what it posts; recorded_on: set under its account's lock.
    """

    index: int
    id: str
    type: str
    account: str
    account_id: int
    user_id: str | None
    occurred_at: datetime
    backdated_to: date | None
    data: dict[str, Any]
    fingerprint: int
    replaces: str = ""
    survey: Survey | None = None
    rate: ExchangeRate | None = None
    record: EventPosting | None = None
    recorded_on: date | None = None


EVENT_TYPES: dict[str, EventType] = {}

# The descriptions of the fields that all events share.
_SHARED_FIELDS = {
    "id": "Your id of the event, unique within its account for ever. The same event sent again counts once.",
    "type": "What happened.",
    "account_id": "Your id of the account. The account exists as soon as an event names it.",
    "user_id": "Your id of the person, unique within the account.",
    "occurred_at": "When it happened: RFC 3339 with an offset, 1970 or later, at most 24 hours ahead.",
    "recorded_on": "Day on which the event became known, for importing history (scope `admin`). Default: today.",
}


def _described(type: Any, field: str) -> Any:
    """Return the type of a shared field with the field's description."""
    return Annotated[type, Field(description=_SHARED_FIELDS[field])]


def event(
    name: str,
    *,
    example: Mapping[str, Any],
    more_examples: Sequence[Mapping[str, Any]] = (),
    user: bool = False,
    account: bool = True,
    rank: int = 0,
    check: Callable[[Any], Any] | None = None,
    posts: Callable[[EventView], Iterable[Line]] | None = None,
    sees: Callable[[EventView], Iterable[Activity]] | None = None,
    stream: Callable[[EventView], str | None] | None = None,
) -> Callable[[type], type]:
    """Register an event type. Raises ValueError without a docstring or for a name taken.

    check: looks at its whole data. posts, sees, stream: how it reaches the ledger, see `PostingRule`. The examples are valid
    data; together they reach every measure that `posts` may post to.
    """

    def register(data: type) -> type:
        if name in EVENT_TYPES or not data.__doc__:
            raise ValueError(f"The event type {name} exists already or has no documentation.")
        envelope = with_config(STRICT)(
            TypedDict(  # type: ignore[operator]
                data.__name__ + "Event",
                {
                    "id": _described(Id, "id"),
                    "type": _described(Literal[name], "type"),
                    "account_id": _described(Id if account else NotRequired[Id], "account_id"),
                    "user_id": _described(Id if user else NotRequired[Id], "user_id"),
                    "occurred_at": _described(Time, "occurred_at"),
                    "recorded_on": _described(NotRequired[Day], "recorded_on"),
                    "data": data if check is None else Annotated[data, AfterValidator(check)],
                },
            )
        )
        envelope.__doc__ = data.__doc__
        adapter = TypeAdapter(envelope)
        examples = [example, *more_examples]
        targets = record_targets(name, examples, may_lack_account=not account, posts=posts, sees=sees)
        EVENT_TYPES[name] = EventType(name, cleandoc(data.__doc__), user, examples, envelope, adapter)
        POSTING_RULES[name] = PostingRule(rank, posts, sees, stream, targets)
        return data

    return register


def read_event(raw: Any, *, index: int, now: datetime) -> IncomingEvent:
    """One event of a request. Raises Rejected with the reason and a pointer into the event."""
    if not isinstance(raw, dict):
        raise EventRejected("not_an_object", "An event is a JSON object.")
    if "type" not in raw:
        raise EventRejected("missing", "This is needed.", "/type")
    name = raw.get("type")
    kind = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise EventRejected("unknown_type", "There is no such event type; /docs lists them.", "/type")
    try:
        fields = kind.adapter.validate_python(raw)
    except ValidationError as error:
        # The first fault is enough to mend the event; the message never repeats what was sent.
        fault = validation_faults(error.errors(include_url=False, include_input=False))[0]
        raise EventRejected(fault["code"], fault["detail"], fault["pointer"]) from None
    _check_time(fields["occurred_at"], fields.get("recorded_on"), now=now)
    account = fields.get("account_id", "")
    if not account and "user_id" in fields:
        raise EventRejected(
            "no_account", "A user is one of an account's; without an account there is none.", "/user_id"
        )
    return IncomingEvent(
        index=index,
        id=fields["id"],
        type=kind.name,
        account=account,
        account_id=account_key(account) if account else WHOLE_BUSINESS,
        user_id=fields.get("user_id"),
        occurred_at=fields["occurred_at"],
        backdated_to=fields.get("recorded_on"),
        data=fields["data"],
        fingerprint=_fingerprint(fields),
    )


def _check_time(occurred_at: datetime, backdated_to: date | None, *, now: datetime) -> None:
    if occurred_at < _EARLIEST:
        raise EventRejected("too_old", "An event occurred in 1970 or later.", "/occurred_at")
    if backdated_to is not None and backdated_to < _EARLIEST.date():
        raise EventRejected("too_old", "An event became known in 1970 or later.", "/recorded_on")
    if occurred_at > now + _AHEAD:
        raise EventRejected("in_the_future", "An event is at most 24 hours ahead.", "/occurred_at")


_spelled = json.JSONEncoder(sort_keys=True).encode


def _fingerprint(fields: Mapping[str, Any]) -> int:
    """A number of the content: what the event says, however it was spelled; the day it became known is not part of it."""
    at = fields["occurred_at"].astimezone(UTC).isoformat()
    content = _spelled([fields["type"], fields.get("user_id"), at, fields["data"]])
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), signed=True)
