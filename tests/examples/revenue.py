"""Published examples about MRR and its movements."""

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

PRICES = {
    "mrr-annual-to-monthly-stripe": (subscription_per("acme", "year", "1200.00"), "100.00"),
    "mrr-quarter-invoice-cm": (subscription_per("acme", "month", "90.00", interval_count=3), "30.00"),
    "mrr-polar-2-years": (subscription_per("acme", "year", "2400.00", interval_count=2), "100.00"),
}


@example(*PRICES)
def a_price_is_spread_over_the_months_it_pays_for(case: Case) -> None:
    event, expected = PRICES[case.id]
    case.send(event)
    row = case.row("mrr")
    assert (row["amount"], row["value"]) == (expected, float(expected))


# MRR by price per year, to four decimals. The service answers the exact twelfth with six.
YEARLY = {
    "18.29": 1.5242,
    "19.95": 1.6625,
    "29.95": 2.4958,
    "49": 4.0833,
    "59": 4.9167,
    "149.95": 12.4958,
    "159.95": 13.3292,
    "169.95": 14.1625,
    "183.29": 15.2742,
    "199.95": 16.6625,
    "219.95": 18.3292,
    "239.9": 19.9917,
    "249.95": 20.8292,
    "319": 26.5833,
    "349.95": 29.1625,
    "399": 33.25,
    "399.95": 33.3292,
    "458.29": 38.1908,
    "499.95": 41.6625,
    "549.95": 45.8292,
    "599.9": 49.9917,
    "599.95": 49.9958,
    "624.95": 52.0792,
    "799": 66.5833,
    "999": 83.25,
    "2299": 191.5833,
    "5499": 458.25,
}


@example("mrr-killbill-annual-table")
def mrr_is_a_twelfth_of_a_yearly_price(case: Case) -> None:
    case.send(*(subscription_per(f"yearly-{price}", "year", price) for price in YEARLY))
    case.send(*(subscription_per(f"monthly-{price}", "month", price) for price in ("2.95", "549")))
    expected = {f"yearly-{price}": [mrr] for price, mrr in YEARLY.items()}
    actual = {account: [round(value, 4) for value in values] for account, values in case.by_account("mrr").items()}
    assert actual == expected | {"monthly-2.95": [2.95], "monthly-549": [549]}
    case.expect({"arr": sum(map(float, YEARLY)) + 12 * (2.95 + 549)})


@example("mrr-killbill-non-recurring")
def one_time_purchases_are_no_mrr(case: Case) -> None:
    prices = ("369.95", "429.95", "999.95", "2300")
    case.send(*(event("purchase.completed", at=FEBRUARY_10, order_id=price, amount=price) for price in prices))
    case.expect({"mrr": 0, "customers": 0})


@example("mrr-killbill-submonthly-trap")
def a_weekly_price_has_mrr(case: Case) -> None:
    case.send(subscription_per("acme", "week", "10.00"))
    case.expect({"mrr": 43.3333}, within=0.0001)
    case.expect_not({"mrr": 0})
    # Four weeks per month, and 4.33.
    case.expect_not({"mrr": 40})
    case.expect_not({"mrr": 43.30})


@example("mrr-polar-year")
def mrr_and_customers_are_right_on_every_day(case: Case) -> None:
    case.send(
        subscription_per("a", "month", "100.00", "2024-01-01"),
        subscription_per("b", "month", "100.00", "2024-06-01"),
        subscription_per("c", "year", "1000.00", "2024-01-01"),
    )
    days = {
        "2024-01-01": (183.33, 2, 2),
        "2024-02-01": (183.33, 2, 0),
        "2024-06-01": (283.33, 3, 1),
        "2024-12-31": (283.33, 3, 0),
    }
    for day, (mrr, customers, new) in days.items():
        case.expect({"mrr": mrr, "customers": customers, "customers_new": new}, within=0.01, **one_day(day))
    orders = {"2024-01-01": ("100.00", "100.00", "1000.00"), "2024-02-01": ("100.00",), "2024-06-01": ("100.00",)}
    for day, amounts in orders.items():
        numbered = enumerate(amounts)
        case.send(
            *(event("purchase.completed", "a", at=day, order_id=f"{day} {n}", amount=paid) for n, paid in numbered)
        )
        case.expect({"revenue": sum(map(float, amounts))}, **one_day(day))
    case.expect({"revenue": 0}, **one_day("2024-12-31"))
    case.expect({"revenue": 1400}, period="2024", granularity="year")


