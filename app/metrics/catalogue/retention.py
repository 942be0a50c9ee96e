"""Metrics of customer retention: churn, retention and lifetime value.

Churn and retention follow the customers at the start of the period (MRR above zero) to its end. Customers won during the
period are not among them; they belong to the next period.
"""

from fractions import Fraction

from app.metrics.catalogue.revenue import (
    CANCELED,
    CANCELLATION,
    EARLIER_CANCELLATION,
    EARLIER_SUBSCRIPTION,
    NEW_SUBSCRIPTION,
    NO_CUSTOMERS,
)
from app.metrics.define import (
    MONEY_SCALE,
    Amount,
    ExampleEvent,
    Result,
    accounts,
    closing,
    context,
    metric,
    money,
    opening,
    own_closing,
    own_flow,
    own_opening,
    percentage,
    proportion,
    trailing,
)

# One account's MRR at the start and at the end of the period.
OPENING_MRR, CLOSING_MRR = own_opening("mrr"), own_closing("mrr")
# Customers at the start who are not customers at the end.
LOST_CUSTOMERS = accounts(
    "Customers at the start of the {period} who were not customers at its end.",
    where=(OPENING_MRR > 0) & ~(CLOSING_MRR > 0),
)
# Customers at the start who were lost at any time in the period, even if they came back.
CHURNED_OPENING_CUSTOMERS = accounts(
    "Customers at the start of the {period} who were lost at any time during it, even if they came back.",
    where=(OPENING_MRR > 0) & (own_flow("customers_churned") > 0),
)
# Accounts that were not customers at the start and became customers in the period.
JOINING_ACCOUNTS = accounts(
    "Accounts that were not customers at the start of the {period} and became customers during it.",
    where=~(OPENING_MRR > 0) & ((own_flow("customers_new") > 0) | (own_flow("customers_reactivated") > 0)),
)
# 1 for an account that pays and has not canceled, else 0.
PAYING_UNCANCELED_AT_START = own_opening("customers") - own_opening("customers_leaving")
PAYING_UNCANCELED_AT_END = own_closing("customers") - own_closing("customers_leaving")

THREE_CUSTOMERS = [EARLIER_SUBSCRIPTION._replace(account=account) for account in ("one", "two", "three")]
# Four customers of 100.00 each at the start, of whom one is lost.
FOUR_CUSTOMERS_ONE_LOST = [
    *THREE_CUSTOMERS,
    EARLIER_SUBSCRIPTION._replace(account="four"),
    CANCELLATION._replace(account="four"),
]
# Five customers at the start: two are lost, and one of them comes back. Two more are won, and one of them is lost.
SEVEN_CUSTOMERS_THREE_LOSSES = [
    *FOUR_CUSTOMERS_ONE_LOST,
    EARLIER_SUBSCRIPTION._replace(account="five"),
    CANCELLATION._replace(account="five"),
    NEW_SUBSCRIPTION._replace(account="five"),
    NEW_SUBSCRIPTION._replace(account="six"),
    CANCELLATION._replace(account="six", on="2026-03-12"),
    NEW_SUBSCRIPTION._replace(account="seven"),
]
CANCELLATION_IN_ADVANCE = ExampleEvent(
    1, CANCELED, {"subscription_id": "sub-1", "ends_at": "2026-04-10T00:00:00Z"}, on="2026-03-05"
)


@metric(
    unit="percent",
    better="down",
    range=(0, 100),
    example={"leavers": 1, "customers": 4, "equals": 25},
    events=FOUR_CUSTOMERS_ONE_LOST,
    convention="opening_customers",
    counted_by="ChartMogul, which leaves out customers who joined or came back within the period.",
)
def customer_churn_rate(leavers: int = LOST_CUSTOMERS, customers: int = opening("customers")) -> Result:
    """Customer churn rate: percentage of customers at the start of the period who had left by its end.

    Customers won during the period are not counted. Customers who leave and return within it are not lost. A canceled
    subscription counts until it ends. No value when there were no customers at the start.
    """
    return proportion(leavers, of=customers, if_empty=NO_CUSTOMERS)


