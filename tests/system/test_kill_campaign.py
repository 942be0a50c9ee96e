"""A short kill campaign: each kind of kill once. `make campaign` runs it for longer, on a busy machine."""

from tests.system.kill_campaign import VICTIMS, run_campaign


def test_after_kills_of_anything_at_any_moment_nothing_is_lost_or_double() -> None:
    outcome = run_campaign(kills=len(VICTIMS), seconds=600, busy=0, seed=1)
    assert outcome.is_clean, str(outcome)
    assert set(outcome.kills) == set(VICTIMS)
