"""Trials: whether those who try stay."""

from app.metrics.define import Happens, Result, metric, proportion


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"trials_converted": 1, "trials_started": 2, "equals": 50},
    events=[
        Happens(1, "trial.started", {"trial_id": "trial-1"}, on="2026-03-01"),
        Happens(1, "trial.converted", {"trial_id": "trial-1"}, on="2026-03-14"),
        Happens(1, "trial.started", {"trial_id": "trial-2"}, on="2026-03-05"),
    ],
    convention="started",
    counted_by="ChartMogul: the trials that began in a month, whenever they convert.",
)
def trial_conversion_rate(trials_converted: int, trials_started: int) -> Result:
    """Trial conversion rate: trials that converted, whenever that was, per hundred that were started in the period; so the
    rate of a month still rises while its trials run.
    """
    return proportion(trials_converted, of=trials_started, none="no_trials")


@trial_conversion_rate.also(
    "ended",
    counted_by="Baremetrics: the trials that came to their end in a period.",
    example={"trials_ended_converted": 1, "trials_ended": 2, "equals": 50},
    events=[
        Happens(1, "trial.started", {"trial_id": "trial-1"}, on="2026-02-20"),
        Happens(1, "trial.converted", {"trial_id": "trial-1"}, on="2026-03-06"),
        Happens(1, "trial.started", {"trial_id": "trial-2"}, on="2026-02-25"),
        Happens(1, "trial.expired", {"trial_id": "trial-2"}, on="2026-03-11"),
    ],
)
def _(trials_ended_converted: int, trials_ended: int) -> Result:
    """Trials that converted, per hundred that ended in the period, whenever they began; a month's rate is soon settled."""
    return proportion(trials_ended_converted, of=trials_ended, none="no_trials_ended")
