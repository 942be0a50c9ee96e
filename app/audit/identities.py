"""The catalogue of identities: two numbers, computed from the values of metrics, that are equal in every row."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

TwoNumbers = tuple[float, float]


class Identity(NamedTuple):
    """An entry of the catalogue. compute: returns the two numbers from the values of the metrics."""

    name: str
    sentence: str
    metrics: tuple[str, ...]
    compute: Callable[..., TwoNumbers]


IDENTITIES: list[Identity] = []


def identity(compute: Callable[..., TwoNumbers]) -> Callable[..., TwoNumbers]:
    """Register an identity: its parameters are metrics, its docstring is the sentence in answers."""
    sentence = " ".join((compute.__doc__ or "").split())
    metrics = tuple(inspect.signature(compute).parameters)
    IDENTITIES.append(Identity(compute.__name__, sentence, metrics, compute))
    return compute


@identity
def mrr_moves(
    mrr: float,
    mrr_opening: float,
    mrr_new: float,
    mrr_reactivated: float,
    mrr_expansion: float,
    mrr_contraction: float,
    mrr_churned: float,
) -> TwoNumbers:
    """The change of MRR over a period equals new, reactivated and expansion MRR minus contraction and churned MRR."""
    return mrr - mrr_opening, mrr_new + mrr_reactivated + mrr_expansion - mrr_contraction - mrr_churned


@identity
def customers_move(
    customers: float,
    customers_opening: float,
    customers_new: float,
    customers_reactivated: float,
    customers_churned: float,
) -> TwoNumbers:
    """The change of the number of customers over a period equals new and reactivated minus churned customers."""
    return customers - customers_opening, customers_new + customers_reactivated - customers_churned


@identity
def retention_of_revenue(nrr: float, grr: float, expansion_mrr_rate: float) -> TwoNumbers:
    """Net revenue retention equals gross revenue retention plus the expansion MRR rate."""
    return nrr, grr + expansion_mrr_rate


@identity
def retention_of_customers(customer_churn_rate: float, customer_retention_rate: float) -> TwoNumbers:
    """Customer churn rate and customer retention rate add up to 100%."""
    return customer_churn_rate + customer_retention_rate, 100


@identity
def no_more_than_all(grr: float) -> TwoNumbers:
    """Gross revenue retention is never above 100%."""
    return grr, min(grr, 100)
