"""What follows from attempts: for their deliveries, and for the endpoints."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from app.database.work_counts import WEBHOOK_ATTEMPTS, WorkCount
from app.webhooks.deliver import DELIVERED, GONE, STATUS, Outcome
from app.webhooks.dispatch import DueDelivery, EndpointNote
from app.webhooks.schedule import MAX_FAILURE, next_attempt

GONE_REASON, FAILING_REASON = "gone", "failing"


class DeliveryAttempt(NamedTuple):
    """An attempt that has ended. at: when it began."""

    due: DueDelivery
    outcome: Outcome
    at: datetime


class Verdicts(NamedTuple):
    """What to record. rows: of deliveries. disable_reasons: by the id of the endpoint."""

    rows: list[dict[str, Any]]
    notes: list[EndpointNote]
    disable_reasons: dict[str, str]


def judge_attempts(attempts: Iterable[DeliveryAttempt]) -> Verdicts:
    """Return what follows from attempts, in the order in which they ended: of each endpoint the last one counts."""
    rows: list[dict[str, Any]] = []
    notes: dict[str, EndpointNote] = {}
    disable_reasons: dict[str, str] = {}
    for attempt in attempts:
        due, outcome, at = attempt
        retry_at = None
        if outcome.result != DELIVERED:
            is_gone = outcome.status == GONE
            retry_at = None if is_gone else _retry_at(attempt)
            pause = None if outcome.retry_after is None else at + outcome.retry_after
            notes[due.endpoint_id] = EndpointNote(due.endpoint_id, at, pause)
            if (reason := GONE_REASON if is_gone else _failing_reason(attempt, retry_at)) is not None:
                disable_reasons[due.endpoint_id] = reason
        elif due.failing_since is not None or due.endpoint_id in notes:
            notes[due.endpoint_id] = EndpointNote(due.endpoint_id, None, None)
        rows.append(delivery_row(attempt, retry_at=retry_at))
    return Verdicts(rows, list(notes.values()), disable_reasons)


def _retry_at(attempt: DeliveryAttempt) -> datetime | None:
    due, outcome, at = attempt
    return next_attempt(due.attempts + 1, now=at, retry_after=outcome.retry_after)


def _failing_reason(attempt: DeliveryAttempt, retry_at: datetime | None) -> str | None:
    """Return the reason to disable the endpoint of a failed attempt: nothing has arrived for as long as it was tried."""
    due, _, at = attempt
    failing_since = due.failing_since or at
    is_exhausted = retry_at is None and failing_since <= (due.first_attempt_at or at)
    return FAILING_REASON if is_exhausted or at - failing_since >= MAX_FAILURE else None


def delivery_row(attempt: DeliveryAttempt, *, retry_at: datetime | None) -> dict[str, Any]:
    """Return an attempt as `record_attempts` records it. retry_at: None after a success, and after the last failure."""
    due, outcome, at = attempt
    failure = "pending" if retry_at is not None else "failed"
    state = "delivered" if outcome.result == DELIVERED else failure
    return {
        "endpoint_id": due.endpoint_id,
        "message_id": due.message_id,
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
