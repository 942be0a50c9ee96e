"""Metrics of revenue retention: churn, expansion and retention of the MRR of customers at the start of the period."""

from app.metrics.catalogue.retention import CLOSING_MRR, OPENING_MRR, THREE_CUSTOMERS
from app.metrics.catalogue.revenue import DOWNGRADE, NO_CUSTOMERS, UPGRADE
from app.metrics.define import Amount, Result, metric, money_rate, opening, over_accounts

# What customers at the start lost and added by the end: one difference for each customer.
LOST_MRR = over_accounts(
    "Decrease in MRR from the start to the end of the {period}, of customers whose MRR decreased.",
    OPENING_MRR - CLOSING_MRR,
    where=(OPENING_MRR > 0) & (OPENING_MRR > CLOSING_MRR),
)
GAINED_MRR = over_accounts(
    "Increase in MRR from the start to the end of the {period}, of customers at its start whose MRR increased.",
    CLOSING_MRR - OPENING_MRR,
    where=(OPENING_MRR > 0) & (CLOSING_MRR > OPENING_MRR),
)

# Three customers of 100.00 each at the start: one shrinks by 20.00 and one grows by 30.00.
UPGRADE_AND_DOWNGRADE = [*THREE_CUSTOMERS, DOWNGRADE._replace(account="one"), UPGRADE._replace(account="two")]
NET_CHANGES: dict[str, float | str] = {
    "mrr_lost": "20.00 USD",
    "mrr_gained": "30.00 USD",
    "mrr": "300.00 USD",
    "customers": 3,
}
MOVEMENTS: dict[str, float | str] = {
    "mrr_churned": "0.00 USD",
    "mrr_contraction": "20.00 USD",
    "mrr_expansion": "30.00 USD",
    "mrr": "300.00 USD",
    "customers": 3,
}


