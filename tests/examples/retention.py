"""Published examples about churn, retention and lifetime value."""

from tests.examples.define import (
    FEBRUARY_10,
    JANUARY_10,
    MONTH,
    Case,
    cancellation,
    example,
    one_day,
    subscription,
    subscription_per,
)
from tests.support.service import event


@example("net-mrr-churn-cm")
def net_churn_is_churn_minus_expansion(case: Case) -> None:
    case.send(subscription("lost", 10), subscription("less", 20), subscription("more", 70))
    case.send(cancellation("lost"), subscription("less", 10, FEBRUARY_10), subscription("more", 80, FEBRUARY_10))
    case.expect({"mrr_churned": 10, "mrr_contraction": 10, "mrr_expansion": 10, "net_mrr_churn_rate": 10})


@example("gross-mrr-churn-cm-shopify")
def a_loss_of_five_percent_is_five_percent_of_its_day_and_of_its_month(case: Case) -> None:
    case.send(subscription("acme", 100), subscription("acme", 95, FEBRUARY_10))
    case.expect({"gross_mrr_churn_rate": 5}, **one_day(FEBRUARY_10))
    case.expect({"gross_mrr_churn_rate": 5})


@example("customer-churn-cm", "customer-churn-naive-variants")
def a_customer_who_joined_or_came_back_within_the_month_is_not_lost(case: Case) -> None:
    case.send(*(subscription(f"customer-{number}", 10) for number in range(100)))
    case.send(
        *(cancellation(f"customer-{number}", "2026-02-05") for number in range(11)),
        subscription("customer-0", 10, "2026-02-20"),
    )
    case.send(subscription("guest", 10, "2026-02-08"), cancellation("guest", "2026-02-18"))
    case.send(*(subscription(f"new-{number}", 10, FEBRUARY_10) for number in range(29)))
    case.expect({"customers_opening": 100, "customers_churned": 12, "customers_reactivated": 1, "customers_new": 30})
    case.expect({"customer_churn_rate": 10})
    for convention, expected in (("lost_at_any_time", 11), ("all_churn_events", 12), ("ever_active", 9.2308)):
        case.expect({"customer_churn_rate": expected}, **MONTH, convention=convention, within=1e-4)


@example("churn-polar-canceled-vs-ended")
def a_customer_is_lost_when_the_paid_period_ends_and_not_at_the_click(case: Case) -> None:
    case.send(subscription("stays", 10, "2024-01-01"), subscription("goes", 10, "2024-01-01"))
    case.send(cancellation("goes", "2024-02-15", ends_at="2024-03-01T00:00:00Z"))
    expected = {
        "customers": [2, 2, 1],
        "customers_new": [2, 0, 0],
        "customers_churned": [0, 0, 1],
        # January starts without customers: published as 0, here it has no rate.
        "customer_churn_rate": [None, 0, 50],
    }
    months = {"start": "2024-01-01", "end": "2024-04-01", "granularity": "month"}
    case.expect(expected, **months)
    case.expect({"customer_churn_rate": [None, 50, 0]}, **months, convention="cancellation_click")


@example("churn-polar-rolling")
def a_rolling_window_excludes_its_last_day(case: Case) -> None:
    case.send(
        *(subscription(f"customer-{number}", 10, "2024-01-01") for number in range(5)),
        cancellation("customer-0", "2024-02-01"),
    )
    windows = {
        ("2024-01-02", "2024-02-01"): 0,
        ("2024-01-03", "2024-02-02"): 20,
        ("2024-01-31", "2024-03-01"): 20,
        ("2024-02-01", "2024-03-02"): 20,
        ("2024-02-02", "2024-03-03"): 0,
    }
    for (first, end), expected in windows.items():
        window = {"start": first, "end": end, "granularity": "total"}
        case.expect({"customer_churn_rate": expected}, **window)
        case.expect({"customer_churn_rate": expected}, **window, convention="cancellation_click")


@example("churn-polar-yearly")
def the_churn_of_a_year_is_about_the_customers_at_its_start(case: Case) -> None:
    # Published with customers who joined on the first day of the year. Here they are won within the year, and its churn is about
    # the customers at its start. So they join a day earlier.
    years = {"start": "2024-01-01", "end": "2026-01-01", "granularity": "year"}
    case.send(
        *(subscription(f"customer-{number}", 10, "2023-12-31") for number in range(5)),
        cancellation("customer-0", "2024-02-01"),
    )
    case.expect({"customer_churn_rate": [20, 0]}, **years)
    first_day = Case(case.service, f"{case.id}-first-day")
    first_day.send(*(subscription(f"customer-{number}", 10, "2024-01-01") for number in range(5)))
    first_day.send(cancellation("customer-0", "2024-02-01"))
    first_day.expect({"customer_churn_rate": [None, 0], "customers": [4, 4], "customers_churned": [1, 0]}, **years)


