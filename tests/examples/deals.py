"""Published examples about trials, renewals, purchases and costs."""

from typing import Any

from tests.examples.define import FEBRUARY_10, JANUARY_10, Case, example, subscription
from tests.support.service import event


def trial(account: str, verb: str = "started", at: str = FEBRUARY_10) -> dict[str, Any]:
    return event(f"trial.{verb}", account, at=at, trial_id="trial")


def contract(account: str, verb: str = "due", at: str = FEBRUARY_10, **data: Any) -> dict[str, Any]:
    return event(f"renewal.{verb}", account, at=at, contract_id="contract", **data)


def costs(category: str, amount: float | str, account: str, at: str = FEBRUARY_10) -> dict[str, Any]:
    return event("cost.recorded", account, at=at, category=category, amount=str(amount))


@example("trial-cm-cohort")
def a_trial_converts_in_the_month_it_started(case: Case) -> None:
    may = {"period": "2015-05"}
    case.send(*(trial(f"trial-{number}", at="2015-05-20") for number in range(10)))
    case.expect({"trial_conversion_rate": 0}, **may)
    # The rate of a past month still rises.
    case.send(*(trial(f"trial-{number}", "converted", f"2015-0{5 + number}-25") for number in range(5)))
    case.expect({"trial_conversion_rate": 50}, **may)


@example("trial-seed")
def thirty_of_a_hundred_trials_convert(case: Case) -> None:
    case.send(*(trial(f"trial-{number}") for number in range(100)))
    case.send(*(trial(f"trial-{number}", "converted", "2026-02-24") for number in range(30)))
    case.expect({"trial_conversion_rate": 30})


@example("renewal-upnify")
def the_renewal_rate_is_renewed_contracts_per_contract_due(case: Case) -> None:
    case.send(*(contract(f"customer-{number}") for number in range(150)))
    case.send(*(contract(f"customer-{number}", "completed") for number in range(120)))
    # A contract that is renewed in this month but was not due in it.
    case.send(contract("other", at=JANUARY_10), contract("other", "completed"))
    case.expect({"renewal_rate": 80})


@example("retention-cos-half")
def one_of_two_contracts_is_renewed(case: Case) -> None:
    case.send(*(contract(account, at="2023-07-10") for account in ("stays", "goes")))
    case.send(contract("stays", "completed", "2023-07-12"), contract("goes", "declined", "2023-07-12"))
    case.expect({"renewal_rate": 50}, period="2023-07")


@example("retention-cos-minus-100-trap")
def a_month_without_due_contracts_has_no_renewal_rate(case: Case) -> None:
    case.send(contract("acme", at="2023-06-10"), contract("acme", "completed", "2023-06-10"))
    case.expect({"renewal_rate": [100, None]}, start="2023-06-01", end="2023-08-01", granularity="month")
    case.expect_not({"renewal_rate": -100}, period="2023-07")
    row = case.row("renewal_rate", period="2023-07")
    assert (row["value"], row["reason"]) == (None, "no_renewals_due")


@example("grr-mattermost-renewal-min")
def a_larger_renewal_does_not_make_up_for_smaller_ones(case: Case) -> None:
    won = {"more": "150", "less": "40", "nothing": "0"}
    case.send(*(contract(account, amount="100") for account in won))
    case.send(*(contract(account, "completed", amount=amount) for account, amount in won.items()))
    assert case.by_account("renewal_value_rate") == {"more": [100], "less": [40], "nothing": [0]}
    case.expect({"renewal_value_rate": 46.6667}, within=0.0001)


@example("move-cos-renewal-arr")
def a_yearly_contract_is_renewed_at_the_price_of_twelve_months(case: Case) -> None:
    case.send(subscription("acme", 5, "2023-06-01"))
    case.send(contract("acme", at="2024-06-01", amount="60"), contract("acme", "completed", "2024-06-01"))
    rows = case.rows("renewal_value_rate", start="2023-06-01", end="2024-07-01", granularity="month")
    assert [row["numerator"] for row in rows] == [0] * 12 + [60]


@example("rpr-2500-of-10000")
def a_quarter_of_the_purchasers_order_again(case: Case) -> None:
    # A hundredth of the published numbers.
    def order(customer: int, number: int) -> dict[str, Any]:
        return event("purchase.completed", f"customer-{customer}", at=FEBRUARY_10, order_id=f"{number}", amount="1")

    case.send(*(order(customer, 1) for customer in range(100)), *(order(customer, 2) for customer in range(25)))
    case.expect({"repeat_purchase_rate": 25})


@example("cac-seed")
def cac_is_the_acquisition_cost_per_new_customer(case: Case) -> None:
    case.send(*(subscription(f"customer-{number}", 10, FEBRUARY_10) for number in range(50)), subscription("old", 10))
    case.send(costs("acquisition", 25_000, "customer-0"))
    case.expect({"cac": 500})


@example("crc-operately")
def retention_cost_is_shared_by_all_customers(case: Case) -> None:
    case.send(
        *(subscription(f"customer-{number}", 10) for number in range(500)), costs("retention", 10_000, "customer-0")
    )
    case.expect({"customer_retention_cost": 20})


@example("crc-calculatorshub")
def the_retention_cost_per_customer_depends_on_their_number(case: Case) -> None:
    # A hundredth of the published numbers. The number of customers grows from month to month.
    existing = 0
    for month, (cost, customers) in enumerate([(100, 5), (250, 8), (500, 12), (750, 18), (1000, 25)], start=1):
        at = f"2025-{month:02}-10"
        case.send(*(subscription(f"customer-{number}", 10, at) for number in range(existing, customers)))
        case.send(costs("retention", cost, "customer-0", at))
        existing = customers
    expected = [20.00, 31.25, 41.67, 41.67, 40.00]
    case.expect({"customer_retention_cost": expected}, start="2025-01-01", end="2025-06-01", within=0.01)


@example("cost-per-user-polar")
def the_cost_per_customer_of_a_range_is_no_average_of_its_months(case: Case) -> None:
    case.send(subscription("one", 10, "2023-12-10"), subscription("two", 10, "2023-12-10"))
    case.send(costs("retention", "0.80", "one", "2024-01-10"), costs("retention", "0.20", "two", "2024-02-10"))
    quarter = {"start": "2024-01-01", "end": "2024-04-01"}
    # Published as 0 where no costs were recorded; here the costs are unknown.
    case.expect({"customer_retention_cost": [0.40, 0.10, None]}, **quarter, granularity="month")
    case.expect({"customer_retention_cost": 0.50}, **quarter, granularity="total")
