"""Where accounts belong, and how sums are told by it: first by what is quick to compare, then by what is shown."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filter_matching import filter_condition
from app.database.tables import account, attribute, label
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Shape, account_conditions, array_param, known_rows


def numbered(days: Iterable[date]) -> dict[date, int]:
    """The days on which it matters where accounts belong, with their numbers: a statement is given them as `days`."""
    return {day: number for number, day in enumerate(sorted(set(days)))}


def grouped(
    columns: Sequence[Any], sums: Sequence[Any], source: Any, facts: Any, shape: Shape, *, day: Any = None
) -> sa.Select[Any]:
    """Columns and sums of facts for each grouping, `place0`, `place1` …, of the accounts that the filter takes.

    day: at whose start accounts are in their groups. Without it the sums are told apart by the stretch of the asked days
    for which accounts were, too, from number `since` to before `until`: few, as accounts seldom move.
    """
    histories = {key: _history(key, number, shape, by_day=day is not None) for number, key in enumerate(shape.keys)}
    earlier: list[Any] = []
    for history in histories.values():
        there = [history.c.account_id == facts.c.account_id]
        if day is not None:
            there.append(holds(history, day))
        # An attribute that an account never had is held by a row of nulls, at any time.
        there += [
            other.c.since.is_(None) | sa.and_(other.c.since < history.c.until, history.c.since < other.c.until)
            for other in earlier
        ]
        source = source.outerjoin(history, sa.and_(*there))
        if day is None:
            earlier.append(history)
    by = list(columns)
    if earlier:
        by.append(sa.func.greatest(*(history.c.since for history in earlier)).label("since"))
        by.append(sa.func.least(*(history.c.until for history in earlier)).label("until"))
    values = {key: history.c.value for key, history in histories.items()}
    segment = _segments(shape)
    if "segment" in shape.group_by:
        inside = [
            (segment.c.number == number) & filter_condition(filter, values.__getitem__)
            for number, filter in enumerate(shape.segments)
        ]
        source = source.join(segment, sa.or_(sa.false(), *inside))
    of_facts = {"account": "account_id"} | {name: name for name in ENTRY_DIMENSIONS}
    for number, group in enumerate(shape.group_by):
        if group in of_facts:
            place = facts.c[of_facts[group]]
        else:
            place = segment.c.number if group == "segment" else histories[group].c.text
        by.append(place.label(f"place{number}"))
    query = sa.select(*by, *sums).select_from(source).group_by(*by)
    return query.where(filter_condition(shape.filter, values.__getitem__)) if shape.filter else query


def _segments(shape: Shape) -> Any:
    numbers = sa.func.unnest(sa.literal(list(range(len(shape.segments))), sa.ARRAY(sa.Integer)))
    return numbers.table_valued(sa.column("number", sa.Integer), name="segment").render_derived()


def shown(columns: Sequence[Any], sums: Sequence[Any], source: Any, rows: Any, shape: Shape) -> sa.Select[Any]:
    """Columns and sums of `rows` that are grouped, and a column for each grouping as it is shown."""
    by: list[Any] = []
    names: list[Any] = []
    for number, group in enumerate(shape.group_by):
        place: Any = rows.c[f"place{number}"]
        name: Any = place
        if group == "account":
            name = sa.select(account.c.id).where(account.c.account_id == place).scalar_subquery()
        elif group in ENTRY_DIMENSIONS:
            name = sa.select(label.c.text).where(label.c.key == place).scalar_subquery()
        elif group != "segment":
            # 1 and 1.0 are the same value.
            place = name = sa.cast(place, JSONB)
        by.append(place)
        names.append(name)
    return sa.select(*columns, *sums, *names).select_from(source).group_by(*columns, *by)


def holds(rows: Any, day: Any) -> sa.ColumnElement[bool]:
    """Whether rows that go from `since` to before `until` are about the day."""
    return sa.and_(rows.c.since <= day, rows.c.until > day)


def _history(key: str, number: int, shape: Shape, *, by_day: bool) -> Any:
    """What is known of an attribute: rows (account_id, value, its JSON as `text`, since, until).

    by_day: these are days; otherwise the numbers of the first of the asked days on which it holds, and of the first
    after that on which it does not. What holds on none of them is left out: two long histories would make many pairs.
    """
    columns = [attribute.c.account_id, attribute.c.value, sa.cast(attribute.c.value, sa.Text).label("text")]
    mine = [attribute.c.key == key, known_rows(attribute, shape), *account_conditions(attribute, shape)]
    since, until = attribute.c.valid_from, attribute.c.valid_to
    # OFFSET 0, so that what is selected is worked out once for each account, not again for each fact.
    if by_day:
        query = sa.select(*columns, since.label("since"), until.label("until")).where(*mine)
        return query.offset(sa.literal_column("0")).subquery(f"attribute{number}")
    days = array_param("days", sa.Date)
    before = [sa.func.width_bucket(day - sa.literal_column("1", sa.Integer), days) for day in (since, until)]
    query = sa.select(*columns, before[0].label("since"), before[1].label("until")).where(*mine)
    rows = query.offset(sa.literal_column("0")).subquery()
    return sa.select(rows).where(rows.c.since < rows.c.until).subquery(f"attribute{number}")