@customer_churn_rate.also(
    "all_churn_events",
    counted_by="Baremetrics, which divides all cancellations of a period by the number of customers before it.",
    range=(0, None),
    example={"customers_churned": 3, "customers": 5, "equals": 60},
    events=SEVEN_CUSTOMERS_THREE_LOSSES,
)
def _(customers_churned: int, customers: int = opening("customers")) -> Result:
    """Number of customer losses in the period as a percentage of customers at its start.

    Every loss counts, including those of customers won during the period and of customers who came back. Can exceed
    100%.
    """
    return percentage(customers_churned, of=customers, if_empty=NO_CUSTOMERS)


@customer_churn_rate.also(
    "lost_at_any_time",
    counted_by="Reports that count customers as lost even if they came back within the period.",
    example={"lost": 2, "customers": 5, "equals": 40},
    events=SEVEN_CUSTOMERS_THREE_LOSSES,
)
def _(lost: int = CHURNED_OPENING_CUSTOMERS, customers: int = opening("customers")) -> Result:
    """Percentage of customers at the start of the period who were lost at any time during it, even if they came back.

    Customers won during the period are not counted.
    """
    return proportion(lost, of=customers, if_empty=NO_CUSTOMERS)


@customer_churn_rate.also(
    "ever_active",
    counted_by="Reports that divide by everyone who was a customer during the period, not only at its start.",
    range=(0, None),
    example={"customers_churned": 3, "customers": 5, "joined": 2, "equals": 300 / 7},
    events=SEVEN_CUSTOMERS_THREE_LOSSES,
)
def _(customers_churned: int, customers: int = opening("customers"), joined: int = JOINING_ACCOUNTS) -> Result:
    """Number of customer losses in the period as a percentage of all accounts that were customers at any time during
    it.

    Customers won during the period count in both numbers. Can exceed 100% when customers are lost more than once. No
    value when there was no customer at any time during the period.
    """
    return percentage(customers_churned, of=customers + joined, if_empty=NO_CUSTOMERS)


@customer_churn_rate.also(
    "cancellation_click",
    counted_by="Stripe and Maxio, and Polar in its churn rate. For them, a customer is lost on the day of the cancellation.",
    example={"leavers": 1, "customers": 4, "leaving": 0, "equals": 25},
    events=[
        *THREE_CUSTOMERS,
        EARLIER_SUBSCRIPTION._replace(account="four"),
        CANCELLATION_IN_ADVANCE._replace(account="four"),
    ],
)
def _(
    leavers: int = accounts(
        "Customers who had not canceled at the start of the {period}, and had canceled or left by its end.",
        where=(PAYING_UNCANCELED_AT_START > 0) & ~(PAYING_UNCANCELED_AT_END > 0),
    ),
    customers: int = opening("customers"),
    leaving: int = opening("customers_leaving"),
) -> Result:
    """Percentage of customers at the start of the period who had canceled or left by its end.

    A customer is lost on the day of the cancellation, even while the subscription still runs. The default convention
    waits until it ends. Customers who had already canceled before the period are excluded. No value when there were no
    other customers at the start.
    """
    return proportion(leavers, of=customers - leaving, if_empty=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"leavers": 1, "customers": 4, "equals": 75},
    events=FOUR_CUSTOMERS_ONE_LOST,
)
def customer_retention_rate(leavers: int = LOST_CUSTOMERS, customers: int = opening("customers")) -> Result:
    """Customer retention rate: percentage of customers at the start of the period who were still customers at its end.

    Customers won during the period are not counted. Equals 100% minus the customer churn rate. No value when there were
    no customers at the start.
    """
    return proportion(customers - leavers, of=customers, if_empty=NO_CUSTOMERS)