@example("mrr-trials-inflate-trap")
def a_trial_has_no_mrr_and_an_overdue_subscription_still_has(case: Case) -> None:
    # A subscription with an overdue invoice continues until it is canceled. Six accounts pay, eight have a trial.
    case.send(*(subscription(f"customer-{number}", "49.00") for number in range(6)))
    case.send(*(event("trial.started", f"trial-{number}", at=JANUARY_10, trial_id="trial") for number in range(8)))
    case.expect({"mrr": 294, "customers": 6})
    case.expect_not({"mrr": 686})


@example("mrr-polar-fx-missing-trap")
def an_amount_without_an_exchange_rate_is_rejected_and_not_taken_one_to_one(case: Case) -> None:
    case.send(subscription("other", "0"))
    in_euros = subscription("acme", "100.00", "2024-02-10", currency="EUR", id="bought")
    assert case.rejection_codes(in_euros) == ["no_exchange_rate"]
    case.expect({"mrr": 0}, period="2024-02")
    case.service.put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2024-02-01": "1.0800"}})
    case.send(in_euros)
    case.expect({"mrr": 108}, period="2024-02")
    case.expect_not({"mrr": 100}, period="2024-02")


@example("move-chargebee-downgrade")
def a_downgrade_is_no_churn(case: Case) -> None:
    case.send(subscription("acme", "100.00"), subscription("acme", "70.00", FEBRUARY_10))
    case.expect({"customers_churned": 0, "mrr_contraction": 30, "mrr_churned": 0})


@example("move-chargebee-cancel")
def churned_mrr_is_what_lost_customers_paid(case: Case) -> None:
    accounts = [f"customer-{number}" for number in range(15)]
    case.send(
        *(subscription(account, "10.00") for account in accounts), *(cancellation(account) for account in accounts)
    )
    case.expect({"mrr_churned": 150, "customers_churned": 15, "mrr": 0})


@example("move-chargebee-snapshot")
def the_net_change_is_closing_minus_opening_mrr(case: Case) -> None:
    case.send(subscription("acme", "68.75"), subscription("acme", "87.50", FEBRUARY_10))
    case.expect({"mrr_opening": 68.75, "mrr_net_change": 18.75, "mrr": 87.5})


# The months in which customers joined and left, and what they paid: the published sums of each month.
LAGO = [
    ("2023-11", "2023-11", "13148.00"),
    ("2023-11", "2023-12", "64163.21"),
    ("2023-11", "2024-01", "29694.02"),
    ("2023-11", "2024-02", "3000.00"),
    ("2023-11", None, "140160.23"),
    ("2023-12", None, "61717.91"),
    ("2024-01", None, "43341.34"),
    ("2024-02", None, "13063.40"),
]


@example("move-lago-rollforward")
def a_month_opens_with_the_closing_mrr_of_the_month_before(case: Case) -> None:
    for number, (joined, left, paid) in enumerate(LAGO):
        account = f"customer-{number}"
        case.send(subscription(account, paid, f"{joined}-05"), *([cancellation(account, f"{left}-20")] if left else []))
    expected = {
        "mrr_opening": [0, 237017.46, 234572.16, 248219.48],
        "mrr_new": [250165.46, 61717.91, 43341.34, 13063.40],
        "mrr_expansion": [0, 0, 0, 0],
        "mrr_contraction": [0, 0, 0, 0],
        "mrr_churned": [13148.00, 64163.21, 29694.02, 3000.00],
        "mrr": [237017.46, 234572.16, 248219.48, 258282.88],
    }
    case.expect(expected, start="2023-11-01", end="2024-03-01", granularity="month")


@example("move-bruin-february")
def a_new_customer_is_a_movement_and_has_no_part_in_retention(case: Case) -> None:
    case.send(subscription("acme", 9900), subscription("oak", 2500), subscription("pine", 0))
    case.send(subscription("acme", 12900, FEBRUARY_10), cancellation("oak"), subscription("pine", 4900, FEBRUARY_10))
    movements = {
        "mrr_opening": 12400,
        "mrr_new": 4900,
        "mrr_expansion": 3000,
        "mrr_churned": 2500,
        "mrr_contraction": 0,
    }
    case.expect(movements | {"mrr_reactivated": 0, "mrr": 17800, "customers": 2})
    case.expect({"nrr": 104.03}, within=0.1)


