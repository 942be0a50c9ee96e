"""Topics about numbers: alerts, restatements and targets."""

from typing import Annotated, Any

from pydantic import Field, with_config
from typing_extensions import NotRequired, TypedDict

from app.webhooks.define import CLOSED, AccountCard, Day, MessageData, MetricNumber, Number, Time, topic

_QUESTION = "https://metrics.example.com/v1/metrics/nps?period=2026-03&segment=enterprise"
_NPS: dict[str, Any] = {
    "metric": "nps",
    "convention": "standard",
    "group": {"segment": "enterprise"},
    "granularity": "month",
    "period": "2026-03",
    "start": "2026-03-01",
    "end": "2026-04-01",
    "complete": False,
    "value": 18,
    "previous": 32,
    "proof": {"numerator": 9, "denominator": 50, "sample_size": 50, "interval": [-4.1, 38.2]},
}


@with_config(CLOSED)
class AlertCondition(TypedDict):
    """What the alert waits for, as it was put."""

    above: NotRequired[Number]
    below: NotRequired[Number]
    change_percent: NotRequired[Number]
    margin: Annotated[Number, Field(description="How far the number must be on the other side before it resolves.")]
    for_periods: int
    min_sample: NotRequired[int]


class AlertData(MessageData):
    """What both messages of an alert have."""

    alert: Annotated[str, Field(description="The id of the alert.")]
    account: NotRequired[Annotated[AccountCard, Field(description="Of an alert on each account: which one.")]]
    condition: AlertCondition
    number: MetricNumber


@topic(
    "alert.triggered",
    title="Alert triggered",
    example={
        "alert": "nps-enterprise",
        "condition": {"below": 20, "margin": 4, "for_periods": 1, "min_sample": 30},
        "number": _NPS,
        "sentence": "Net Promoter Score (NPS) of enterprise is 18 in 2026-03, below 20.",
        "triggered_at": "2026-03-14T09:30:00+00:00",
        "links": {"question": _QUESTION},
    },
)
class AlertTriggered(AlertData):
    """A number has crossed the threshold of an alert.

    It comes once for each crossing: the next one comes after `alert.resolved`. `previous` is the value of the period before.
    """

    sentence: Annotated[str, Field(description="What has happened, for people.")]
    triggered_at: Time


@topic(
    "alert.resolved",
    title="Alert resolved",
    example={
        "alert": "nps-enterprise",
        "condition": {"below": 20, "margin": 4, "for_periods": 1, "min_sample": 30},
        "number": _NPS | {"value": 26, "proof": _NPS["proof"] | {"numerator": 13}},
        "sentence": "Net Promoter Score (NPS) of enterprise is 26 in 2026-03, no longer below 20.",
        "triggered_at": "2026-03-14T09:30:00+00:00",
        "resolved_at": "2026-03-16T11:00:00+00:00",
        "links": {"question": _QUESTION},
    },
)
class AlertResolved(AlertData):
    """The number of an alert is back on the other side of its threshold. `previous` is the value of the period before."""

    sentence: Annotated[str, Field(description="What has happened, for people.")]
    triggered_at: Time
    resolved_at: Time


@with_config(CLOSED)
class CausingEvents(TypedDict):
    """How many events of a type were recorded or retracted on the day of the change."""

    type: str
    arrivals: Annotated[int, Field(alias="arrived")]
    retractions: Annotated[int, Field(alias="retracted")]


@topic(
    "metric.restated",
    title="Metric restated",
    example={
        "number": _NPS | {"period": "2026-02", "start": "2026-02-01", "end": "2026-03-01", "complete": True},
        "recorded_on": "2026-03-14",
        "events": [{"type": "survey.responded", "arrived": 3, "retracted": 0}],
        "event_ids": ["r-15", "r-16", "r-17"],
        "named_by": ["nps-enterprise"],
        "links": {"question": "https://metrics.example.com/v1/metrics/nps/restatements?period=2026-02"},
    },
)
class MetricRestated(MessageData):
    """A number of a period that had ended has changed, after the closing days of the books.

    It comes for the metrics that alerts and targets name; of an alert on each account, for each account whose number has changed.
    `previous` is the value before the change.
    """

    number: MetricNumber
    account: NotRequired[Annotated[AccountCard, Field(description="Of an alert on each account: which one.")]]
    recorded_on: Annotated[Day, Field(description="The day of the change.")]
    events: list[CausingEvents]
    event_ids: Annotated[list[str], Field(description="Your ids of events that caused it; at most 20 of them.")]
    named_by: Annotated[list[str], Field(description="The ids of the alerts and targets that name the metric.")]


class TargetData(MessageData):
    """What both messages of a target have."""

    target: Annotated[str, Field(description="The id of the target.")]
    number: MetricNumber
    target_value: Number
    target_amount: NotRequired[Annotated[str, Field(description="The target of a metric in money.")]]
    baseline: Number | None
    attainment: Annotated[
        Number | None, Field(description="The percentage of the way from the baseline to the target.")
    ]
    gap: Annotated[Number | None, Field(description="What is missing to the target.")]


_TARGET: dict[str, Any] = {
    "target": "nps-q1",
    "number": _NPS | {"granularity": "quarter", "period": "2026-Q1", "start": "2026-01-01", "complete": True},
    "target_value": 25,
    "baseline": 0,
    "attainment": 72,
    "gap": 7,
    "links": {"question": "https://metrics.example.com/v1/metrics/nps?period=2026-Q1&granularity=quarter"},
}


@topic("target.missed", title="Target missed", example=_TARGET)
class TargetMissed(TargetData):
    """A period of a target has ended, and its value is short of the target. `previous` is the value of the period before."""


@topic(
    "target.met",
    title="Target met",
    example=_TARGET | {"number": _TARGET["number"] | {"value": 27}, "attainment": 108, "gap": 0},
)
class TargetMet(TargetData):
    """The value of a period has reached its target, once in a period. `previous` is the value of the period before."""
