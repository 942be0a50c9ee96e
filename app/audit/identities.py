"""What always holds between metrics: a catalogue. Each entry gives two numbers that have to be equal, in every row."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

Pair = tuple[float, float]


class Identity(NamedTuple):
    """The name and the sentence of an entry, the metrics that it speaks of, and what has to be equal of their values."""

    name: str
    sentence: str
    metrics: tuple[str, ...]
    pair: Callable[..., Pair]


IDENTITIES: list[Identity] = []


def identity(pair: Callable[..., Pair]) -> Callable[..., Pair]:
    """Register an identity: the parameters are metrics, the docstring is its sentence."""
    sentence = " ".join((pair.__doc__ or "").split())
    IDENTITIES.append(Identity(pair.__name__, sentence, tuple(inspect.signature(pair).parameters), pair))
    return pair


@identity
def mrr_moves(
    mrr: float,
    mrr_opening: float,
    mrr_new: float,
    mrr_reactivated: float,
    mrr_expansion: float,
    mrr_contraction: float,
    mrr_churned: float,
) -> Pair:
    """Closing less opening MRR is what was new, reactivated and expanded, less what contracted and churned."""
    return mrr - mrr_opening, mrr_new + mrr_reactivated + mrr_expansion - mrr_contraction - mrr_churned


@identity
def customers_move(
    customers: float,
    customers_opening: float,
    customers_new: float,
    customers_reactivated: float,
    customers_churned: float,
) -> Pair:
    """Closing less opening customers is who was new and came back, less who left."""
    return customers - customers_opening, customers_new + customers_reactivated - customers_churned


@identity
def retention_of_revenue(nrr: float, grr: float, expansion_mrr_rate: float) -> Pair:
    """Net revenue retention is gross revenue retention and expansion."""
    return nrr, grr + expansion_mrr_rate


@identity
def retention_of_customers(customer_churn_rate: float, customer_retention_rate: float) -> Pair:
    """Of a hundred customers some left and the others stayed."""
    return customer_churn_rate + customer_retention_rate, 100


@identity
def no_more_than_all(grr: float) -> Pair:
    """Gross revenue retention is never above 100."""
    return grr, min(grr, 100)
