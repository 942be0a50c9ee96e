"""Record what an event type can post: its posting rule is run on examples when it is declared.

The audit needs to know which event types may be behind a number. Tests hold that what is recorded covers all that the rule
posts on random events.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.ledger.measures import Activity, EventView, Line
from app.ledger.surveys import Survey

# One survey of each kind, since responses to different kinds post different measures.
_SURVEYS = (
    Survey("nps", "nps", 0, 10, None, None, None, answered=True),
    Survey("csat", "csat", 0, 10, 7, None, None, answered=True),
    Survey("ces", "ces", 0, 10, None, "high", None, answered=True),
)


def record_targets(
    type: str,
    examples: Iterable[Mapping[str, Any]],
    *,
    may_lack_account: bool,
    posts: Callable[[EventView], Iterable[Line]] | None,
    sees: Callable[[EventView], Iterable[Activity]] | None,
) -> frozenset[str]:
    """Return the names of the measures and presences that events of a type post to, whatever the values.

    The rules `posts` and `sees` are run on each example of event data, with and without an account if that may be missing,
    and with a survey of each kind if the data names a survey.
    """
    views = [view for data in examples for view in _views(type, data, may_lack_account=may_lack_account)]
    measures = {line.measure.name for view in views for line in (posts(view) if posts else ())}
    presences = {activity.presence.name for view in views for activity in (sees(view) if sees else ())}
    return frozenset(measures | presences)


def _views(type: str, data: Mapping[str, Any], *, may_lack_account: bool) -> Iterator[EventView]:
    surveys: Sequence[Survey | None] = _SURVEYS if "survey" in data else [None]
    for survey in surveys:
        for whole_business in (False, True) if may_lack_account else (False,):
            yield EventView(type, "user", data, survey, whole_business=whole_business)
