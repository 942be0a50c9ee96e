"""Declare topics: one block says what the data of its messages is, what it means, and shows an example.

    @topic("target.met", title="Target met", example={...})
    class TargetMet(MessageData):
        "A target is reached …"

        target: Annotated[str, Field(description="The id of the target.")]

The blocks are in `app.webhooks.catalogue`. `GET /v1/webhook-topics` and the OpenAPI document are made from them, and the tests
hold that what is published is as its block says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import cleandoc
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import NotRequired, TypedDict

from app.core.names import Fault, name_fault, nearest_names
from app.http.vocabularies import add_vocabulary

CLOSED = ConfigDict(extra="forbid")

Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Number = int | float


@with_config(CLOSED)
class AccountCard(TypedDict):
    """The account that a message is about, as it was at that moment."""

    id: Annotated[str, Field(description="Your id of the account.")]
    name: str | None
    attributes: Annotated[dict[str, Any], Field(description="The attributes of today, with `name` among them.")]


@with_config(CLOSED)
class Proof(TypedDict):
    """What shows a number to be right, as in answers to questions."""

    numerator: Number | None
    denominator: Number | None
    sample_size: int | None
    interval: NotRequired[Annotated[list[float] | None, Field(description="Low and high, at 95%.")]]
    reason: NotRequired[Annotated[str, Field(description="Why there is no value.")]]


@with_config(CLOSED)
class MetricNumber(TypedDict):
    """A number of a metric in one period."""

    metric: str
    convention: str
    group: Annotated[
        dict[str, str],
        Field(description="Of `segment`, `filter`, `account`, `subject` and `channel` those that narrow it."),
    ]
    granularity: Literal["day", "week", "month", "quarter", "year", "total"]
    period: Annotated[str, Field(description="The name of the period, such as `2026-03`.")]
    start: Day
    end: Annotated[Day, Field(description="The day after the last one of the period.")]
    complete: Annotated[bool, Field(description="Whether all days of the period have passed.")]
    value: Number | None
    previous: Annotated[
        Number | None, Field(description="The value before; the description of the topic says of when.")
    ]
    amount: NotRequired[Annotated[str, Field(description="The value of a metric in money, in the base currency.")]]
    proof: Proof


@with_config(CLOSED)
class Links(TypedDict):
    """Where to look. The links begin with the setting `PUBLIC_URL`; without it they are paths."""

    account: NotRequired[Annotated[str, Field(description="The overview of the account.")]]
    question: NotRequired[Annotated[str, Field(description="The question that answers the number.")]]
    feedback: NotRequired[Annotated[str, Field(description="The comment, where its status can be set.")]]


@with_config(CLOSED)
class MessageData(TypedDict):
    """What the data of every message may have."""

    links: NotRequired[Links]


@dataclass(frozen=True, slots=True)
class WebhookTopic:
    """A kind of message that endpoints subscribe to. schema: of its data, as JSON Schema. example: valid data."""

    name: str
    title: str
    description: str
    schema: Mapping[str, Any]
    example: Mapping[str, Any]


TOPICS: dict[str, WebhookTopic] = {}
add_vocabulary("TopicName", "The name of a topic of webhooks.", lambda: sorted(TOPICS))


def topic(name: str, *, title: str, example: Mapping[str, Any]) -> Callable[[type], type]:
    """Return a decorator that registers a class as the data of a topic.

    Raises ValueError for a name that exists and for a class without a docstring.
    """

    def register(data: type) -> type:
        if name in TOPICS or not data.__doc__:
            raise ValueError(f"The topic {name} is declared already or has no docstring.")
        TOPICS[name] = WebhookTopic(name, title, cleandoc(data.__doc__), TypeAdapter(data).json_schema(), example)
        return data

    return register


def describe_topic(entry: WebhookTopic) -> dict[str, Any]:
    """Return a topic as `GET /v1/webhook-topics` shows it."""
    names = ("name", "title", "description", "schema", "example")
    return {name: getattr(entry, name) for name in names}


def unknown_topic(name: str, pointer: str) -> Fault:
    """Return the fault of a topic that does not exist, with the nearest ones."""
    nearest, advice = nearest_names(name, TOPICS), "GET /v1/webhook-topics lists all topics."
    return name_fault(pointer, "Unknown topic{}.", name, nearest, code="unknown_topic", advice=advice)
