"""What follows from attempts: for their deliveries, and for the endpoints."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from app.database.work_counts import WEBHOOK_ATTEMPTS, WorkCount
from app.webhooks.deliver import DELIVERED, GONE, STATUS, Outcome
from app.webhooks.dispatch import DisableReason, DueDelivery, EndpointNote
from app.webhooks.schedule import MAX_FAILURE, next_attempt

GONE_REASON, FAILING_REASON = "gone", "failing"


class DeliveryAttempt(NamedTuple):
    """An attempt that has ended. at: when it began."""

    due: DueDelivery
    outcome: Outcome
    at: datetime


class Verdicts(NamedTuple):
    """What to record. rows: of deliveries."""

    rows: list[dict[str, Any]]
    notes: list[EndpointNote]
    disable_reasons: list[DisableReason]


def judge_attempts(attempts: Iterable[DeliveryAttempt]) -> Verdicts:
    """Return what follows from attempts, in the order in which they ended.

    What an endpoint was when a delivery was taken may be over by now. So what follows for it is noted with what that depends on.
    """
    rows: list[dict[str, Any]] = []
    notes: dict[tuple[str, str], EndpointNote] = {}
    disable_reasons: dict[tuple[str, str], DisableReason] = {}
    for attempt in attempts:
        due, outcome, at = attempt
        key, retry_at = (due.endpoint_id, due.url), None
        note = notes.get(key) or EndpointNote(*key)
        if outcome.result != DELIVERED:
            is_gone = outcome.status == GONE
            retry_at = None if is_gone else _retry_at(attempt)
            notes[key] = _note_failure(note, attempt)
            if is_gone:
                disable_reasons[key] = DisableReason(due.endpoint_id, GONE_REASON, due.url)
            elif _is_failing(attempt, retry_at):
                failing = DisableReason(due.endpoint_id, FAILING_REASON, due.url, due.failing_since or at)
                disable_reasons.setdefault(key, failing)
        else:
            notes[key] = note._replace(succeeded_at=at, failed_at=None)
        rows.append(delivery_row(attempt, retry_at=retry_at))
    return Verdicts(rows, list(notes.values()), list(disable_reasons.values()))


def _note_failure(note: EndpointNote, attempt: DeliveryAttempt) -> EndpointNote:
    """Return the note after a failure, which takes back no pause that another attempt was asked for."""
    _, outcome, at = attempt
    pauses = [note.paused_until, None if outcome.retry_after is None else at + outcome.retry_after]
    paused_until = max((pause for pause in pauses if pause is not None), default=None)
    return note._replace(failed_at=min(note.failed_at or at, at), paused_until=paused_until)


def _retry_at(attempt: DeliveryAttempt) -> datetime | None:
    due, outcome, at = attempt
    return next_attempt(due.attempts + 1, now=at, retry_after=outcome.retry_after)


def _is_failing(attempt: DeliveryAttempt, retry_at: datetime | None) -> bool:
    """Return whether nothing has arrived for as long as a failed attempt's delivery was tried."""
    due, _, at = attempt
    failing_since = due.failing_since or at
    is_exhausted = retry_at is None and failing_since <= (due.first_attempt_at or at)
    return is_exhausted or at - failing_since >= MAX_FAILURE


def delivery_row(attempt: DeliveryAttempt, *, retry_at: datetime | None, is_test: bool = False) -> dict[str, Any]:
    """Return an attempt as `record_attempts` records it. retry_at: None after a success, and after the last failure."""
    due, outcome, at = attempt
    failure = "pending" if retry_at is not None else "failed"
    state = "delivered" if outcome.result == DELIVERED else failure
    return {
        "endpoint_id": due.endpoint_id,
        "message_id": due.message_id,
        "url": due.url,
        "is_test": is_test,
        "at": at,
        "state": state,
        "next_attempt_at": retry_at,
        "finished_at": None if state == "pending" else at,
        "attempt": {
            "at": at,
            "result": outcome.result,
            "status": outcome.status,
            "seconds": round(outcome.seconds, 3),
            "detail": outcome.detail,
        },
    }


def count_attempt(outcome: Outcome) -> WorkCount:
    """Return the count of an attempt by its result; of one that the receiver has refused by the class of its status."""
    result = f"status_{(outcome.status or 0) // 100}xx" if outcome.result == STATUS else outcome.result
    return WorkCount(WEBHOOK_ATTEMPTS, result, seconds=outcome.seconds)