@metric(
    unit="percent",
    better="down",
    range=(0, 100),
    example={"mrr_lost": "20.00 USD", "mrr": "300.00 USD", "customers": 3, "equals": 20 / 3},
    events=UPGRADE_AND_DOWNGRADE,
    convention="capped_per_customer",
    counted_by="Mattermost, and Baremetrics since it limited the loss of a customer to its starting MRR.",
)
def gross_mrr_churn_rate(
    mrr_lost: Amount = LOST_MRR, mrr: Amount = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """Gross MRR churn rate: MRR lost to cancellations and downgrades among customers at the start of the period, as a
    percentage of their starting MRR.

    Netted per customer: MRR at the start minus MRR at the end, if positive. Growth of one customer does not offset the
    loss of another. No value when there were no customers at the start.
    """
    return money_rate(mrr_lost, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@gross_mrr_churn_rate.also(
    "movements",
    counted_by="ChartMogul in an older article, which counts all churn and contraction, even if customers came back.",
    range=(0, None),
    example={
        "mrr_churned": "0.00 USD",
        "mrr_contraction": "20.00 USD",
        "mrr": "300.00 USD",
        "customers": 3,
        "equals": 20 / 3,
    },
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_churned: Amount, mrr_contraction: Amount, mrr: Amount = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """All churned and contraction MRR of the period as a percentage of MRR at its start.

    Includes losses from customers won during the period and from customers who came back. Can exceed 100%.
    """
    return money_rate(mrr_churned + mrr_contraction, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@gross_mrr_churn_rate.also(
    "capped_on_totals",
    counted_by="Chargebee, which compares total MRR at the start and the end of the period, not each customer's.",
    example=NET_CHANGES | {"equals": 0},
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_lost: Amount = LOST_MRR,
    mrr_gained: Amount = GAINED_MRR,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Combined net MRR loss of customers at the start of the period, as a percentage of their starting MRR.

    Growth of one customer offsets the loss of another. Zero when their total MRR grew.
    """
    return money_rate(max(0, mrr_lost - mrr_gained), of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    example={"mrr_gained": "30.00 USD", "mrr": "300.00 USD", "customers": 3, "equals": 10},
    events=UPGRADE_AND_DOWNGRADE,
)
def expansion_mrr_rate(
    mrr_gained: Amount = GAINED_MRR, mrr: Amount = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """Expansion MRR rate: MRR added by upgrades among customers at the start of the period, as a percentage of their
    starting MRR.

    Netted per customer: MRR at the end minus MRR at the start, if positive. New customers and former customers who
    return are excluded. No value when there were no customers at the start.
    """
    return money_rate(mrr_gained, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="down",
    range=(None, 100),
    example=NET_CHANGES | {"equals": -10 / 3},
    events=UPGRADE_AND_DOWNGRADE,
    convention="opening_customers",
    counted_by="ChartMogul in its cohorts, which follow the customers at the start of a period to its end.",
)
def net_mrr_churn_rate(
    mrr_lost: Amount = LOST_MRR,
    mrr_gained: Amount = GAINED_MRR,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Net MRR churn rate: MRR lost minus MRR added among customers at the start of the period, as a percentage of their
    starting MRR.

    Negative when they added more than they lost. New customers and former customers who return are excluded. No value
    when there were no customers at the start.
    """
    return money_rate(mrr_lost - mrr_gained, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@net_mrr_churn_rate.also(
    "with_reactivation",
    counted_by="ChartMogul in its net MRR churn rate, which deducts the MRR of returning customers from the losses.",
    range=(None, None),
    example=MOVEMENTS | {"mrr_reactivated": "0.00 USD", "equals": -10 / 3},
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_churned: Amount,
    mrr_contraction: Amount,
    mrr_expansion: Amount,
    mrr_reactivated: Amount,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Churned and contraction MRR minus expansion and reactivation MRR, as a percentage of MRR at the start of the
    period.

    Counts the movements of all customers, including those won during the period.
    """
    net = mrr_churned + mrr_contraction - mrr_expansion - mrr_reactivated
    return money_rate(net, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@net_mrr_churn_rate.also(
    "without_reactivation",
    counted_by="Bruin, and ChartMogul in its chart of net revenue retention. They leave out the MRR of returning customers.",
    range=(None, None),
    example=MOVEMENTS | {"equals": -10 / 3},
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_churned: Amount,
    mrr_contraction: Amount,
    mrr_expansion: Amount,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Churned and contraction MRR minus expansion MRR, as a percentage of MRR at the start of the period.

    Counts the movements of all customers, including those won during the period, but no reactivation.
    """
    net = mrr_churned + mrr_contraction - mrr_expansion
    return money_rate(net, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    example=NET_CHANGES | {"equals": 310 / 3},
    events=UPGRADE_AND_DOWNGRADE,
    convention="opening_customers",
    counted_by="ChartMogul in its cohorts, which follow the customers at the start of a period to its end.",
)
def nrr(
    mrr_lost: Amount = LOST_MRR,
    mrr_gained: Amount = GAINED_MRR,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Net revenue retention (NRR): MRR at the end of the period from customers you had at its start, as a percentage of
    their starting MRR.

    Includes expansion, contraction and churn; excludes new customers. Above 100% when expansion exceeds losses. No
    value when there were no customers at the start.
    """
    return money_rate(mrr + mrr_gained - mrr_lost, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@nrr.also(
    "with_reactivation",
    counted_by="Reports that subtract ChartMogul's net MRR churn rate from 100%, which includes returning customers.",
    range=(None, None),
    example=MOVEMENTS | {"mrr_reactivated": "0.00 USD", "equals": 310 / 3},
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_churned: Amount,
    mrr_contraction: Amount,
    mrr_expansion: Amount,
    mrr_reactivated: Amount,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """MRR at the start of the period plus expansion and reactivation minus contraction and churn, as a percentage of
    MRR at the start.

    Counts the movements of all customers, including those won during the period. Can be negative.
    """
    net = mrr_churned + mrr_contraction - mrr_expansion - mrr_reactivated
    return money_rate(mrr - net, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@nrr.also(
    "without_reactivation",
    counted_by="Bruin, and ChartMogul in its chart of net revenue retention. They leave out the MRR of returning customers.",
    range=(None, None),
    example=MOVEMENTS | {"equals": 310 / 3},
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_churned: Amount,
    mrr_contraction: Amount,
    mrr_expansion: Amount,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """MRR at the start of the period plus expansion minus contraction and churn, as a percentage of MRR at the start.

    Counts the movements of all customers, including those won during the period, but no reactivation. Can be negative.
    """
    net = mrr_churned + mrr_contraction - mrr_expansion
    return money_rate(mrr - net, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"mrr_lost": "20.00 USD", "mrr": "300.00 USD", "customers": 3, "equals": 280 / 3},
    events=UPGRADE_AND_DOWNGRADE,
    convention="capped_per_customer",
    counted_by="Mattermost, and Baremetrics since it limited the loss of a customer to its starting MRR.",
)
def grr(mrr_lost: Amount = LOST_MRR, mrr: Amount = opening("mrr"), customers: int = opening("customers")) -> Result:
    """Gross revenue retention (GRR): MRR kept from customers you had at the start of the period, as a percentage of
    their starting MRR.

    Like net revenue retention, but without expansion, so never above 100%. Each customer counts with its MRR at the
    start or at the end, whichever is smaller. No value when there were no customers at the start.
    """
    return money_rate(mrr - mrr_lost, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@grr.also(
    "movements",
    counted_by="Reports that subtract the gross MRR churn rate of an older ChartMogul article from 100%.",
    range=(None, 100),
    example={
        "mrr_churned": "0.00 USD",
        "mrr_contraction": "20.00 USD",
        "mrr": "300.00 USD",
        "customers": 3,
        "equals": 280 / 3,
    },
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_churned: Amount, mrr_contraction: Amount, mrr: Amount = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """MRR at the start of the period minus all churned and contraction MRR, as a percentage of MRR at the start.

    Includes losses from customers won during the period and from customers who came back. Can be negative.
    """
    return money_rate(mrr - mrr_churned - mrr_contraction, of=mrr, sample=customers, if_empty=NO_CUSTOMERS)


@grr.also(
    "capped_on_totals",
    counted_by="Chargebee, which compares total MRR at the start and the end of the period, not each customer's.",
    example=NET_CHANGES | {"equals": 100},
    events=UPGRADE_AND_DOWNGRADE,
)
def _(
    mrr_lost: Amount = LOST_MRR,
    mrr_gained: Amount = GAINED_MRR,
    mrr: Amount = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Combined MRR kept from customers at the start of the period, as a percentage of their starting MRR.

    Growth of one customer offsets the loss of another. Never above 100%.
    """
    return money_rate(mrr - max(0, mrr_lost - mrr_gained), of=mrr, sample=customers, if_empty=NO_CUSTOMERS)
