"""Published examples about customers who stay and leave, and what they are worth."""

from tests.examples.define import BEFORE, DURING, MONTH, Case, example, leaves, one_day, pays, pays_for
from tests.support.service import event


@example("net-mrr-churn-cm")
def what_others_paid_more_is_taken_off_what_was_lost(case: Case) -> None:
    case.send(pays("lost", 10), pays("less", 20), pays("more", 70))
    case.send(leaves("lost"), pays("less", 10, DURING), pays("more", 80, DURING))
    case.gives({"mrr_churned": 10, "mrr_contraction": 10, "mrr_expansion": 10, "net_mrr_churn_rate": 10})


@example("gross-mrr-churn-cm-shopify")
def a_loss_of_five_in_a_hundred_is_five_percent_of_its_day_and_of_its_month(case: Case) -> None:
    case.send(pays("acme", 100), pays("acme", 95, DURING))
    case.gives({"gross_mrr_churn_rate": 5}, **one_day(DURING))
    case.gives({"gross_mrr_churn_rate": 5})


@example("customer-churn-cm", "customer-churn-naive-variants")
def who_joined_or_came_back_within_the_month_is_not_lost(case: Case) -> None:
    case.send(*(pays(f"customer-{number}", 10) for number in range(100)))
    case.send(
        *(leaves(f"customer-{number}", "2026-02-05") for number in range(11)), pays("customer-0", 10, "2026-02-20")
    )
    case.send(pays("guest", 10, "2026-02-08"), leaves("guest", "2026-02-18"))
    case.send(*(pays(f"new-{number}", 10, DURING) for number in range(29)))
    case.gives({"customers_opening": 100, "customers_churned": 12, "customers_reactivated": 1, "customers_new": 30})
    case.gives({"customer_churn_rate": 10})
    for convention, expected in (("lost_at_any_time", 11), ("all_churn_events", 12), ("ever_active", 9.2308)):
        case.gives({"customer_churn_rate": expected}, **MONTH, convention=convention, within=1e-4)


@example("churn-polar-canceled-vs-ended")
def a_customer_is_lost_when_the_paid_period_ends_and_not_at_the_click(case: Case) -> None:
    case.send(pays("stays", 10, "2024-01-01"), pays("goes", 10, "2024-01-01"))
    case.send(leaves("goes", "2024-02-15", ends_at="2024-03-01T00:00:00Z"))
    expected = {
        "customers": [2, 2, 1],
        "customers_new": [2, 0, 0],
        "customers_churned": [0, 0, 1],
        # January began without a customer: published as 0, here no rate.
        "customer_churn_rate": [None, 0, 50],
    }
    months = {"start": "2024-01-01", "end": "2024-04-01", "granularity": "month"}
    case.gives(expected, **months)
    case.gives({"customer_churn_rate": [None, 50, 0]}, **months, convention="cancellation_click")


