"""What a call of Segment means: the event type that it becomes, or why it counts nothing.

A call comes from an app by Segment's libraries (`accept`), or from Segment itself as a delivery to a source (`app.inbound`). It
means the same on both ways.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from app.ingest.define import EVENT_TYPES
from app.ingest.payload import Fields, Ignored, text_of
from app.ingest.segment.names import TRACK_NAMES, TrackName, find_track_name

# The calls of Segment's specification.
CALLS = ("identify", "group", "track", "page", "screen", "alias")

_MAX_ATTRIBUTES = 100
_ANONYMOUS = Ignored("What people without a `userId` do counts nothing.")
_ALIAS = Ignored("An alias counts nothing: a user is known by one id, under which all calls have to come.")
# What they say is about the account. That a user's call says it means nothing.
_WITHOUT_USER = ("account.updated", "cost.recorded")

# Where the members of an event stand in a call.
_POINTERS = {
    "/id": "/messageId",
    "/account_id": "/context/groupId",
    "/user_id": "/userId",
    "/occurred_at": "/timestamp",
}

# What becomes what, for the reference.
BECOMES = (
    ("`group`", "`account.updated` with `name` and the other traits that are texts, numbers or truth values"),
    ("`identify`", "`user.registered`"),
    *(
        (f"`track` named `{own.name}`", f"`{own.type}`" if own.type else f"nothing. {own.reason}")
        for own in TRACK_NAMES.values()
    ),
    ("any other `track`", "`feature.used`; the feature is the name of the event"),
    ("`page` and `screen` with a name", "`feature.used`; the feature is `Viewed NAME Page` or `Viewed NAME Screen`"),
    ("`alias`, and a `page` or `screen` without a name", "nothing"),
)


class CallEvent(NamedTuple):
    """What a call becomes. account: the one that the call names. pointers: to the places of the call where the members of the
    event stand, by pointers to these: `/data/score` is `/properties/score`.
    """

    type: str
    account: str | None
    user: str | None
    data: Mapping[str, Any]
    pointers: Mapping[str, str]


def find_user(call: Fields) -> str | None:
    """Return the id of the user who made a call; None for an anonymous one."""
    return call.find_text("userId")


def find_account(call: Fields) -> str | None:
    """Return the account of a call: the group that it names itself, or in its context, or the company of the user's traits."""
    paths = (("groupId",), ("context", "groupId"), ("traits", "company", "id"), ("context", "traits", "company", "id"))
    return next((account for path in paths if (account := call.find_text(*path)) is not None), None)


def read_call(call: Fields, *, user: str | None) -> CallEvent | Ignored:
    """Return what a call becomes. call: with a type that is one of CALLS. user: who made it. Raises Untranslatable."""
    match call.text("type"):
        case "group":
            traits = {"/data": "/traits", "/data/attributes": "/traits", "/account_id": "/groupId"}
            return _event(call, "account.updated", None, _read_traits(call), traits)
        case "identify":
            return _ANONYMOUS if user is None else _event(call, "user.registered", user, {})
        case "track":
            return _read_track(call, user)
        case "page" | "screen" as kind:
            return _read_view(call, kind, user)
        case _:
            return _ALIAS


def _event(
    call: Fields,
    type: str,
    user: str | None,
    data: Mapping[str, Any],
    pointers: Mapping[str, str] = MappingProxyType({}),
) -> CallEvent:
    return CallEvent(type, find_account(call), user, data, {**_POINTERS, **pointers})


def _read_track(call: Fields, user: str | None) -> CallEvent | Ignored:
    event = call.text("event")
    track_name = find_track_name(event)
    if track_name is None:
        return _ANONYMOUS if user is None else _use(call, user, event, "/event")
    if not track_name.type:
        return Ignored(track_name.reason)
    if user is None and EVENT_TYPES[track_name.type].needs_user:
        return _ANONYMOUS
    properties = list(_read_properties(call, track_name))
    data = {field: value for field, _, value in properties}
    pointers = {"/data": "/properties"} | {
        f"/data/{field}": f"/properties/{name}" for field, name, _ in properties if name
    }
    return _event(call, track_name.type, None if track_name.type in _WITHOUT_USER else user, data, pointers)


def _read_view(call: Fields, kind: str, user: str | None) -> CallEvent | Ignored:
    """Return what a `page` or `screen` becomes: the use of a feature with the name that Segment gives to such calls."""
    name = call.find_text("name") or call.find_text("properties", "name")
    if user is None:
        return _ANONYMOUS
    if name is None:
        return Ignored(f"A {kind} without a name counts nothing.")
    category = call.find_text("category") or call.find_text("properties", "category")
    words = ["Viewed", category, name, kind.title()]
    return _use(call, user, " ".join(word for word in words if word), "/name")


def _use(call: Fields, user: str, feature: str, pointer: str) -> CallEvent:
    return _event(call, "feature.used", user, {"feature": feature}, {"/data/feature": pointer})


def _read_properties(call: Fields, track_name: TrackName) -> Iterator[tuple[str, str, Any]]:
    """Yield the fields of the event data, each with the name of the property that holds it, and its value.

    A property has the name of the field, as `subscription_id` or as `subscriptionId`. The name is empty for a default.
    """
    properties = call.find("properties")
    if not isinstance(properties, dict):
        properties = {}
    for field, is_text in _fields_of(track_name.type).items():
        names = (field, _camel(field), *track_name.properties.get(field, ()))
        name = next((own for own in names if properties.get(own) is not None), None)
        if name is not None:
            value = properties[name]
            # Many apps have numbers as ids.
            is_number = isinstance(value, int) and not isinstance(value, bool)
            yield field, name, (text_of(value) or value) if is_text and is_number else value
        elif field in track_name.defaults:
            yield field, "", track_name.defaults[field]


@cache
def _fields_of(type: str) -> dict[str, bool]:
    """Return the fields of the data of an event type but `extra`, each with whether it is a text."""
    schema = EVENT_TYPES[type].adapter.json_schema()
    data = schema["properties"]["data"]
    if "$ref" in data:
        data = schema["$defs"][data["$ref"].rpartition("/")[2]]
    return {name: own.get("type") == "string" for name, own in data["properties"].items() if name != "extra"}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _read_traits(call: Fields) -> dict[str, Any]:
    traits = call.find("traits")
    scalars = {
        name: value
        for name, value in (traits.items() if isinstance(traits, dict) else ())
        if isinstance(value, str | int | Decimal | bool) and name and name != "name"
    }
    attributes = dict(list(scalars.items())[:_MAX_ATTRIBUTES])
    data = {"name": call.find_text("traits", "name"), "attributes": attributes or None}
    return {name: value for name, value in data.items() if value is not None}
