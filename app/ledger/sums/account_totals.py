"""The parts of accounts that are sums of all entries before the start of a month.

By now, they are in the monthly totals. What was known on an earlier day is added up from the entries. Either way there is a row
for every account with any entry that was known, also of a later day: so an account is in the answer of a day that is over as it
was in that of the day itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from app.database.query_plan import QueryPlan, merge_plans
from app.database.statements import BoundStatement, Statement
from app.database.tables import MONTH_NAMES, WHOLE_BUSINESS
from app.ledger.measures import MEASURES
from app.ledger.sums.account_sums import AccountSumsRequest, Block, DayBound, MeasurePart, block_of_rows, empty_block


@dataclass(frozen=True, slots=True)
class SumBeforeMonth(MeasurePart):
    """The sum of all entries of a measure before the month of a day."""

    measure: str
    bound: DayBound
    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return the block of the parts: a statement for the days as known now, and one for the others."""
        if not cls.have_entries(request, parts):
            return empty_block(len(parts))
        now = [index for index, at in enumerate(request.days) if at.as_of is None]
        earlier = [index for index, at in enumerate(request.days) if at.as_of is not None]
        chosen = [(indices, as_known_now) for indices, as_known_now in ((now, True), (earlier, False)) if indices]
        plans = [_load(request, parts, indices, as_known_now) for indices, as_known_now in chosen]
        return block_of_rows([row for rows in (yield from merge_plans(plans)) for row in rows], len(parts))


def _load(
    request: AccountSumsRequest, parts: Sequence[SumBeforeMonth], indices: Sequence[int], as_known_now: bool
) -> QueryPlan[list[tuple[Any, ...]]]:
    """Return the rows (index of the day, account, value of each part …) of some days."""
    labels, days = request.labels, [request.days[index] for index in indices]
    bounds = tuple(dict.fromkeys(part.bound for part in parts))
    parameters: dict[str, Any] = {
        "index": indices,
        "recorded_by": [at.recorded_by for at in days],
    }
    for number, bound in enumerate(bounds):
        starts = [bound._replace(months=bound.months or 0).on(at.tomorrow) for at in days]
        parameters |= {f"b{number}": starts}
        parameters |= {f"y{number}": [start.year for start in starts], f"k{number}": [start.month for start in starts]}
    for number, part in enumerate(parts):
        parameters[f"m{number}"] = labels.get(part.measure, -1)
        parameters[f"s{number}"] = [labels.get(text, -1) for text in part.subjects]
        parameters[f"c{number}"] = [labels.get(text, -1) for text in part.channels]
    statement = _statement(tuple(parts), bounds, request.account_condition, as_known_now)
    (rows,) = yield [BoundStatement(statement, parameters | request.account_parameters)]
    return rows


@lru_cache(maxsize=64)
def _statement(
    parts: tuple[SumBeforeMonth, ...], bounds: tuple[DayBound, ...], account_condition: str, as_known_now: bool
) -> Statement:
    """Return the query of rows (index of the day, account_id, a value for each part)."""
    types = {"index": "int", "recorded_by": "date"}
    for number in range(len(bounds)):
        types |= {f"y{number}": "int", f"k{number}": "int"} if as_known_now else {f"b{number}": "date"}
    arrays = ", ".join(f"CAST(%({name})s AS {type}[])" for name, type in types.items())
    columns = ",\n            ".join(
        f"{_value(part, number, bounds.index(part.bound), as_known_now)} AS v{number}"
        for number, part in enumerate(parts)
    )
    measures = ", ".join(f"%(m{number})s" for number in range(len(parts)))
    is_used = f"measure IN ({measures}) AND account_id <> {WHOLE_BUSINESS} {account_condition}"
    source = f"total WHERE {is_used}"
    if not as_known_now:
        source = "fact WHERE recorded_on <= day.recorded_by"
    # What is known on one day or another is read once.
    facts = f""", fact AS MATERIALIZED (
        SELECT account_id, measure, subject, channel, effective_on, recorded_on, value FROM entry
        WHERE {is_used})"""
    is_read_once = account_condition and not as_known_now
    source = source if as_known_now or is_read_once else source.replace("fact WHERE", f"entry WHERE {is_used} AND")
    text = f"""
    WITH day AS MATERIALIZED (SELECT * FROM unnest({arrays}) AS day({", ".join(types)})){facts if is_read_once else ""}
    SELECT day.index, own.*
    FROM day CROSS JOIN LATERAL (
        SELECT account_id,
            {columns}
        FROM {source} GROUP BY account_id OFFSET 0) AS own
    """
    return Statement(text, array_formats=dict.fromkeys(types, str) | ({"accounts": str} if account_condition else {}))


def _value(part: SumBeforeMonth, number: int, bound: int, as_known_now: bool) -> str:
    """Return the SQL of a part's value."""
    conditions = [f"measure = %(m{number})s"]
    conditions += [f"subject = ANY(%(s{number})s)"] if part.subjects else []
    conditions += [f"channel = ANY(%(c{number})s)"] if part.channels else []
    if not as_known_now:
        return f"bigint_sum(value) FILTER (WHERE {' AND '.join(conditions)} AND effective_on < day.b{bound})"
    # The totals of stocks are cumulated within the year.
    is_stock = MEASURES[part.measure].stock
    whole_year = MONTH_NAMES[-1] if is_stock else " + ".join(MONTH_NAMES)
    before = [MONTH_NAMES[month - 2] if is_stock else " + ".join(MONTH_NAMES[: month - 1]) for month in range(2, 13)]
    cases = " ".join(f"WHEN {month} THEN {sum}" for month, sum in enumerate(before, start=2))
    value = f"CASE WHEN year < day.y{bound} THEN {whole_year} ELSE CASE day.k{bound} {cases} ELSE 0 END END"
    return f"bigint_sum({value}) FILTER (WHERE {' AND '.join(conditions)} AND year <= day.y{bound})"