@example("churn-polar-rolling")
def thirty_days_are_a_period_whose_last_day_is_excluded(case: Case) -> None:
    case.send(
        *(pays(f"customer-{number}", 10, "2024-01-01") for number in range(5)), leaves("customer-0", "2024-02-01")
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
        case.gives({"customer_churn_rate": expected}, **window)
        case.gives({"customer_churn_rate": expected}, **window, convention="cancellation_click")


@example("churn-polar-yearly")
def a_year_loses_customers_whom_it_began_with(case: Case) -> None:
    # Published with customers who came on the first day of the year: here they are won inside it, and the year's churn is
    # about those who were there when it began. So they come on the eve.
    years = {"start": "2024-01-01", "end": "2026-01-01", "granularity": "year"}
    case.send(
        *(pays(f"customer-{number}", 10, "2023-12-31") for number in range(5)), leaves("customer-0", "2024-02-01")
    )
    case.gives({"customer_churn_rate": [20, 0]}, **years)
    first_day = Case(case.service, f"{case.id}-first-day")
    first_day.send(*(pays(f"customer-{number}", 10, "2024-01-01") for number in range(5)))
    first_day.send(leaves("customer-0", "2024-02-01"))
    first_day.gives({"customer_churn_rate": [None, 0], "customers": [4, 4], "customers_churned": [1, 0]}, **years)


@example("grr-per-customer-vs-aggregate-trap")
def what_one_customer_gains_does_not_hide_another_who_is_lost(case: Case) -> None:
    case.send(pays("a", 100), pays("b", 100), pays("a", 200, DURING), leaves("b"))
    case.gives({"grr": 50, "nrr": 100})
    case.never({"grr": 100})
    case.gives({"grr": 100}, **MONTH, convention="capped_on_totals")
    case.send(pays("grows", 5000), pays("grows", 6000, DURING))
    assert case.by_account("grr")["grows"] == [100]


@example("grr-cos-line-cancelled")
def however_a_line_ends_on_a_day_its_revenue_is_lost_on_that_day(case: Case) -> None:
    ends = {
        "at-once": leaves("at-once", "2022-09-01", of="second"),
        "announced": leaves("announced", "2022-08-10", of="second", ends_at="2022-09-01T00:00:00Z"),
        "for-nothing": pays("for-nothing", 0, "2022-09-01", of="second"),
    }
    for account, end in ends.items():
        case.send(pays(account, 1, "2022-06-01", of="first"), pays(account, 2, "2022-07-01", of="second"), end)
    # Published: two thirds are gone for ever, and an end of another kind on the same day only takes effect in October.
    case.never({"grr": 33.33}, start="2022-10-01", end="2023-01-01", granularity="month")
    found = case.by_account("grr", start="2022-06-01", end="2022-12-01", granularity="month")
    assert found == {account: [None, 100, 100, 33.333333, 100, 100] for account in ends}


@example("nrr-pulserevops")
def retention_is_what_is_left_of_the_revenue_at_the_start(case: Case) -> None:
    case.send(*(pays_for(name, "year", price) for name, price in (("a", 900_000), ("b", 1_200_000), ("c", 7_900_000))))
    case.send(leaves("a"), pays_for("b", "year", 600_000, DURING), pays_for("c", "year", 9_700_000, DURING))
    case.gives({"grr": 85, "nrr": 103})


@example("churn-baremetrics-upgrade-then-churn")
def a_customer_cannot_lose_more_than_it_began_with(case: Case) -> None:
    case.send(pays("acme", 500), pays("acme", 1379, DURING), leaves("acme", "2026-02-20"))
    case.gives({"gross_mrr_churn_rate": 100, "mrr_expansion": 879, "mrr_churned": 1379, "expansion_mrr_rate": 0})
    case.never({"gross_mrr_churn_rate": 275.8})
    case.gives({"gross_mrr_churn_rate": 275.8}, **MONTH, convention="movements")


@example("retention-rate-seed")
def who_was_there_and_stayed_is_retained(case: Case) -> None:
    case.send(*(pays(f"customer-{number}", 10, BEFORE) for number in range(200)))
    case.send(*(leaves(f"customer-{number}") for number in range(20)))
    case.send(*(pays(f"new-{number}", 10, DURING) for number in range(30)))
    case.gives({"customers_opening": 200, "customers": 210, "customers_new": 30})
    case.gives({"customer_retention_rate": 90, "customer_churn_rate": 10})


def loses_one(case: Case, of: int, price: int) -> None:
    """`of` customers, one of whom leaves."""
    case.send(*(pays(f"customer-{number}", price) for number in range(of)), leaves("customer-0"))


@example("ltv-cm")
def a_customer_is_worth_what_it_pays_until_it_leaves(case: Case) -> None:
    loses_one(case, of=20, price=100)
    case.gives({"arpa": 100, "customer_churn_rate": 5, "clv": 2000})


@example("ltv-lifetime", gross_margin=0.8)
def only_the_margin_of_what_a_customer_pays_is_its_worth(case: Case) -> None:
    loses_one(case, of=25, price=250)
    case.gives({"arpa": 250, "customer_churn_rate": 4, "clv": 5000})
    # A lifetime of 25 months.
    row = case.row("clv")
    assert (row["numerator"], row["denominator"]) == (200, 0.04)
    case.gives({"clv": 6250}, **MONTH, convention="without_margin")
    won = event("cost.recorded", "new", at=DURING, category="acquisition", amount="750")
    case.send(pays("new", 250, DURING), won)
    case.gives({"clv": 5000, "cac": 750, "ltv_to_cac": 6.67}, within=0.01)


@example("ltv-zero-churn")
def without_a_loss_the_worth_of_a_customer_is_unknown_and_not_nothing(case: Case) -> None:
    case.send(pays("acme", 100))
    case.gives({"arpa": 100, "customer_churn_rate": 0})
    row = case.row("clv")
    assert (row["value"], row["reason"]) == (None, "no_churn")
    case.never({"clv": 0})
