"""What the CRM says of an account: name and attributes, and how they change."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

from app.demo.company import MANAGERS
from app.demo.events import DemoEvent, event
from app.demo.lifecycle import Life
from app.demo.timeline import BAD_RELEASE, HANDOVER, Timeline, moment, opening

SPONSORS = ("head_of_facilities", "coo", "operations_manager", "owner")
LEAVING, SUCCESSORS = MANAGERS[0], MANAGERS[1:]


def profile(life: Life, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`account.updated` at the first day and whenever something changes: plan and seats at the subscription's time."""
    account = life.account
    first = {
        "plan": account.plan,
        "region": account.region,
        "industry": account.industry,
        "seats": account.seats,
        "csm": account.csm,
        "lifecycle": "trial" if account.by_trial else "onboarding",
        "sponsor": rng.choice(SPONSORS),
        "design_partner": account.joined < timeline.month(2),
    }
    yield event("account.updated", moment(account.joined, 60), name=account.name, attributes=first)
    for step in life.steps[1:]:
        if step.cause != "price":
            at = opening(step.day, account.region)
            yield event("account.updated", at, attributes={"plan": step.plan, "seats": step.seats})
    for at, attributes in _turns(life, timeline, rng):
        yield event("account.updated", at, attributes=attributes)


def _turns(life: Life, timeline: Timeline, rng: Random) -> Iterator[tuple[datetime, dict[str, str | None]]]:
    """Lifecycle, sponsor and manager; the hours differ, so that no two changes of a key fall on one instant."""
    account = life.account
    if account.won is None:
        yield moment(life.trials[0].decided, 20 * 3600), {"lifecycle": "lost"}
        return
    if account.by_trial:
        yield moment(account.won, 120), {"lifecycle": "onboarding"}
    live = account.won + timedelta(days=rng.randint(25, 45))
    if not life.leaves or live < (life.silent_from or life.leaves):
        yield moment(live, 180), {"lifecycle": "live"}
    if account.part == "whale":
        yield moment(timeline.day_at(BAD_RELEASE + 1.2), 240), {"lifecycle": "at_risk", "sponsor": None}
        yield moment(timeline.day_at(13.5), 240), {"lifecycle": "won_back", "sponsor": "coo"}
    if life.silent_from:
        yield moment(life.silent_from, 300), {"lifecycle": "at_risk", "sponsor": None}
    if life.leaves:
        yield moment(life.leaves, 21 * 3600), {"lifecycle": "churned"}
    if life.returns:
        yield moment(life.returns, 22 * 3600), {"lifecycle": "won_back"}
    handover: date = timeline.day_at(HANDOVER)
    if account.csm == LEAVING and account.joined < handover:
        yield moment(handover, 360), {"csm": rng.choice(SUCCESSORS)}
