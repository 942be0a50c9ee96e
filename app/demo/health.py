"""Health at Lantern: the versions of its health model, and what its customer success managers say of accounts themselves."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any, NamedTuple

from app.demo.accounts import DemoAccount
from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle
from app.demo.timeline import BAD_RELEASE, RELEASE_FIX, Timeline, opening_time

# The positions at which Lantern puts its two models.
FIRST_MODEL, SECOND_MODEL = 10.0, 16.0
# Of the accounts that fall silent, the share whose managers say so before the account leaves.
_NOTICED_SHARE = 0.6
# For how long what a manager says of a silent account holds, unless somebody says it again.
_OVERRIDE_DAYS = 90
_SILENCE_REASONS = (
    "Their sponsor has left, and nobody answers.",
    "They compare us with another tool, says their planner.",
    "Three calls, no answer. The last invoice was paid late.",
    "Their new owner has a tool of its own.",
    "They froze their budget until summer.",
)
_SYNC_REASONS = (
    "Their technicians are back on paper: mobile sync does not work for them.",
    "They wait for the fix of mobile sync since spring, and look elsewhere.",
    "Mobile sync again. They have stopped opening tickets.",
)
# The id of who leads customer success.
AUTHOR = "rhea.sandoval"

_USAGE = {
    "id": "usage",
    "title": "Usage",
    "kind": "baseline",
    "metric": "active_user_days",
    "poor": 0,
    "good": 85,
    "category": "usage",
}
_TICKETS = {
    "id": "open_tickets",
    "title": "Open tickets",
    "kind": "value",
    "metric": "ticket_backlog",
    "requires": "support_tickets",
    "poor": 6,
    "good": 1,
    "category": "support",
}
_RESPONSE = {
    "id": "last_response",
    "title": "Last survey response",
    "kind": "last_response",
    "poor": 50,
    "good": 90,
    "category": "voice",
}


_CATEGORIES = {
    "usage": {"cap": 0.6},
    "adoption": {"cap": 0.5},
    "support": {"cap": 0.3},
    "voice": {"cap": 0.4},
    "revenue": {"cap": 0.25},
}
_FIRST_COMPONENTS = [_USAGE | {"weight": 40}, _RESPONSE | {"weight": 40}, _TICKETS | {"weight": 20}]
_SECOND_COMPONENTS = [
    _USAGE | {"weight": 30, "argument": "Against the account's own past. 85% is ordinary variation."},
    {
        "id": "last_activity",
        "title": "Last activity",
        "kind": "days_since",
        "metric": "active_user_days",
        "poor": 21,
        "good": 4,
        "weight": 10,
        "category": "usage",
        "argument": "Planners open Lantern on every working day; a long weekend is four days.",
    },
    {
        "id": "engagement",
        "title": "Engagement of seats",
        "kind": "value",
        "metric": "product_usage_rate",
        "poor": 5,
        "good": 55,
        "weight": 20,
        "category": "adoption",
        "argument": "Technicians need Lantern a few times a month, so most seats are used within four weeks.",
    },
    _TICKETS | {"weight": 10, "argument": "One is business as usual; six at once were the bad release."},
    {
        "id": "first_response",
        "title": "First response",
        "kind": "value",
        "metric": "average_first_response_hours",
        "poor": 24,
        "good": 2,
        "weight": 5,
        "category": "support",
        "argument": "Whoever waits for more than a day says so in the next survey.",
    },
    _RESPONSE | {"weight": 15, "argument": "A 9 of 10 is a promoter. After a quarter, it counts less and less."},
    {
        "id": "revenue",
        "title": "MRR trend",
        "kind": "change",
        "metric": "mrr",
        "window_days": 90,
        "poor": -25,
        "good": 5,
        "weight": 10,
        "category": "revenue",
        "argument": "Fewer seats are often the first step out.",
    },
]
# By the position at which it is put.
_MODELS: tuple[tuple[float, dict[str, Any]], ...] = (
    (
        FIRST_MODEL,
        {
            "description": "After the bad release: what customers say counts as much as what they do.",
            "categories": _CATEGORIES,
            "components": _FIRST_COMPONENTS,
        },
    ),
    (
        SECOND_MODEL,
        {
            "description": "What customers do counts more than what they say: many had answered well before they left.",
            "categories": _CATEGORIES,
            "components": _SECOND_COMPONENTS,
            "segment_weights": [{"segment": "enterprise", "weights": {"engagement": 30}}],
        },
    ),
)


class DemoModel(NamedTuple):
    """A health model, and the day on which it was put and from which it holds."""

    recorded_on: date
    document: dict[str, Any]


def health_models(timeline: Timeline) -> list[DemoModel]:
    """Return the models that Lantern has put so far, in the order of their days."""
    models = [DemoModel(timeline.day_at(position), document) for position, document in _MODELS]
    return [model for model in models if model.recorded_on <= timeline.yesterday]


def override_events(lifecycle: Lifecycle, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield what the managers of an account say of its health: of the whale, of schools in summer, of many that fall silent."""
    account = lifecycle.account
    if account.role == "whale":
        yield _override(
            account,
            timeline.day_at(BAD_RELEASE + 1.6),
            score=15,
            reason="Half of their technicians are back on paper, and the renewal is in three months.",
        )
        yield make_event(
            "health.override_withdrawn",
            opening_time(timeline.day_at(RELEASE_FIX + 2), account.region),
            author=AUTHOR,
            reason="They have renewed, and add seats again.",
        )
    if account.industry == "education":
        for year in range(timeline.first_day.year, timeline.last_day.year + 1):
            first_monday = date(year, 7, 7) - timedelta(days=date(year, 7, 7).weekday())
            if lifecycle.step_on(first_monday):
                yield _override(
                    account,
                    first_monday,
                    score=75,
                    reason="School holidays. They told us that they are back in September.",
                    expires_on=date(year, 8, 31),
                )
    if lifecycle.silent_from and lifecycle.churned_on and (account.role == "fading" or rng.random() < _NOTICED_SHARE):
        noticed_on = lifecycle.silent_from + timedelta(days=rng.randint(5, 12))
        if noticed_on < lifecycle.churned_on:
            yield _override(
                account,
                noticed_on,
                score=10,
                reason=_silence_reason(account, rng),
                expires_on=noticed_on + timedelta(days=_OVERRIDE_DAYS),
            )


def _silence_reason(account: DemoAccount, rng: Random) -> str:
    """Return what a manager says of an account that has fallen silent."""
    if account.role == "fading":
        return "Their sponsor has left, and nobody answers."
    return rng.choice(_SYNC_REASONS if account.is_hit_by_sync else _SILENCE_REASONS)


def _override(account: DemoAccount, day: date, *, score: int, reason: str, expires_on: date | None = None) -> DemoEvent:
    return make_event(
        "health.overridden",
        opening_time(day, account.region),
        score=score,
        reason=reason,
        author=AUTHOR,
        expires_on=expires_on and expires_on.isoformat(),
    )
