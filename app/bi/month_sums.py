"""The SQL of operands by account and month, as `ledger/sums` sums them for questions by account and month.

Whole months are in the monthly totals. Of the running month, entries that are dated after today do not count yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import lcm

import sqlalchemy as sa

from app.bi.define import DECIMALS, TODAY, quote, quote_list, render
from app.bi.linear import NOT_IN_MONTHS, NoRatio, Sum
from app.database.tables import MONTH_NAMES
from app.ledger.measures import MEASURES, PRESENCES, entry_units
from app.ledger.sums.account_values import BALANCES
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.operands import Balance, Flow, Population, Registered, Users
from app.ledger.sums.populations import account_value_sql

# Which sums of a measure an operand needs: within the month, before it, or before its end.
FLOW = "flow"
OPENING, CLOSING = BALANCES

MONTHS = f"""
    (SELECT first::date AS month, extract(year FROM first)::smallint AS year, extract(month FROM first)::int AS number,
        least((first + interval '1 month')::date, {TODAY} + 1) - first::date AS days
    FROM generate_series((SELECT make_date(min(year), 1, 1)::timestamp FROM public.grand_total),
        {TODAY}::timestamp, interval '1 month') AS first)"""


# In each part of a union, since PostgreSQL passes a condition on the account's id into its parts, but no join.
ACCOUNT_OF = "JOIN public.account ON account.account_id = {table}.account_id"
THIS_MONTH = f"(SELECT date_trunc('month', {TODAY}::timestamp)::date)"
# Whether a month has ended, as the API says it.
HAS_ENDED = "{month} < " + THIS_MONTH
# The condition of entries of the running month that are dated after today.
IS_LATER = f"entry.effective_on > {TODAY} AND entry.effective_on < ({THIS_MONTH} + interval '1 month')::date"


class OperandColumns:
    """The SQL of operands, in terms of columns of `month_sums`, which it collects."""

    def __init__(self) -> None:
        """Begin without columns."""
        self.measures: dict[str, int] = {}
        self.columns: dict[tuple[str, str], str] = {}

    def of(self, operand: Operand) -> str:
        """Return the SQL of an operand, in ledger units. Raises NoRatio for one that is no sum of the month."""
        match operand:
            case Flow():
                return self._column(FLOW, operand.any_subject or operand.measure)
            case Balance():
                return self._column(CLOSING if operand.closing else OPENING, operand.measure)
            case Users():
                return self._users(operand.any_subject or operand.presence)
            case Registered():
                joined = [self._column(FLOW, f"{operand.joined}_{unit}") for unit in entry_units("month")]
                return f"({' + '.join([self._column(OPENING, operand.stock), *joined])})"
            case Population():
                return self._population(operand)
        raise NoRatio(NOT_IN_MONTHS)

    def _users(self, presence: str) -> str:
        if "month" not in PRESENCES[presence].units:
            raise NoRatio(NOT_IN_MONTHS)
        return f"({' + '.join(self._column(FLOW, f'{presence}_{unit}') for unit in entry_units('month'))})"

    def _population(self, operand: Population) -> str:
        """Return the SQL of what an account adds to a population."""
        measures = operand.label_texts
        columns = {
            (bound, measure): sa.literal_column(self._column(bound, measure), sa.BigInteger)
            for bound in BALANCES
            for measure in sorted(measures)
        }
        value = "1" if operand.total is None else render(account_value_sql(operand.total, columns))
        return f"(CASE WHEN {render(account_value_sql(operand.where, columns))} THEN {value} ELSE 0 END)"

    def _column(self, part: str, measure: str) -> str:
        if not MEASURES[measure].by_month:
            raise NoRatio(NOT_IN_MONTHS)
        number = self.measures.setdefault(measure, len(self.measures))
        return self.columns.setdefault((part, measure), f"{part}_{number}")

    def sum(self, sum: Sum) -> str:
        """Return the SQL of a sum of operands, each times its factor."""
        common = lcm(*(own.factor.denominator for own in sum.values()))
        terms = [
            f"{int(own.factor * common)} * {self.of(operand)}" + ("::numeric / days" if own.is_per_day else "")
            for operand, own in sum.items()
        ]
        whole = f"({' + '.join(terms)})::numeric"
        return whole if common == 1 else f"{whole} / {common}"


def month_sums(operands: OperandColumns, *, condition: str = "true") -> str:
    """Return the query of rows (account_id, month, days, a column for each sum), of accounts and months with entries so far.

    condition: without which there are none.
    """
    columns = ",\n            ".join(
        f"coalesce(sum(fact.{part}) FILTER (WHERE fact.measure = {_label(measure)}), 0)::bigint AS {name}"
        for (part, measure), name in operands.columns.items()
    )
    return f"""
        SELECT fact.account_id, fact.month, fact.days,
            {columns}
        FROM ({_facts(operands)}) AS fact
        WHERE {condition}
        GROUP BY fact.account_id, fact.month, fact.days"""


def _label(measure: str) -> str:
    return f"(SELECT key FROM public.label WHERE text = {quote(measure)})"


def _facts(operands: OperandColumns) -> str:
    """Return the query of rows (account_id, measure, month, days, parts): totals, less what is dated after today."""
    parts = [part for part in (FLOW, OPENING, CLOSING) if any(own == part for own, _ in operands.columns)]
    totals = ", ".join(
        f"{_part(part, [measure for own, measure in operands.columns if own == part])} AS {part}" for part in parts
    )
    later = ", ".join("0" if part == OPENING else "-entry.value" for part in parts)
    labels = f"ARRAY(SELECT key FROM public.label WHERE text IN ({quote_list(operands.measures)}))"
    years = "=" if parts == [FLOW] else "<="
    return f"""
            SELECT account.id AS account_id, total.measure, month.month, month.days, {totals}
            FROM {MONTHS} AS month JOIN public.total ON total.year {years} month.year {ACCOUNT_OF.format(table="total")}
            WHERE total.measure = ANY ({labels})
            UNION ALL
            SELECT account.id, entry.measure, {THIS_MONTH}, {TODAY} + 1 - {THIS_MONTH}, {later}
            FROM public.entry {ACCOUNT_OF.format(table="entry")} WHERE entry.measure = ANY ({labels}) AND {IS_LATER}"""


def _part(part: str, measures: Sequence[str]) -> str:
    """Return the SQL of a part of a row of totals, for the measures of which it is needed.

    The totals of stocks are cumulated within the year.
    """
    stocks = [measure for measure in measures if MEASURES[measure].stock]
    if len(stocks) == len(measures):
        return stock_part(part)
    if not stocks:
        return flow_part(part)
    is_stock = f"total.measure = ANY (ARRAY(SELECT key FROM public.label WHERE text IN ({quote_list(stocks)})))"
    return f"CASE WHEN {is_stock} THEN {stock_part(part)} ELSE {flow_part(part)} END"


def stock_part(part: str) -> str:
    """Return the SQL of a part of a row of totals of a stock, which are cumulated within the year."""
    before = _by_month(["0", *MONTH_NAMES[:-1]])
    until = _by_month(MONTH_NAMES)
    if part == FLOW:
        return f"CASE WHEN total.year = month.year THEN {until} - {before} ELSE 0 END"
    last = f"total.{MONTH_NAMES[-1]}"
    return f"CASE WHEN total.year < month.year THEN {last} ELSE {before if part == OPENING else until} END"


def flow_part(part: str) -> str:
    """Return the SQL of a part of a row of totals of another measure."""
    if part == FLOW:
        return f"CASE WHEN total.year = month.year THEN {_by_month(MONTH_NAMES)} ELSE 0 END"
    sums = [" + ".join(f"total.{name}" for name in MONTH_NAMES[:count]) or "0" for count in range(13)]
    in_year = sums[:-1] if part == OPENING else sums[1:]
    cases = " ".join(f"WHEN {number} THEN {own}" for number, own in enumerate(in_year, start=1))
    return f"CASE WHEN total.year < month.year THEN {sums[-1]} ELSE CASE month.number {cases} END END"


def _by_month(names: Iterable[str]) -> str:
    own = (name if name == "0" else f"total.{name}" for name in names)
    cases = " ".join(f"WHEN {number} THEN {name}" for number, name in enumerate(own, start=1))
    return f"CASE month.number {cases} END"


def round_amount(sql: str) -> str:
    """Return the SQL of an amount, rounded to the decimals of the views."""
    return f"round({sql}, {DECIMALS})"


def label_names(columns: Mapping[str, str]) -> str:
    """Return columns of a query: SQL by name."""
    return ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
