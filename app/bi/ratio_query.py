"""The query of all ratios of the catalogue, by account and month.

Most are sums of flows and balances: these share one query, with a row for each sum that a metric uses. The others look at the
balances of each account: those that look at the same balances share a query.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from app.bi.define import quote, render_number
from app.bi.linear import Ratio, Sum
from app.bi.month_sums import (
    ACCOUNT_OF,
    CLOSING,
    FLOW,
    HAS_ENDED,
    IS_LATER,
    MONTHS,
    OPENING,
    THIS_MONTH,
    OperandColumns,
    flow_part,
    label_names,
    month_sums,
    round_amount,
    stock_part,
)
from app.ledger.measures import MEASURES
from app.ledger.sums.operands import Population
from app.metrics.define import Metric


class _SharedRatio(NamedTuple):
    """A ratio of plain sums: their factors, which are whole numbers, and what their sums are divided by.

    factors: of the numerator and of the denominator, by part and measure. divisors: those of the two; None without denominator.
    """

    metric: Metric
    scale: Fraction
    factors: Mapping[tuple[str, str], tuple[int, int]]
    divisors: tuple[int, int | None]


def ratio_queries(ratios: Iterable[tuple[Metric, Ratio]]) -> Iterator[str]:
    """Yield queries of rows (account_id, month, metric, convention, numerator, denominator, value, complete)."""
    plain_ratios: list[_SharedRatio] = []
    by_balances: dict[frozenset[str], list[tuple[Metric, Ratio]]] = defaultdict(list)
    for metric, ratio in ratios:
        if (own := _share(metric, ratio)) is not None:
            plain_ratios.append(own)
        else:
            by_balances[_population_measures(metric)].append((metric, ratio))
    yield _shared_query(plain_ratios)
    yield from map(_population_query, by_balances.values())


def _population_measures(metric: Metric) -> frozenset[str]:
    populations = (operand for operand in metric.operands if isinstance(operand, Population))
    return frozenset[str]().union(*(operand.label_texts for operand in populations))


def check_ratio(ratio: Ratio) -> None:
    """Raise NoRatio for a ratio whose operands are no sums of a month."""
    operands = OperandColumns()
    for operand in (*ratio.numerator, *(ratio.denominator or ())):
        operands.of(operand)


def _population_query(ratios: Sequence[tuple[Metric, Ratio]]) -> str:
    """Return the query of metrics that look at the same balances of each account.

    The balances are computed for each of the metrics that are asked for: for none, if none is.
    """
    operands = OperandColumns()
    numerator = [round_amount(operands.sum(ratio.numerator)) for _, ratio in ratios]
    denominator = [
        "NULL::numeric" if ratio.denominator is None else round_amount(operands.sum(ratio.denominator))
        for _, ratio in ratios
    ]
    names = [
        f"({quote(metric.name)}, {quote(metric.convention)}, {number}, {render_number(ratio.scale)})"
        for number, (metric, ratio) in enumerate(ratios, start=1)
    ]
    return f"""
    SELECT sums.account_id, sums.month, own.metric, own.convention, part.numerator, part.denominator,
        {round_amount("own.scale * part.numerator / nullif(part.denominator, 0)")} AS value,
        {HAS_ENDED.format(month="sums.month")} AS complete
    FROM (VALUES {", ".join(names)}) AS own(metric, convention, number, scale)
    CROSS JOIN LATERAL ({month_sums(operands, condition="own.number > 0")}) AS sums
    CROSS JOIN LATERAL (SELECT {_choice(numerator)} AS numerator, {_choice(denominator)} AS denominator) AS part
    WHERE part.numerator <> 0 OR part.denominator <> 0"""


def _choice(parts: Iterable[str]) -> str:
    """Return the SQL of the part with the number of the metric."""
    cases = " ".join(f"WHEN {number} THEN {part}" for number, part in enumerate(parts, start=1))
    return f"CASE own.number {cases} END"


def _share(metric: Metric, ratio: Ratio) -> _SharedRatio | None:
    """Return a ratio of plain sums; None for one that needs a query of its own."""
    sides = (ratio.numerator, ratio.denominator or {})
    coefficients = [own for side in sides for own in side.items()]
    if any(isinstance(operand, Population) or own.is_per_day for operand, own in coefficients):
        return None
    divisors = [lcm(*(own.factor.denominator for own in side.values())) for side in sides]
    factors: dict[tuple[str, str], list[int]] = {}
    for number, side in enumerate(sides):
        for key, factor in _plain_sums(side):
            factors.setdefault(key, [0, 0])[number] += int(factor * divisors[number])
    if any(MEASURES[measure].stock is (part == FLOW) for part, measure in factors):
        return None
    return _SharedRatio(
        metric,
        ratio.scale,
        {key: (own[0], own[1]) for key, own in factors.items()},
        (divisors[0], None if ratio.denominator is None else divisors[1]),
    )


def _plain_sums(side: Sum) -> Iterator[tuple[tuple[str, str], Fraction]]:
    """Yield part and measure of each plain sum that operands are made of, with its factor."""
    for operand, own in side.items():
        columns = OperandColumns()
        columns.of(operand)
        for part_and_measure in columns.columns:
            yield part_and_measure, own.factor


def _shared_query(plain_ratios: Iterable[_SharedRatio]) -> str:
    rows: dict[bool, list[str]] = {True: [], False: []}
    for own in plain_ratios:
        scale = render_number(own.scale)
        for (part, measure), (of_numerator, of_denominator) in own.factors.items():
            texts = (own.metric.name, own.metric.convention, measure, part)
            numbers = (of_numerator, of_denominator, own.divisors[0], own.divisors[1] or "NULL::int", scale)
            rows[part == FLOW].append(f"({', '.join([*map(quote, texts), *map(str, numbers)])})")
    numerator = "sum(fact.value * fact.of_numerator)::numeric / fact.numerator_divisor"
    denominator = "sum(fact.value * fact.of_denominator)::numeric / fact.denominator_divisor"
    columns = {
        "account_id": "fact.account_id",
        "month": "fact.month",
        "metric": "fact.metric",
        "convention": "fact.convention",
        "numerator": round_amount(numerator),
        "denominator": round_amount(denominator),
        "value": f"CASE WHEN fact.denominator_divisor IS NULL THEN {round_amount(numerator)} "
        f"ELSE {round_amount(f'fact.scale * {numerator} / nullif({denominator}, 0)')} END",
        "complete": HAS_ENDED.format(month="fact.month"),
    }
    balance = f"CASE own.part WHEN {quote(OPENING)} THEN {stock_part(OPENING)} ELSE {stock_part(CLOSING)} END"
    return f"""
    SELECT {label_names(columns)}
    FROM ({_facts(rows[True], flow_part(FLOW), "=")}
        UNION ALL {_facts(rows[False], balance, "<=")}) AS fact
    GROUP BY fact.account_id, fact.month, fact.metric, fact.convention, fact.numerator_divisor,
        fact.denominator_divisor, fact.scale
    HAVING sum(fact.value * fact.of_numerator) <> 0 OR sum(fact.value * fact.of_denominator) <> 0"""


def _facts(rows: Iterable[str], value: str, years: str) -> str:
    """Return the query of values of sums, with what they are to a metric: totals, less what is dated after today."""
    names = (
        "metric, convention, measure, part, of_numerator, of_denominator, numerator_divisor, denominator_divisor, scale"
    )
    own = f"(VALUES {', '.join(rows)}) AS own({names}) JOIN public.label ON label.text = own.measure"
    return f"""
        SELECT account.id AS account_id, month.month, own.*, {value} AS value
        FROM {own} JOIN public.total ON total.measure = label.key {ACCOUNT_OF.format(table="total")}
        JOIN {MONTHS} AS month ON total.year {years} month.year
        UNION ALL
        SELECT account.id, {THIS_MONTH}, own.*, -entry.value
        FROM {own} JOIN public.entry ON entry.measure = label.key {ACCOUNT_OF.format(table="entry")}
        WHERE {IS_LATER} AND own.part <> {quote(OPENING)}"""
