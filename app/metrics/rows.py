"""What the rows of all answers have in common: groups and their order, pages, and how numbers are shown."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

from pydantic_core import to_json

from app.core.errors import Invalid
from app.core.periods import Period
from app.http.row_parameters import MAX_ROWS
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Group
from app.metrics.question import Question
from app.metrics.results import NOTHING_KNOWN

_DECIMALS = 6

Row = dict[str, Any]


class NamedRow(Protocol):
    """A row of an answer, computed or not, with a name that no other row of the answer has: see `row_name`."""

    @property
    def name(self) -> str: ...


AnyRow = TypeVar("AnyRow", bound=NamedRow)


def row_name(*values: Any) -> str:
    """Return the name of a row for the cursor, from the values that tell it from all other rows of its answer."""
    # Of their JSON, in which true and 1 are not the same; a hash, since the values of a group may be long.
    return hashlib.blake2b(to_json(values), digest_size=16).hexdigest()


def paginate(rows: Sequence[AnyRow], *, limit: int, cursor: str | None) -> tuple[Sequence[AnyRow], str | None]:
    """Return the rows after the one that the cursor names, and the cursor of the next page, None after the last.

    A cursor names a row, not a number, so that rows that are new since the page before shift nothing. Raises Invalid.
    """
    first = 0
    if cursor is not None:
        after = next((number for number, row in enumerate(rows, start=1) if row.name == cursor), None)
        if after is None:
            detail = "The cursor does not belong to this question. Start again without it."
            raise Invalid.at("/query/cursor", detail, code="invalid_cursor")
        first = after
    page = rows[first : first + limit]
    return page, page[-1].name if first + limit < len(rows) else None


def check_row_count(rows: int, *, pointer: str, instead: str) -> None:
    """Raise Invalid for an answer of more than a million rows. instead: what to do, as the end of a sentence."""
    if rows > MAX_ROWS:
        raise Invalid.at(pointer, f"The answer has more than {MAX_ROWS:,} rows; {instead}.", code="too_many_rows")


def default_groups(question: Question) -> set[Group]:
    """Return the groups that have rows even without data: the whole, or the segments where nothing else groups."""
    group_by = question.selection.group_by
    if group_by == ("segment",):
        return {(("int", number),) for number in range(len(question.selection.segments))}
    return set() if group_by else {()}


def group_sort_key(group: Group) -> tuple[tuple[str, Any], ...]:
    """Return the sort key of a group: null first, then by type and value."""
    # Whole numbers and others are of one type.
    types = {"NoneType": "", "int": "number", "float": "number"}
    return tuple((types.get(type_, type_), value if value is not None else 0) for type_, value in group)


def format_group(group: Group, question: Question) -> dict[str, Any]:
    """Return the values of a group by grouping, as answers show them."""
    values: dict[str, Any] = {}
    for name, (_, value) in zip(question.selection.group_by, group, strict=True):
        if name == "segment":
            values[name] = question.selection.segments[value][0]
        else:
            # No account, subject or channel is the empty text in the ledger.
            values[name] = None if name in ("account", *ENTRY_DIMENSIONS) and value == "" else value
    return values


def knowledge_members(question: Question) -> dict[str, Any]:
    """Return the member that an answer has beside its rows when nothing was known on the day `as_of`: there may be no rows."""
    return {} if question.is_known else {"reason": NOTHING_KNOWN.reason}


def mask_unknown(row: Row, columns: Collection[str], question: Question) -> Row:
    """Return a row without the values of these columns, and with the reason, when nothing was known on the day `as_of`."""
    if question.is_known:
        return row
    return row | {name: None for name in columns if name in row} | knowledge_members(question)


def base_row(period: Period, group: Group, question: Question) -> Row:
    """Return the members that a row of any answer begins with: its period and group."""
    return {
        "period": period.name,
        "start": period.start,
        "end": period.end,
        "complete": period.complete,
        "group": format_group(group, question),
    }


def percent(part: int, of: int) -> float | None:
    """Return `part` as a percentage of `of`, rounded; None when `of` is 0."""
    return round_number(100 * part / of) if of else None


def round_number(number: Any) -> Any:
    """Return a number as answers show it: rounded to six decimals."""
    return round(number, _DECIMALS) if isinstance(number, float) else number
