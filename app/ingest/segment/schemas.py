"""The bodies and answers of the endpoints for Segment's libraries, as the OpenAPI document shows them.

Requests are not validated by these models: of a call, only what it means is read, and all else may be whatever a library sends.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from app.http.openapi import EXAMPLE_DAY
from app.ingest.outcome import Rejection


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow", alias_generator=to_camel)


class SegmentContext(_Object):
    """What surrounds a call. Only the account is read."""

    group_id: str | int | None = Field(None, description="The account, your id of it. Every call but `group` needs it.")


class _SegmentCall(_Object):
    message_id: str | None = Field(
        None,
        description="The id of the call, unique within its account for ever. A call without one needs a `timestamp`.",
    )
    user_id: str | int | None = Field(None, description="Your id of the person. A call without one is anonymous.")
    anonymous_id: str | int | None = Field(None, description="Not read.")
    timestamp: str | None = Field(
        None,
        description="When it happened, by the clock of the sender: ISO 8601 with an offset. Default: when it is received.",
        json_schema_extra={"format": "date-time"},
    )
    original_timestamp: str | None = Field(
        None,
        description="The time by the clock of the sender. With it, `timestamp` is correct already.",
        json_schema_extra={"format": "date-time"},
    )
    sent_at: str | None = Field(
        None,
        description="When the request is sent, by the clock of the sender. `timestamp` is corrected by its difference from "
        "the clock of the service. In a batch, only that of the batch counts.",
        json_schema_extra={"format": "date-time"},
    )
    context: SegmentContext | None = None


class SegmentIdentify(_SegmentCall):
    """A person became known. Registers the user."""

    type: Literal["identify"] = "identify"
    traits: dict[str, Any] | None = Field(None, description="Of the person. Not stored.")


class SegmentGroup(_SegmentCall):
    """What is true of an account. Sets its name and attributes."""

    type: Literal["group"] = "group"
    group_id: str | int = Field(description="The account, your id of it.")
    traits: dict[str, Any] | None = Field(
        None,
        description="`name` and attributes of the account. What is neither text, number nor truth value is left out.",
    )


class SegmentTrack(_SegmentCall):
    """Something happened. The name says which event it becomes; a name of your own is the use of a feature."""

    type: Literal["track"] = "track"
    event: str = Field(description="Such as `Survey Responded`, `Subscription Changed`, or a name of your own.")
    properties: dict[str, Any] | None = Field(
        None, description="The fields of the event data, such as `score` or `subscription_id`. Others are left out."
    )


class SegmentPage(_SegmentCall):
    """A person saw a page. With a name, it is the use of the feature `Viewed NAME Page`."""

    type: Literal["page"] = "page"
    name: str | None = None
    category: str | None = None
    properties: dict[str, Any] | None = None


class SegmentScreen(_SegmentCall):
    """A person saw a screen. With a name, it is the use of the feature `Viewed NAME Screen`."""

    type: Literal["screen"] = "screen"
    name: str | None = None
    category: str | None = None
    properties: dict[str, Any] | None = None


class SegmentAlias(_SegmentCall):
    """Two ids of one person. Counts nothing: send all calls of a person under one id."""

    type: Literal["alias"] = "alias"
    previous_id: str | int | None = None


# By the kind of call.
CALL_MODELS: dict[str, type[BaseModel]] = {
    "identify": SegmentIdentify,
    "group": SegmentGroup,
    "track": SegmentTrack,
    "page": SegmentPage,
    "screen": SegmentScreen,
    "alias": SegmentAlias,
}
SegmentCall = SegmentIdentify | SegmentGroup | SegmentTrack | SegmentPage | SegmentScreen | SegmentAlias


class SegmentBatch(_Object):
    """Calls of any kind, each with its `type`."""

    batch: list[SegmentCall] = Field(max_length=10_000)
    context: SegmentContext | None = Field(None, description="Belongs to every call; that of a call comes first.")
    sent_at: str | None = Field(
        None,
        description="When the request is sent, by the clock of the sender. The times of all calls are corrected by its "
        "difference from the clock of the service.",
        json_schema_extra={"format": "date-time"},
    )
    write_key: str | None = Field(None, description="The key, if no header has it.")


class IgnoredCall(TypedDict):
    """A call that counts nothing: its position in the request (from 0), its messageId, and why."""

    index: int
    id: str | None
    detail: str


class SegmentAnswer(TypedDict):
    """What became of the calls. Accepted ones are durable, counted, and in the next answer.

    `success` says that the request was read. Look at `rejected` as well.
    """

    success: Literal[True]
    accepted: int
    duplicates: int
    ignored: Annotated[list[IgnoredCall], Field(description="Calls that count nothing by intention.")]
    rejected: Annotated[list[Rejection], Field(description="`id` is the messageId, `pointer` points into the call.")]


_TIME = f"{EXAMPLE_DAY}T09:30:00Z"
_SHARED = {"userId": "ada@acme.example", "timestamp": _TIME, "context": {"groupId": "acme"}}
# What /docs sends by "Try it out", by the kind of call. Their ids have the day in them: see `http.document`.
EXAMPLES: dict[str, dict[str, Any]] = {
    "identify": {"messageId": f"identify-{EXAMPLE_DAY}", **_SHARED, "traits": {"email": "ada@acme.example"}},
    "group": {
        "messageId": f"group-{EXAMPLE_DAY}",
        **_SHARED,
        "groupId": "acme",
        "traits": {"name": "Acme Ltd", "plan": "enterprise", "employees": 420},
    },
    "track": {
        "messageId": f"track-{EXAMPLE_DAY}",
        **_SHARED,
        "event": "Survey Responded",
        "properties": {"survey": "nps", "score": 9, "comment": "Exports have become fast."},
    },
    "page": {"messageId": f"page-{EXAMPLE_DAY}", **_SHARED, "name": "Pricing"},
    "screen": {"messageId": f"screen-{EXAMPLE_DAY}", **_SHARED, "name": "Home"},
    "alias": {"messageId": f"alias-{EXAMPLE_DAY}", **_SHARED, "previousId": "39239-239239"},
}
EXAMPLE_BATCH: dict[str, Any] = {
    "batch": [
        {"type": kind, **EXAMPLES[kind], "messageId": f"{kind}-in-batch-{EXAMPLE_DAY}"}
        for kind in ("identify", "group", "track", "page")
    ]
}
