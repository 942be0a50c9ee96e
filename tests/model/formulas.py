"""What docs/metrics.md says of answers, worked out from all of them; and all metrics of the model by name."""

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
from tests.model.outcomes import OUTCOMES
from tests.model.revenue import REVENUE
from tests.model.usage import USAGE


def _nps(answers: list[AcceptedEvent]) -> Row:
    promoters = sum(1 for answer in answers if answer.data["score"] in (9, 10))
    detractors = sum(1 for answer in answers if answer.data["score"] in range(7))
    row = ratio(promoters - detractors, len(answers), per=100, nothing="no_responses")
    if not answers:
        return row
    counts = {"promoters": promoters, "detractors": detractors}
    return row | counts | {"interval": wald(promoters, detractors, len(answers))}


def _share(part: int, of: int) -> Row:
    return ratio(part, of, per=100, nothing="no_responses", interval=wilson)


def _csat(answers: list[AcceptedEvent]) -> Row:
    return _share(sum(1 for a in answers if a.data["score"] >= a.survey.satisfied_from), len(answers))


def _easy(answers: list[AcceptedEvent]) -> Row:
    easy = 0
    for answer in answers:
        above_middle = answer.data["score"] - Fraction(answer.survey.low + answer.survey.high, 2)
        easy += above_middle < 0 if answer.survey.easy_is == "low" else above_middle > 0
    return _share(easy, len(answers))


def _average(answers: list[AcceptedEvent]) -> Row:
    row = ratio(sum(answer.data["score"] for answer in answers), len(answers), nothing="no_responses")
    if len({(answer.survey.low, answer.survey.high, answer.survey.easy_is) for answer in answers}) > 1:
        return row | {"value": None, "reason": "mixed_scales"}
    return row


def _responses_per_invitation(events: list[AcceptedEvent]) -> Row:
    responses = sum(1 for kept in events if kept.type == "survey.responded")
    return ratio(responses, len(events) - responses, per=100, nothing="no_invitations")


def answers_to(kind: str) -> Callable[[AcceptedEvent], bool]:
    return lambda kept: kept.type == "survey.responded" and kept.survey is not None and kept.survey.kind == kind


def _is_comment(kept: AcceptedEvent) -> bool:
    return kept.type in ("survey.responded", "feedback.received") and bool(kept.data.get("comment"))


def _comments(history: History, span: Span) -> Iterable[Fact]:
    """Of each comment of the period, whether the last that was said of it is that it is resolved."""
    for comment in history.events:
        if span.start <= comment.day < span.end and _is_comment(comment):
            said = [
                (kept.at, kept.id, kept.data["status"])
                for kept in history.events
                if kept.type == "feedback.updated" and kept.data["feedback"] == comment.id and "status" in kept.data
            ]
            closed = bool(said) and max(said)[-1] == "resolved"
            yield Fact("closed" if closed else "open", comment, comment.subject, comment.data.get("channel"))


def _closed(cell: FactsByName, span: Span) -> Row:
    closed = len(cell["closed"])
    return ratio(closed, closed + len(cell["open"]), per=100, nothing="no_comments", interval=wilson)


BOTH = ("subject", "channel")
easy = over_events(_easy)
_VOICE = {
    "nps": ModelMetric(events_where(answers_to("nps")), over_events(_nps), BOTH),
    "csat": ModelMetric(events_where(answers_to("csat")), over_events(_csat), BOTH),
    "csat_average": ModelMetric(events_where(answers_to("csat")), over_events(_average), BOTH),
    "ces": ModelMetric(events_where(answers_to("ces")), over_events(_average), BOTH),
    "ces_easy_rate": ModelMetric(events_where(answers_to("ces")), easy, BOTH),
    "survey_responses": ModelMetric(events_where(has_type("survey.responded")), over_events(count_events), BOTH),
    "survey_response_rate": ModelMetric(
        events_where(has_type("survey.responded", "survey.sent")), over_events(_responses_per_invitation), BOTH
    ),
    "feedback_comments": ModelMetric(events_where(_is_comment), over_events(count_events), BOTH),
    "feedback_closed_rate": ModelMetric(_comments, _closed, BOTH),
}
METRICS = _VOICE | OUTCOMES | REVENUE | COMMERCE | USAGE
