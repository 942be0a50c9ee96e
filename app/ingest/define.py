"""Declare event types: one block says what data an event has, what it means and what it posts to the ledger.

    @event(
        "session.ended",
        user=True,
        example={"duration_seconds": 1260},
        posts=lambda e: [Line(sessions, 1), Line(session_seconds, e.data["duration_seconds"])],
        sees=lambda e: [Activity(active_users)],
    )
    class SessionEnded(Data):
        "A user's session in the product has ended."

        duration_seconds: Annotated[int, Field(ge=0, le=31 * 86_400)]

The fields of the class are the event's `data`, its docstring is the documentation. Validation, OpenAPI, the reference page and
posting all read this one block. The blocks are in `app.ingest.catalogue`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import NotRequired, TypedDict

from app.ingest.fields import Day, Extra, Id, Time
from app.ledger.measures import POSTING_RULES, Activity, EventView, Line, PostingRule
from app.ledger.recording import record_targets

STRICT = ConfigDict(extra="forbid", strict=True)


@with_config(STRICT)
class Data(TypedDict):
    """The fields that the data of every event may have."""

    extra: NotRequired[Extra]


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type as clients send it. How it reaches the ledger is its `PostingRule`.

    example: valid data. envelope: the TypedDict of a whole event; adapter: its validator. if_missing: by field of the data, what
    to do when it is missing. effect_field: the name of the field of its data that says when the event takes effect; empty where
    it has none.
    """

    name: str
    description: str
    needs_user: bool
    examples: Sequence[Mapping[str, Any]]
    envelope: type
    adapter: TypeAdapter[Any]
    if_missing: Mapping[str, str]
    effect_field: str

    @property
    def example(self) -> Mapping[str, Any]:
        """The example that is published."""
        return self.examples[0]


EVENT_TYPES: dict[str, EventType] = {}

_EFFECT_FIELDS = ("effective_at", "ends_at")

# The descriptions of the fields that all events share.
_SHARED_FIELDS = {
    "id": "Your id of the event, unique within its account for ever. The same event sent again counts once.",
    "type": "What happened.",
    "account_id": "Your id of the account. The account exists as soon as an event names it.",
    "user_id": "Your id of the person, unique within the account.",
    "occurred_at": "When it happened: RFC 3339 with an offset, 1970 or later, at most 24 hours ahead.",
    "recorded_on": "Day on which the event became known, for importing history (scope `admin`). Default: today.",
}


def event(
    name: str,
    *,
    example: Mapping[str, Any],
    more_examples: Sequence[Mapping[str, Any]] = (),
    user: bool = False,
    account: bool = True,
    rank: int = 0,
    check: Callable[[Any], Any] | None = None,
    if_missing: Mapping[str, str] = MappingProxyType({}),
    posts: Callable[[EventView], Iterable[Line]] | None = None,
    sees: Callable[[EventView], Iterable[Activity]] | None = None,
    stream: Callable[[EventView], str | None] | None = None,
    sequence: Callable[[EventView], str] | None = None,
) -> Callable[[type], type]:
    """Return a decorator that registers a class as the data of an event type.

    example, more_examples: valid data; together they reach every measure that `posts` may post to. user, account: whether
    `user_id`, `account_id` are required. check: validates the data as a whole, after its fields. if_missing: see `EventType`.
    rank, posts, sees, stream, sequence: how events reach the ledger, see `PostingRule`. Raises ValueError for a name that is
    taken and for a class without a docstring.
    """

    def register(data: type) -> type:
        if name in EVENT_TYPES or not data.__doc__:
            raise ValueError(f"The event type {name} is declared already or has no docstring.")
        checked_data = data if check is None else Annotated[data, AfterValidator(check)]
        envelope = _build_envelope(name, data, checked_data, needs_account=account, needs_user=user)
        adapter: TypeAdapter[Any] = TypeAdapter(envelope)
        examples = [example, *more_examples]
        targets = record_targets(name, examples, may_lack_account=not account, posts=posts, sees=sees)
        effect_field = next((field for field in _EFFECT_FIELDS if field in data.__annotations__), "")
        description = cleandoc(data.__doc__)
        EVENT_TYPES[name] = EventType(name, description, user, examples, envelope, adapter, if_missing, effect_field)
        POSTING_RULES[name] = PostingRule(rank, posts, sees, stream, sequence, targets)
        return data

    return register


def _build_envelope(name: str, data: type, checked_data: Any, *, needs_account: bool, needs_user: bool) -> type:
    """Return the type of a whole event. checked_data: the class of its data with what validates it as a whole."""
    fields = {
        "id": Id,
        "type": Literal[name],
        "account_id": Id if needs_account else NotRequired[Id],
        "user_id": Id if needs_user else NotRequired[Id],
        "occurred_at": Time,
        "recorded_on": NotRequired[Day],
    }
    # A shared field is described here, and not in its type, which other fields have, too.
    shared_fields = {field: Annotated[type, Field(description=_SHARED_FIELDS[field])] for field, type in fields.items()}
    envelope = TypedDict(data.__name__ + "Event", shared_fields | {"data": checked_data})  # type: ignore[misc]
    envelope.__doc__ = data.__doc__
    return with_config(STRICT)(envelope)
