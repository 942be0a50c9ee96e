"""The metrics of surveys and feedback by docs/metrics.md, computed from all responses; and all metrics of the model."""

from collections.abc import Callable, Iterable
from fractions import Fraction

from tests.model.commerce import COMMERCE
from tests.model.events import AcceptedEvent, History
from tests.model.facts import (
    Fact,
    FactsByName,
    ModelMetric,
    Row,
    Span,
    count_events,
    events_where,
    has_type,
    over_events,
    ratio,
    wald,
    wilson,
)
from tests.model.health import health_metrics
from tests.model.outcomes import OUTCOMES
from tests.model.revenue import REVENUE
from tests.model.usage import USAGE


def _nps(responses: list[AcceptedEvent]) -> Row:
    promoters = sum(1 for response in responses if response.data["score"] in (9, 10))
    detractors = sum(1 for response in responses if response.data["score"] in range(7))
    row = ratio(promoters - detractors, len(responses), per=100, if_empty="no_responses")
    if not responses:
        return row
    counts = {"promoters": promoters, "detractors": detractors}
    return row | counts | {"interval": wald(promoters, detractors, len(responses))}


def _share(part: int, of: int) -> Row:
    return ratio(part, of, per=100, if_empty="no_responses", interval=wilson)


def _csat(responses: list[AcceptedEvent]) -> Row:
    return _share(sum(1 for r in responses if r.data["score"] >= r.survey.satisfied_from), len(responses))


def _easy(responses: list[AcceptedEvent]) -> Row:
    easy = 0
    for response in responses:
        above_middle = response.data["score"] - Fraction(response.survey.low + response.survey.high, 2)
        easy += above_middle < 0 if response.survey.easy_is == "low" else above_middle > 0
    return _share(easy, len(responses))


def _average(responses: list[AcceptedEvent]) -> Row:
    row = ratio(sum(response.data["score"] for response in responses), len(responses), if_empty="no_responses")
    if len({(response.survey.low, response.survey.high, response.survey.easy_is) for response in responses}) > 1:
        return row | {"value": None, "reason": "mixed_scales"}
    return row


def _responses_per_invitation(events: list[AcceptedEvent]) -> Row:
    responses = sum(1 for event in events if event.type == "survey.responded")
    return ratio(responses, len(events) - responses, per=100, if_empty="no_invitations")


def invitations(history: History, span: Span) -> Iterable[Fact]:
    """Yield each invitation of the period: whether it was answered before the next one of the same survey and user."""
    order = {"survey.sent": 0, "survey.responded": 1}
    known = sorted(
        (event for event in history.events if event.type in order), key=lambda e: (e.at, order[e.type], e.id)
    )
    for number, invitation in enumerate(known):
        if invitation.type == "survey.sent" and span.start <= invitation.day < span.end:
            later = [
                event.type
                for event in known[number + 1 :]
                if (event.subject, event.user) == (invitation.subject, invitation.user)
            ]
            is_answered = later[:1] == ["survey.responded"]
            yield Fact("all", (is_answered,), invitation.subject, invitation.data.get("channel"))


def is_response_to(kind: str) -> Callable[[AcceptedEvent], bool]:
    """Return the condition that an event is a response to a survey of a kind."""
    return lambda event: event.type == "survey.responded" and event.survey is not None and event.survey.kind == kind


def _is_comment(event: AcceptedEvent) -> bool:
    return event.type in ("survey.responded", "feedback.received") and bool(event.data.get("comment", "").strip())


def _comments(history: History, span: Span) -> Iterable[Fact]:
    """Yield each comment of the period as `closed` if its last status is resolved, else as `open`."""
    for comment in history.events:
        if span.start <= comment.day < span.end and _is_comment(comment):
            statuses = [
                (event.at, event.id, event.data["status"])
                for event in history.events
                if event.type == "feedback.updated" and event.data["feedback"] == comment.id and "status" in event.data
            ]
            is_closed = bool(statuses) and max(statuses)[-1] == "resolved"
            yield Fact("closed" if is_closed else "open", comment, comment.subject, comment.data.get("channel"))


def _closed_rate(facts: FactsByName, span: Span) -> Row:
    closed = len(facts["closed"])
    return ratio(closed, closed + len(facts["open"]), per=100, if_empty="no_comments", interval=wilson)


BOTH = ("subject", "channel")
easy_rate = over_events(_easy)
_VOICE = {
    "nps": ModelMetric(events_where(is_response_to("nps")), over_events(_nps), BOTH),
    "csat": ModelMetric(events_where(is_response_to("csat")), over_events(_csat), BOTH),
    "csat_average": ModelMetric(events_where(is_response_to("csat")), over_events(_average), BOTH),
    "ces": ModelMetric(events_where(is_response_to("ces")), over_events(_average), BOTH),
    "ces_easy_rate": ModelMetric(events_where(is_response_to("ces")), easy_rate, BOTH),
    "survey_responses": ModelMetric(events_where(has_type("survey.responded")), over_events(count_events), BOTH),
    "survey_response_rate": ModelMetric(
        events_where(has_type("survey.responded", "survey.sent")), over_events(_responses_per_invitation), BOTH
    ),
    "feedback_comments": ModelMetric(events_where(_is_comment), over_events(count_events), BOTH),
    "feedback_closed_rate": ModelMetric(_comments, _closed_rate, BOTH),
}
_BASIC = _VOICE | OUTCOMES | REVENUE | COMMERCE | USAGE
METRICS = _BASIC | health_metrics(_BASIC)