@metric(
    unit="money",
    better="up",
    example={
        "mrr": "300.00 USD",
        "customers": 3,
        "customers_before": 4,
        "leavers": 1,
        "months": 1,
        "margin": 1,
        "equals": 400,
    },
    events=FOUR_CUSTOMERS_ONE_LOST,
    convention="with_margin",
    counted_by="Finmark and others who count the profit that a customer brings, not the revenue.",
)
def clv(
    mrr: Amount = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = opening("customers"),
    leavers: int = LOST_CUSTOMERS,
    months: Fraction = context("months"),
    margin: Fraction = context("margin"),
) -> Result:
    """Customer lifetime value (CLV): average MRR per customer × gross margin ÷ monthly customer churn rate.

    This is the gross profit to expect from one customer. Average MRR is taken at the end of the period (`arpa`).
    Monthly churn is the churn rate of the period (`customer_churn_rate`) divided by the number of months in it. No
    value when nobody churned or there are no customers.
    """
    return _lifetime_value(mrr * margin, customers, customers_before, leavers, months)


@clv.also(
    "without_margin",
    counted_by="ChartMogul, Baremetrics and most other tools, which count revenue and not profit.",
    example={
        "mrr": "300.00 USD",
        "customers": 3,
        "customers_before": 4,
        "leavers": 1,
        "months": 1,
        "equals": 400,
    },
    events=FOUR_CUSTOMERS_ONE_LOST,
)
def _(
    mrr: Amount = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = opening("customers"),
    leavers: int = LOST_CUSTOMERS,
    months: Fraction = context("months"),
) -> Result:
    """Average MRR per customer ÷ monthly customer churn rate, without the gross margin.

    This is the revenue to expect from one customer, whatever it costs to serve.
    """
    return _lifetime_value(mrr, customers, customers_before, leavers, months)


@clv.also(
    "trailing_churn",
    counted_by="ChartMogul, which averages churn over six months, without the current one, to smooth out unusual months.",
    example={
        "mrr": "300.00 USD",
        "customers": 3,
        "customers_before": 4,
        "leavers": 1,
        "margin": 1,
        "equals": 400,
    },
    events=[
        *THREE_CUSTOMERS,
        *(event._replace(account="four") for event in (EARLIER_SUBSCRIPTION, EARLIER_CANCELLATION)),
    ],
)
def _(
    mrr: Amount = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = trailing(opening("customers"), months=6),
    leavers: int = trailing(LOST_CUSTOMERS, months=6),
    margin: Fraction = context("margin"),
) -> Result:
    """Average MRR per customer × gross margin ÷ monthly customer churn rate of the last six whole months.

    These are the last six calendar months that have ended by the end of the period. Their churn rate is the number of
    customers lost in them divided by the sum of the customers at the start of each month. No value when nobody churned
    in them or there are no customers.
    """
    return _lifetime_value(mrr * margin, customers, customers_before, leavers, Fraction(1))


def _lifetime_value(earned: Amount, customers: int, opening: int, leavers: int, months: Fraction) -> Result:
    """Return the monthly earnings per customer divided by the monthly churn rate.

    earned: MRR, or MRR times gross margin, of all `customers`. opening: customers at the start, of whom `leavers` were
    lost in `months`.
    """
    if not customers or not opening:
        return Result(None, sample_size=opening, reason=NO_CUSTOMERS)
    if not leavers:
        return Result(None, sample_size=opening, reason="no_churn")
    # Built from whole numbers, because dividing fractions takes as long as everything else in a row.
    monthly_value = Fraction(earned.numerator, earned.denominator * customers)
    churn = Fraction(leavers * months.denominator, opening * months.numerator)
    return money(monthly_value / churn)._replace(
        numerator=float(monthly_value / MONEY_SCALE), denominator=float(churn), sample_size=opening
    )
