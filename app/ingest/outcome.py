"""What became of a batch: how many events are new or duplicates, and why each other event was rejected."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field
from typing_extensions import TypedDict

from app.core.errors import EventRejected
from app.core.ids import MAX_ID_LENGTH
from app.core.names import Fault, build_fault

# A rejection lists so many faults of an event: a body can hold millions of unknown fields.
MAX_FAULTS = 20


class DuplicateNote(NamedTuple):
    """An event that is stored already, in another way than its sender may think. Not an error."""

    code: str
    detail: str


# What became of one event. A duplicate is stored already, with the same content.
Verdict = Literal["accepted", "duplicate"] | DuplicateNote | EventRejected


class Rejection(TypedDict):
    """An event that was not accepted: its position in the request (from 0), and why.

    `code`, `detail` and `pointer` are those of the first of its faults; `errors` has all of them.
    """

    index: int
    id: str | None
    code: Annotated[str, Field(json_schema_extra={"x-vocabulary": "RejectionCode"})]
    detail: str
    pointer: str
    errors: list[Fault]


class BatchReceipt(TypedDict):
    """What became of a batch. Accepted events are durable, counted, and in the next answer."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]


class BatchOutcome(NamedTuple):
    """The number of new events, the number of duplicates, and the rejections in the order of the request.

    notes: remarks on some of the duplicates, by position in the request.
    """

    accepted: int
    duplicates: int
    rejected: list[Rejection]
    notes: dict[int, DuplicateNote]


def build_rejection(position: int, id: Any, error: EventRejected, *, more_faults: int = 0) -> Rejection:
    """Return the rejection of the event at a position of the request.

    id: as sent; left out where it cannot be an id. more_faults: how many faults are not in the error.
    """
    faults = error.faults[:MAX_FAULTS]
    if rest := len(error.faults) - len(faults) + more_faults:
        faults.append(
            build_fault(
                "", f"The event has {rest:,} more {'fault' if rest == 1 else 'faults'}.", code="too_many_faults"
            )
        )
    return {
        "index": position,
        "id": id if isinstance(id, str) and len(id) <= MAX_ID_LENGTH else None,
        "code": faults[0]["code"],
        "detail": faults[0]["detail"],
        "pointer": faults[0]["pointer"],
        "errors": faults,
    }


def build_outcome(events: Sequence[Any], verdicts: Sequence[Verdict], rejections: Iterable[Rejection]) -> BatchOutcome:
    """Return the outcome of a batch.

    events, verdicts: those that reached the database, and what became of each. rejections: of the others, in any order.
    """
    pairs = [(event.incoming, verdict) for event, verdict in zip(events, verdicts, strict=True)]
    rejected = [
        build_rejection(event.position, event.id, verdict)
        for event, verdict in pairs
        if isinstance(verdict, EventRejected)
    ]
    notes = {event.position: verdict for event, verdict in pairs if isinstance(verdict, DuplicateNote)}
    in_order = sorted([*rejections, *rejected], key=lambda rejection: rejection["index"])
    return BatchOutcome(verdicts.count("accepted"), verdicts.count("duplicate") + len(notes), in_order, notes)
