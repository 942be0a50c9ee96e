"""Metrics of trials: how many convert to a paid subscription."""

from app.metrics.define import ExampleEvent, Result, metric, proportion


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"trials_converted": 1, "trials_started": 2, "equals": 50},
    events=[
        ExampleEvent(1, "trial.started", {"trial_id": "trial-1"}, on="2026-03-01"),
        ExampleEvent(1, "trial.converted", {"trial_id": "trial-1"}, on="2026-03-14"),
        ExampleEvent(1, "trial.started", {"trial_id": "trial-2"}, on="2026-03-05"),
    ],
    convention="started",
    counted_by="ChartMogul, which follows the trials that started in a month, whenever they convert.",
)
def trial_conversion_rate(trials_converted: int, trials_started: int) -> Result:
    """Trial conversion rate: percentage of trials started in the period that have converted so far.

    The rate of a recent period rises while its trials are still running. No value when no trial was started.
    """
    return proportion(trials_converted, of=trials_started, if_empty="no_trials")


@trial_conversion_rate.also(
    "ended",
    counted_by="Baremetrics, which looks at the trials that ended in a period.",
    example={"trials_ended_converted": 1, "trials_ended": 2, "equals": 50},
    events=[
        ExampleEvent(1, "trial.started", {"trial_id": "trial-1"}, on="2026-02-20"),
        ExampleEvent(1, "trial.converted", {"trial_id": "trial-1"}, on="2026-03-06"),
        ExampleEvent(1, "trial.started", {"trial_id": "trial-2"}, on="2026-02-25"),
        ExampleEvent(1, "trial.expired", {"trial_id": "trial-2"}, on="2026-03-11"),
    ],
)
def _(trials_ended_converted: int, trials_ended: int) -> Result:
    """Percentage of the trials ending in the period that converted, whenever they started.

    A trial ends when it converts or expires. Trials that are still running are left out, so the rate of a past period
    hardly changes. No value when no trial ended.
    """
    return proportion(trials_ended_converted, of=trials_ended, if_empty="no_trials_ended")
