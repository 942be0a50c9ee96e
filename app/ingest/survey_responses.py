"""Accept survey responses with their fields at the top level; each is a `survey.responded` event."""

from collections.abc import Sequence
from typing import Any, get_type_hints

from app.books.books import Books
from app.core.errors import unknown_field
from app.core.names import Fault, NearestNames
from app.ingest.accept import accept_events
from app.ingest.catalogue.voice import SurveyResponded
from app.ingest.decode import UndecodableEvent
from app.ingest.outcome import BatchOutcome, Rejection

_ENVELOPE = ("id", "account_id", "user_id", "recorded_on")
# The fields of a response.
_FIELDS = [*_ENVELOPE, "responded_at", *get_type_hints(SurveyResponded)]


async def accept_survey_responses(books: Books, raws: Sequence[Any], *, may_backdate: bool) -> BatchOutcome:
    """Store and post survey responses; pointers of rejections point into the responses, not into the events."""
    outcome = await accept_events(books, [_to_event(raw) for raw in raws], may_backdate=may_backdate)
    nearest = NearestNames()
    return outcome._replace(rejected=[_name_fields(rejection, nearest) for rejection in outcome.rejected])


def _name_fields(rejection: Rejection, nearest: NearestNames) -> Rejection:
    """Return a rejection of an event as one of the response: with the names and pointers of the response's fields."""
    faults = [_name_field(fault, nearest) for fault in rejection["errors"]]
    first = faults[0]
    return {**rejection, "pointer": first["pointer"], "detail": first["detail"], "errors": faults}


def _name_field(fault: Fault, nearest: NearestNames) -> Fault:
    pointer = fault["pointer"].replace("/occurred_at", "/responded_at").removeprefix("/data")
    if fault["code"] == "extra_forbidden" and "name" in fault:
        return unknown_field((fault["name"],), _FIELDS, nearest)
    detail = fault["detail"].replace('"occurred_at"', '"responded_at"')
    return {**fault, "pointer": pointer, "detail": detail}


def _to_event(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    if "data" in raw or "type" in raw or "occurred_at" in raw:
        return UndecodableEvent(
            "A survey response has no data, type or occurred_at: put survey, score and responded_at beside id."
        )
    event = {name: raw[name] for name in _ENVELOPE if name in raw}
    if "responded_at" in raw:
        event["occurred_at"] = raw["responded_at"]
    data = {name: value for name, value in raw.items() if name not in _ENVELOPE and name != "responded_at"}
    return event | {"type": "survey.responded", "data": data}
