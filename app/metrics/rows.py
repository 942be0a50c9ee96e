"""What the rows of all answers have in common: groups and their order, pages, and how numbers are shown."""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from pydantic_core import to_json

from app.core.errors import Invalid
from app.core.periods import Period
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Group
from app.metrics.question import Question

_DIGITS = 6
_MOST_CELLS = 1_000_000

Row = dict[str, Any]


class Named(Protocol):
    """What has a name of its own among all of an answer."""

    @property
    def name(self) -> str: ...


Cell = TypeVar("Cell", bound=Named)


def name_of(*place: Any) -> str:
    """What tells a row from all others of its answer, for the cursor."""
    # Of its JSON, in which true and 1 are not the same; a hash, since the values of a group may be long.
    return hashlib.blake2b(to_json(place), digest_size=16).hexdigest()


def page(cells: Sequence[Cell], *, limit: int, cursor: str | None) -> tuple[Sequence[Cell], str | None]:
    """The cells after the one that the cursor names, so that those that appear meanwhile shift nothing."""
    first = 0
    if cursor is not None:
        after = next((number for number, cell in enumerate(cells, start=1) if cell.name == cursor), None)
        if after is None:
            raise Invalid.at("/query/cursor", "The cursor does not belong to this question.", code="invalid_cursor")
        first = after
    shown = cells[first : first + limit]
    return shown, shown[-1].name if first + limit < len(cells) else None


def check_many(cells: int, *, pointer: str, instead: str) -> None:
    """Refuse an answer of more than a million rows."""
    if cells > _MOST_CELLS:
        raise Invalid.at(pointer, f"The answer has more than {_MOST_CELLS} rows; {instead}.", code="too_many_rows")


def always(question: Question) -> set[Group]:
    """The groups that have rows even without anything in them: the whole, and segments that were asked for."""
    by = question.selection.group_by
    if by == ("segment",):
        return {(("int", number),) for number in range(len(question.selection.segments))}
    return set() if by else {()}


def order(group: Group) -> tuple[tuple[str, Any], ...]:
    """Where a group stands among the others of an answer."""
    # Null before all else; whole numbers and others are of one kind.
    kinds = {"NoneType": "", "int": "number", "float": "number"}
    return tuple((kinds.get(kind, kind), value if value is not None else 0) for kind, value in group)


def shown(group: Group, question: Question) -> dict[str, Any]:
    """The values of a group by their groupings, as they are shown."""
    named: dict[str, Any] = {}
    for by, (_, value) in zip(question.selection.group_by, group, strict=True):
        if by == "segment":
            named[by] = question.selection.segments[value][0]
        else:
            # No subject, no channel and no account are the empty word inside.
            named[by] = None if by in ("account", *ENTRY_DIMENSIONS) and value == "" else value
    return named


def row_in(period: Period, group: Group, question: Question) -> Row:
    """A row of which it is said so far in which period and group it is."""
    return {
        "period": period.name,
        "start": period.start,
        "end": period.end,
        "complete": period.complete,
        "group": shown(group, question),
    }


def percent(part: int, of: int) -> float | None:
    """`part` per hundred `of`; null of nothing."""
    return rounded(100 * part / of) if of else None


def rounded(number: Any) -> Any:
    """As numbers are answered: with six decimals."""
    return round(number, _DIGITS) if isinstance(number, float) else number