@example("move-raisekit-3-months")
def three_months_of_two_customers_give_all_subscription_metrics(case: Case) -> None:
    for month, kakco, raisekit in (("2022-01", 40, 20), ("2022-02", 75, 80)):
        case.send(subscription("kakco", kakco, f"{month}-10"), subscription("raisekit", raisekit, f"{month}-10"))
    case.send(cancellation("kakco", "2022-03-10"), subscription("raisekit", 120, "2022-03-10"))
    closing = {"mrr": [60, 155, 120], "arr": [720, 1860, 1440], "customers": [2, 2, 1], "arpa": [30, 77.5, 120]}
    case.expect(closing, start="2022-01-01", end="2022-04-01", granularity="month")
    february_and_march = {
        "mrr_new": [0, 0],
        "mrr_expansion": [95, 40],
        "mrr_contraction": [0, 0],
        "mrr_churned": [0, 75],
        "customers_churned": [0, 1],
        "customer_retention_rate": [100, 50],
        "customer_churn_rate": [0, 50],
        "nrr": [258.33333333, 77.41935484],
        "net_mrr_churn_rate": [-158.33333333, 22.58064516],
        "gross_mrr_churn_rate": [0, 48.38709677],
        "quick_ratio": [None, 0.5333333333],
        "clv": [None, 240],
    }
    case.expect(february_and_march, start="2022-02-01", end="2022-04-01", granularity="month")
    proof = case.row("nrr", period="2022-03")
    assert proof["numerator"] / proof["denominator"] == 120 / 155


@example("move-cos-upsell-annual-to-monthly")
def more_seats_and_a_shorter_interval_are_one_expansion(case: Case) -> None:
    case.send(subscription_per("acme", "year", 24, "2023-06-01"), subscription_per("acme", "month", 48, "2023-07-15"))
    case.expect({"arr": 576, "mrr_expansion": 552 / 12, "expansion_mrr_rate": 2300}, period="2023-07")


# The yearly amounts of two contracts of one customer, changed three times in July.
STEPS = [("12", "24"), ("48", "6"), ("6", "36")]


@example("move-cos-granularity")
def a_customer_has_one_movement_per_day_whatever_its_contracts_do(case: Case) -> None:
    for account in ("on-one-day", "on-three-days"):
        for contract, opening in (("first", 24), ("second", 12)):
            case.send(subscription_per(account, "year", opening, "2023-06-01", subscription_id=contract))
        for number, amounts in enumerate(STEPS):
            at = f"2023-07-15T{10 + number}:00:00Z" if account == "on-one-day" else f"2023-07-{15 + number}"
            for contract, amount in zip(("first", "second"), amounts, strict=True):
                case.send(subscription_per(account, "year", amount, at, subscription_id=contract))
    july = {"period": "2023-07"}
    for metric in ("arr", "mrr_net_change", "gross_mrr_churn_rate"):
        # The number of movements makes no difference: rates compare opening and closing MRR.
        expected = {"arr": 42, "mrr_net_change": 6 / 12, "gross_mrr_churn_rate": 0}[metric]
        assert case.by_account(metric, **july) == {"on-one-day": [expected], "on-three-days": [expected]}, metric
    for metric, expected in (("mrr_expansion", 6 / 12), ("mrr_contraction", 0)):
        assert case.service.value(metric, account=case.account_id("on-one-day"), **july) == expected, metric
    case.expect({"expansion_mrr_rate": 100 * 6 / 36}, **july)


@example("move-cos-up-and-down-same-customer")
def a_loss_and_a_gain_of_two_contracts_cancel_out(case: Case) -> None:
    case.send(subscription("acme", 2, "2023-06-01", of="first"), subscription("acme", 1, "2023-06-01", of="second"))
    case.send(subscription("acme", 1, "2023-07-15", of="first"), subscription("acme", 2, "2023-07-15", of="second"))
    case.expect({"arr": 36, "mrr_expansion": 0, "mrr_contraction": 0}, period="2023-07")


@example("move-cos-churn-without-new-trap")
def a_customer_who_joins_and_leaves_in_one_month_is_new_and_churned(case: Case) -> None:
    case.send(subscription("acme", 2, "2023-07-01"), cancellation("acme", "2023-07-20"))
    case.expect({"mrr_opening": 0, "mrr_new": 2, "mrr_churned": 2, "mrr_net_change": 0, "mrr": 0}, period="2023-07")
    case.expect_not({"mrr_new": 0, "mrr_net_change": -2}, period="2023-07")


@example("expansion-upzelo")
def the_expansion_rate_is_a_share_of_opening_mrr(case: Case) -> None:
    case.send(subscription("acme", 5000), subscription("acme", 6000, FEBRUARY_10))
    case.expect({"expansion_mrr_rate": 20})


@example("expansion-baremetrics-trap")
def the_expansion_rate_is_not_the_growth_of_expansion(case: Case) -> None:
    case.send(
        subscription("acme", 10000, "2025-12-10"), subscription("acme", 11500), subscription("acme", 13500, FEBRUARY_10)
    )
    case.expect({"mrr_expansion": [1500, 2000]}, start="2026-01-01", end="2026-03-01", granularity="month")
    case.expect({"expansion_mrr_rate": 100 * 2000 / 11500}, **MONTH)
    case.expect_not({"expansion_mrr_rate": 33.3333}, **MONTH)