@example("grr-per-customer-vs-aggregate-trap")
def expansion_of_one_customer_does_not_make_up_for_a_lost_one(case: Case) -> None:
    case.send(subscription("a", 100), subscription("b", 100), subscription("a", 200, FEBRUARY_10), cancellation("b"))
    case.expect({"grr": 50, "nrr": 100})
    case.expect_not({"grr": 100})
    case.expect({"grr": 100}, **MONTH, convention="capped_on_totals")
    case.send(subscription("grows", 5000), subscription("grows", 6000, FEBRUARY_10))
    assert case.by_account("grr")["grows"] == [100]


@example("grr-cos-line-cancelled")
def revenue_is_lost_on_the_day_a_subscription_ends_however_it_ends(case: Case) -> None:
    ends = {
        "at-once": cancellation("at-once", "2022-09-01", of="second"),
        "announced": cancellation("announced", "2022-08-10", of="second", ends_at="2022-09-01T00:00:00Z"),
        "for-nothing": subscription("for-nothing", 0, "2022-09-01", of="second"),
    }
    for account, end in ends.items():
        case.send(
            subscription(account, 1, "2022-06-01", of="first"), subscription(account, 2, "2022-07-01", of="second"), end
        )
    # Published: two thirds are lost for ever, and another kind of end on the same day takes effect only in October.
    case.expect_not({"grr": 33.33}, start="2022-10-01", end="2023-01-01", granularity="month")
    grr_by_account = case.by_account("grr", start="2022-06-01", end="2022-12-01", granularity="month")
    assert grr_by_account == {account: [None, 100, 100, 33.333333, 100, 100] for account in ends}


@example("nrr-pulserevops")
def retention_is_the_share_of_opening_mrr_that_is_left(case: Case) -> None:
    case.send(
        *(subscription_per(name, "year", price) for name, price in (("a", 900_000), ("b", 1_200_000), ("c", 7_900_000)))
    )
    case.send(
        cancellation("a"),
        subscription_per("b", "year", 600_000, FEBRUARY_10),
        subscription_per("c", "year", 9_700_000, FEBRUARY_10),
    )
    case.expect({"grr": 85, "nrr": 103})


@example("churn-baremetrics-upgrade-then-churn")
def a_customer_cannot_lose_more_than_its_opening_mrr(case: Case) -> None:
    case.send(subscription("acme", 500), subscription("acme", 1379, FEBRUARY_10), cancellation("acme", "2026-02-20"))
    case.expect({"gross_mrr_churn_rate": 100, "mrr_expansion": 879, "mrr_churned": 1379, "expansion_mrr_rate": 0})
    case.expect_not({"gross_mrr_churn_rate": 275.8})
    case.expect({"gross_mrr_churn_rate": 275.8}, **MONTH, convention="movements")


@example("retention-rate-seed")
def opening_customers_who_stay_are_retained(case: Case) -> None:
    case.send(*(subscription(f"customer-{number}", 10, JANUARY_10) for number in range(200)))
    case.send(*(cancellation(f"customer-{number}") for number in range(20)))
    case.send(*(subscription(f"new-{number}", 10, FEBRUARY_10) for number in range(30)))
    case.expect({"customers_opening": 200, "customers": 210, "customers_new": 30})
    case.expect({"customer_retention_rate": 90, "customer_churn_rate": 10})


def send_one_loss(case: Case, of: int, price: int) -> None:
    """Send the events of `of` customers, one of whom leaves."""
    case.send(*(subscription(f"customer-{number}", price) for number in range(of)), cancellation("customer-0"))


@example("ltv-cm")
def lifetime_value_is_revenue_per_account_divided_by_churn(case: Case) -> None:
    send_one_loss(case, of=20, price=100)
    case.expect({"arpa": 100, "customer_churn_rate": 5, "clv": 2000})


@example("ltv-lifetime", gross_margin=0.8)
def lifetime_value_counts_only_the_gross_margin(case: Case) -> None:
    send_one_loss(case, of=25, price=250)
    case.expect({"arpa": 250, "customer_churn_rate": 4, "clv": 5000})
    # A lifetime of 25 months.
    row = case.row("clv")
    assert (row["numerator"], row["denominator"]) == (200, 0.04)
    case.expect({"clv": 6250}, **MONTH, convention="without_margin")
    won = event("cost.recorded", "new", at=FEBRUARY_10, category="acquisition", amount="750")
    case.send(subscription("new", 250, FEBRUARY_10), won)
    case.expect({"clv": 5000, "cac": 750, "ltv_to_cac": 6.67}, within=0.01)


@example("ltv-zero-churn")
def lifetime_value_without_churn_is_null_and_not_zero(case: Case) -> None:
    case.send(subscription("acme", 100))
    case.expect({"arpa": 100, "customer_churn_rate": 0})
    row = case.row("clv")
    assert (row["value"], row["reason"]) == (None, "no_churn")
    case.expect_not({"clv": 0})
