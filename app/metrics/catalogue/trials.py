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
)
def trial_conversion_rate(trials_converted: int, trials_started: int) -> Result:
    """Trial conversion rate: trials that converted, whenever that was, per hundred that were started in the period; so the
    rate of a month still rises while its trials run.
    """
    return proportion(trials_converted, of=trials_started, none="no_trials")
