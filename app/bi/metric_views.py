"""The views of metrics: the catalogue, operands and ratios by account and month, and MRR. All are made from the catalogue."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from app.bi.define import ACCOUNT_ID, COMPLETE, MONTH, View, quote, render_number
from app.bi.linear import Coefficient, NoRatio, Ratio, find_ratio
from app.bi.month_sums import HAS_ENDED, OperandColumns, label_names, month_sums, round_amount
from app.bi.ratio_query import check_ratio, ratio_queries
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.operands import Balance, Flow
from app.metrics.define import METRICS, Metric

_MOVEMENTS = ("new", "reactivated", "expansion", "contraction", "churned")


class _Entry(NamedTuple):
    """A metric by one of its conventions. ratio: as the views add it up; otherwise, `reason` says why they do not."""

    metric: Metric
    is_default: bool
    ratio: Ratio | None
    reason: str | None

    @property
    def adds_over_months(self) -> bool | None:
        """Whether the sums over several months are those of a question about these months."""
        if self.ratio is None:
            return None
        coefficients = {**self.ratio.numerator, **(self.ratio.denominator or {})}
        return all(isinstance(operand, Flow) and not own.is_per_day for operand, own in coefficients.items())


@cache
def entries() -> list[_Entry]:
    """Return all metrics by all of their conventions."""
    return [
        _entry(convention, convention is metric) for metric in METRICS.values() for convention in _conventions(metric)
    ]


def _conventions(metric: Metric) -> Iterable[Metric]:
    return (metric, *metric.other_conventions.values())


def _entry(metric: Metric, is_default: bool) -> _Entry:
    try:
        ratio = find_ratio(metric)
        check_ratio(ratio)
    except NoRatio as error:
        return _Entry(metric, is_default, None, str(error))
    return _Entry(metric, is_default, ratio, None)


def metric_views() -> Iterator[View]:
    """Yield the views of metrics."""
    yield _metrics()
    yield _metric_operands()
    yield _mrr_by_month()
    yield _mrr_movements()


def _metrics() -> View:
    columns = {
        "metric": "Name of the metric, as the API has it.",
        "convention": "Name of a way to compute it, where the industry has several.",
        "is_default": "Whether the API answers by this convention where a question names none.",
        "title": "Title for people.",
        "unit": "points, percent, ratio, score, count, minutes, hours, days, months or money (of the base currency).",
        "better": "Whether more is better: up, down or neither.",
        "description": "What it counts.",
        "in_metric_operands": "Whether it is in metric_operands.",
        "scale": "By which sum(numerator) / sum(denominator) has to be multiplied. Null where it is not in metric_operands, or "
        "has no denominator.",
        "adds_over_months": "Whether numerators and denominators of several months add up to those of the API for all of them. "
        "If false, only those of one month add up, over accounts.",
        "reason": "Why it is not in metric_operands; ask the API. Null where it is there.",
    }
    rows = ",\n    ".join(f"({_metric_row(own)})" for own in entries())
    comment = "All metrics by all of their conventions: a row for each."
    return View("metrics", comment, columns, f"SELECT * FROM (VALUES\n    {rows}) AS own({', '.join(columns)})")


def _metric_row(own: _Entry) -> str:
    metric, ratio = own.metric, own.ratio
    texts = (metric.title, metric.unit, metric.better, metric.description)
    scale = (
        "NULL::numeric" if ratio is None or ratio.denominator is None else f"({render_number(ratio.scale)})::numeric"
    )
    adds = own.adds_over_months
    values = [quote(metric.name), quote(metric.convention), str(own.is_default).lower(), *map(quote, texts)]
    values += [str(ratio is not None).lower(), scale, "NULL::boolean" if adds is None else str(adds).lower()]
    return ", ".join([*values, quote(own.reason)])


def _metric_operands() -> View:
    columns = {
        "account_id": ACCOUNT_ID,
        "month": MONTH,
        "metric": "Name of the metric; see metrics. Choose one: only numbers of the same metric and convention add up.",
        "convention": "Name of the way in which it is computed. Choose one, or the default by metrics.is_default.",
        "numerator": "Adds up over accounts. Of a metric without a denominator, its value. Money is in the base currency.",
        "denominator": "Adds up over accounts. Null for a metric that is a plain sum. The value for some accounts is "
        "metrics.scale * sum(numerator) / nullif(sum(denominator), 0).",
        "value": "The value for this account and month alone; null where the denominator is 0. Values of several accounts "
        "neither add up nor have a mean: use numerator and denominator.",
        "complete": COMPLETE,
    }
    comment = (
        "Metrics by account and month, as sums that add up to what the API answers for any accounts. Accounts and "
        "months in which numerator and denominator are 0 have no row."
    )
    queries = ratio_queries((own.metric, own.ratio) for own in entries() if own.ratio is not None)
    return View("metric_operands", comment, columns, "\nUNION ALL\n".join(queries))


def _mrr_by_month() -> View:
    operands = OperandColumns()
    columns = {
        "account_id": "sums.account_id",
        "month": "sums.month",
        "opening": _sum_of(operands, "mrr_opening"),
        **{name: _sum_of(operands, f"mrr_{name}") for name in _MOVEMENTS},
        "closing": _sum_of(operands, "mrr"),
        "is_customer_at_start": f"{operands.of(Balance('customers', closing=False))} > 0",
        "is_customer_at_end": f"{operands.of(Balance('customers', closing=True))} > 0",
        "complete": HAS_ENDED.format(month="sums.month"),
    }
    comments = {
        "account_id": ACCOUNT_ID,
        "month": MONTH,
        "opening": "MRR at the start of the month, in the base currency.",
        "new": METRICS["mrr_new"].description,
        "reactivated": METRICS["mrr_reactivated"].description,
        "expansion": METRICS["mrr_expansion"].description,
        "contraction": METRICS["mrr_contraction"].description,
        "churned": METRICS["mrr_churned"].description,
        "closing": "MRR at the end of the month, of the running month at the end of today: opening + new + reactivated + "
        "expansion - contraction - churned.",
        "is_customer_at_start": "Whether the account was a customer at the start of the month.",
        "is_customer_at_end": "Whether it was one at the end of the month, of the running month at the end of today.",
        "complete": COMPLETE,
    }
    is_something = " OR ".join(f"sums.{name} <> 0" for name in operands.columns.values())
    query = f"SELECT {label_names(columns)}\nFROM ({month_sums(operands)}) AS sums\nWHERE {is_something}"
    comment = "MRR by account and month: the bridge from the start of the month to its end. Months without any MRR have no row."
    return View("mrr_by_month", comment, comments, query)


def _sum_of(operands: OperandColumns, metric: str) -> str:
    return round_amount(operands.sum(find_ratio(METRICS[metric]).numerator))


def _mrr_movements() -> View:
    operands = OperandColumns()
    net = _by_measure(find_ratio(METRICS["mrr_net_change"]).numerator)
    rows = []
    for kind in _MOVEMENTS:
        [(measure, own)] = _by_measure(find_ratio(METRICS[f"mrr_{kind}"]).numerator).items()
        amount = operands.sum({Flow(measure): own})
        change = operands.sum({Flow(measure): net[measure]})
        rows.append(f"({quote(kind)}, {round_amount(amount)}, {round_amount(change)})")
    query = f"""
    SELECT sums.account_id, sums.month, movement.kind, movement.amount, movement.change,
        {HAS_ENDED.format(month="sums.month")} AS complete
    FROM ({month_sums(operands)}) AS sums
    CROSS JOIN LATERAL (VALUES {", ".join(rows)}) AS movement(kind, amount, change)
    WHERE movement.amount <> 0"""
    columns = {
        "account_id": ACCOUNT_ID,
        "month": MONTH,
        "kind": f"Kind of movement: {', '.join(_MOVEMENTS)}.",
        "amount": "How much MRR moved, in the base currency, as the metrics mrr_new, mrr_churned … answer: a loss is positive.",
        "change": "By how much MRR changed: a loss is negative. All changes of a month add up to mrr_net_change.",
        "complete": COMPLETE,
    }
    comment = "MRR movements by account, month and kind. What did not move has no row."
    return View("mrr_movements", comment, columns, query)


def _by_measure(sum: Mapping[Operand, Coefficient]) -> dict[str, Coefficient]:
    return {operand.measure: own for operand, own in sum.items() if isinstance(operand, Flow)}
