"""Mappings of sources: which account and user an item is about, or, for any sender, which events a payload becomes."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.names import Fault, name_fault, nearest_names
from app.inbound.define import Context, Failure, Part, RawEvent
from app.inbound.expressions import Budget, Expression, TooManySteps, evaluate
from app.ingest.define import EVENT_TYPES
from app.ingest.payload import Fields, Ignored, Untranslatable, format_moment, text_of

MAX_RULES = 50
MAX_ITEMS = 10_000


class PersonMapping(BaseModel):
    """Where a vendor's payload says which account and which user it is about.

    JMESPath expressions over `{payload, item, headers}`: `item` is the object that the event is about.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    account_id: Expression | None = Field(None, description="Your id of the account. Default: what the vendor has.")
    user_id: Expression | None = Field(None, description="Your id of the user. Default: what the vendor has.")


class EventRule(BaseModel):
    """An event that an item becomes. All but `type` are JMESPath expressions over `{payload, item, headers}`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: str = Field(min_length=1, max_length=128, description="An event type, such as `session.ended`.")
    when: Expression | None = Field(None, description="Only for items of which this is true. Default: all.")
    id: Expression = Field(description="The sender's id of the event, the same whenever it is sent again.")
    account_id: Expression | None = Field(None, description="Your id of the account.")
    user_id: Expression | None = Field(None, description="Your id of the user.")
    occurred_at: Expression = Field(description="When it happened: a text with an offset, or seconds since 1970.")
    data: dict[Annotated[str, Field(max_length=128)], Expression] = Field(
        default_factory=dict, max_length=100, description="The event data by field. A field that is null is left out."
    )


class EventMapping(BaseModel):
    """Which events a payload becomes: each of its items those of all rules whose `when` is true."""

    model_config = ConfigDict(extra="forbid", strict=True)

    items: Expression | None = Field(
        None, description="The items of a payload, over `{payload, headers}`. Default: the payload is the only item."
    )
    events: list[EventRule] = Field(min_length=1, max_length=MAX_RULES)


def find_unknown_types(mapping: EventMapping) -> Iterator[Fault]:
    """Yield the faults of rules whose type does not exist: each of their events would be rejected."""
    for number, rule in enumerate(mapping.events):
        if rule.type not in EVENT_TYPES:
            pointer, nearest = f"/mapping/events/{number}/type", nearest_names(rule.type, EVENT_TYPES)
            advice = "GET /v1/event-types lists all event types."
            yield name_fault(pointer, "Unknown event type{}.", rule.type, nearest, code="unknown_type", advice=advice)


def map_events(payload: Any, context: Context, *, default_items: list[Any] | None = None) -> Iterator[Part]:
    """Yield the events that a mapping makes of a payload. default_items: where a mapping says none; else, the payload is one."""
    mapping, budget = context.mapping, context.budget
    if mapping is None:
        raise Untranslatable("The source has no mapping. PUT /v1/sources/{source} with one, then replay.")
    scope = {"payload": payload, "headers": context.headers}
    items = [payload] if default_items is None else default_items
    if (expression := mapping.get("items")) is not None:
        value = evaluate(expression, scope, "/mapping/items", budget)
        items = [] if value is None else value if isinstance(value, list) else [value]
    if len(items) * len(mapping["events"]) > MAX_ITEMS:
        raise Untranslatable(f"The payload has more than {MAX_ITEMS:,} items.")
    count = 0
    for item in items:
        for number, rule in enumerate(mapping["events"]):
            for part in _map_item(rule, f"/mapping/events/{number}", scope | {"item": item}, budget):
                count += 1
                yield part
    if not count:
        yield Ignored("No rule of the mapping is true of the payload.")


def _map_item(rule: dict[str, Any], pointer: str, scope: dict[str, Any], budget: Budget) -> Iterator[Part]:
    """Yield the event that a rule makes of an item, or why it makes none; nothing where the rule does not apply."""
    try:
        when = rule.get("when")
        if when is not None and not evaluate(when, scope, f"{pointer}/when", budget):
            return
        yield _map_event(rule, pointer, scope, budget)
    except TooManySteps:
        raise
    except Untranslatable as error:
        yield Failure(str(error))


def _map_event(rule: dict[str, Any], pointer: str, scope: dict[str, Any], budget: Budget) -> RawEvent:
    event: RawEvent = {"type": rule["type"]}
    for name in ("id", "account_id", "user_id"):
        if rule.get(name) is None:
            continue
        if (id := text_of(evaluate(rule[name], scope, f"{pointer}/{name}", budget))) is not None:
            event[name] = id
    if "id" not in event:
        raise Untranslatable(f"The expression at {pointer}/id finds no id.")
    occurred_at = evaluate(rule["occurred_at"], scope, f"{pointer}/occurred_at", budget)
    if occurred_at is None:
        raise Untranslatable(f"The expression at {pointer}/occurred_at finds no time.")
    fields = Fields({"occurred_at": occurred_at}, pointer)
    event["occurred_at"] = format_moment(fields.time("occurred_at"))
    data = {
        name: evaluate(expression, scope, f"{pointer}/data/{name}", budget)
        for name, expression in rule.get("data", {}).items()
    }
    event["data"] = {name: value for name, value in data.items() if value is not None}
    return event
