"""The retention triangle: in examples, on random histories against the model, and against the metrics."""

from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.calendar import DAY, Calendar
from tests.model.cohorts import cohort_rows
from tests.model.generators import random_event, random_filter
from tests.model.pair import Pair
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event, session

FEW_EXAMPLES = settings(deadline=None, max_examples=examples(8), suppress_health_check=list(HealthCheck))
RANDOM = st.builds(Random, st.integers(0, 2**32))


def subscription(account: str, mrr: str, at: str) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="one", mrr=mrr)


def cancellation(account: str, at: str) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="one")


def cohorts(service: Service, measure: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the main columns of the rows of the first quarter."""
    parameters = {"start": "2026-01-01", "end": "2026-04-01"} | parameters
    rows = service.get("/v1/cohorts", measure=measure, **parameters)["rows"]
    return [(row["cohort"], row["number"], row["size"], row["value"], row["percent"]) for row in rows]


@pytest.fixture
def with_customers(service: Service) -> Service:
    """Return a service with two customers of January, and one of February who churns at once and returns in March."""
    service.send(
        subscription("acme", "100", "2026-01-10"),
        subscription("acme", "150", "2026-02-10"),
        subscription("globex", "50", "2026-01-20"),
        cancellation("globex", "2026-03-02"),
        subscription("initech", "30", "2026-02-03"),
        cancellation("initech", "2026-02-20"),
        subscription("initech", "40", "2026-03-03"),
        account_update("acme", at="2025-12-01T00:00:00Z", plan="pro"),
        account_update("acme", at="2026-01-15T00:00:00Z", plan="team"),
    )
    return service


def test_customers_are_followed_from_the_month_of_their_first_payment(with_customers: Service) -> None:
    assert cohorts(with_customers, "customers") == [
        ("2026-01", 0, 2, 2, 100.0),
        ("2026-01", 1, 2, 2, 100.0),
        ("2026-01", 2, 2, 1, 50.0),
        ("2026-02", 0, 1, 0, 0.0),
        ("2026-02", 1, 1, 1, 100.0),
        ("2026-03", 0, 0, 0, None),
    ]


def test_their_mrr_is_a_percentage_of_that_at_the_end_of_their_first_month(with_customers: Service) -> None:
    assert cohorts(with_customers, "mrr") == [
        ("2026-01", 0, 2, 150.0, 100.0),
        ("2026-01", 1, 2, 200.0, 133.333333),
        ("2026-01", 2, 2, 150.0, 100.0),
        # Who has left by the end of the first month leaves nothing to compare with.
        ("2026-02", 0, 1, 0.0, None),
        ("2026-02", 1, 1, 40.0, None),
        ("2026-03", 0, 0, 0.0, None),
    ]
    rows = with_customers.get("/v1/cohorts", measure="mrr", period="2026-01")["rows"]
    assert (rows[0]["amount"], rows[0]["initial"]) == ("150.00", 150.0)


def test_mrr_begins_at_100_percent_when_accounts_grow_in_their_first_month(service: Service) -> None:
    service.send(
        subscription("acme", "100", "2026-01-10"),
        subscription("acme", "202", "2026-01-25"),
        subscription("globex", "50", "2026-01-11"),
        cancellation("globex", "2026-01-31"),
        subscription("acme", "101", "2026-03-01"),
    )
    assert cohorts(service, "mrr")[:3] == [
        ("2026-01", 0, 2, 202.0, 100.0),
        ("2026-01", 1, 2, 202.0, 100.0),
        ("2026-01", 2, 2, 101.0, 50.0),
    ]
    # The customer who left at once shows in the number of customers.
    assert cohorts(service, "customers")[0] == ("2026-01", 0, 2, 1, 50.0)


def order(account: str, id: str, amount: str, at: str) -> dict[str, Any]:
    return event("purchase.completed", account, at=at, order_id=id, amount=amount)


def refund(account: str, id: str, amount: str, at: str) -> dict[str, Any]:
    return event("purchase.refunded", account, at=at, order_id=id, amount=amount)


@pytest.fixture
def with_orders(service: Service) -> Service:
    """Return a service with three purchasers, one of whom gives back more in March than it pays."""
    service.send(
        order("acme", "1", "100", "2026-01-10"),
        order("acme", "2", "20", "2026-01-20"),
        order("acme", "3", "40", "2026-03-01"),
        order("globex", "1", "60", "2026-01-15"),
        refund("globex", "1", "10", "2026-01-16"),
        refund("globex", "1", "50", "2026-03-02"),
        order("initech", "1", "30", "2026-02-01"),
        refund("initech", "1", "30", "2026-02-02"),
        order("initech", "2", "15", "2026-03-03"),
    )
    return service


def test_purchasers_are_those_of_a_month_of_first_orders_who_order_in_a_month(with_orders: Service) -> None:
    assert cohorts(with_orders, "purchasers") == [
        ("2026-01", 0, 2, 2, 100.0),
        ("2026-01", 1, 2, 0, 0.0),
        ("2026-01", 2, 2, 1, 50.0),
        # An order that was given back is an order.
        ("2026-02", 0, 1, 1, 100.0),
        ("2026-02", 1, 1, 1, 100.0),
        ("2026-03", 0, 0, 0, None),
    ]


def test_revenue_is_what_a_cohort_paid_in_a_month_less_refunds(with_orders: Service) -> None:
    assert cohorts(with_orders, "revenue") == [
        ("2026-01", 0, 2, 170.0, 100.0),
        ("2026-01", 1, 2, 0.0, 0.0),
        ("2026-01", 2, 2, -10.0, -5.882353),
        ("2026-02", 0, 1, 0.0, None),
        ("2026-02", 1, 1, 15.0, None),
        ("2026-03", 0, 0, 0.0, None),
    ]
    row = with_orders.get("/v1/cohorts", measure="revenue", period="2026-01")["rows"][0]
    assert (row["initial"], row["amount"]) == (170.0, "170.00")


def test_a_late_first_order_moves_the_purchaser_to_its_cohort(service: Service) -> None:
    service.on("2026-02-20").send(order("acme", "1", "10", "2026-02-10"))
    service.on("2026-03-10").send(order("acme", "0", "5", "2026-01-05"))
    assert cohorts(service, "purchasers")[:2] == [("2026-01", 0, 1, 1, 100.0), ("2026-01", 1, 1, 1, 100.0)]
    assert cohorts(service, "revenue", as_of="2026-02-20")[-1] == ("2026-02", 0, 1, 10.0, 100.0)


@pytest.mark.parametrize(
    ("week_start", "expected"),
    [
        ("monday", [("2026-W09", 0, 1, 1), ("2026-W09", 1, 1, 1), ("2026-W10", 0, 1, 1)]),
        ("sunday", [("2026-W09", 0, 0, 0), ("2026-W09", 1, 0, 0), ("2026-W10", 0, 2, 2)]),
    ],
)
def test_cohorts_by_week_begin_on_the_first_day_of_the_week(
    start_service: Any, week_start: str, expected: list[tuple[Any, ...]]
) -> None:
    service = start_service(week_start=week_start)
    # 1 March is a Sunday.
    service.send(session(user="ada", at="2026-03-01T23:59:00Z"), session(user="ada", at="2026-03-02T00:00:00Z"))
    service.send(session(user="bob", at="2026-03-03"), subscription("acme", "10", "2026-03-01"))
    weeks = {"by": "week", "start": "2026-02-23", "end": "2026-03-08"}
    rows = cohorts(service, "users", **weeks)
    assert [row[:4] for row in rows][:3] == expected
    [first] = [row for row in cohorts(service, "customers", **weeks) if row[1:3] == (0, 1)]
    assert first[0] == ("2026-W09" if week_start == "monday" else "2026-W10")


def test_users_are_followed_from_the_month_of_their_first_use(service: Service) -> None:
    service.send(
        session(user="old", at="2025-11-03"),
        session(user="old", at="2026-01-03"),
        session(user="ada", at="2026-01-05"),
        session(user="ada", at="2026-03-05"),
        session("globex", user="ada", at="2026-01-05"),
        session(user="bob", at="2026-02-05"),
    )
    assert cohorts(service, "users") == [
        ("2026-01", 0, 2, 2, 100.0),
        ("2026-01", 1, 2, 0, 0.0),
        ("2026-01", 2, 2, 1, 50.0),
        ("2026-02", 0, 1, 1, 100.0),
        ("2026-02", 1, 1, 0, 0.0),
        ("2026-03", 0, 0, 0, None),
    ]


def test_an_account_is_in_the_group_that_it_was_in_at_the_start_of_its_cohort(with_customers: Service) -> None:
    rows = with_customers.get("/v1/cohorts", start="2026-01-01", end="2026-02-01", group_by="plan")["rows"]
    assert [(row["group"]["plan"], row["size"]) for row in rows] == [(None, 1), ("pro", 1)]
    now = with_customers.get(
        "/v1/cohorts", start="2026-01-01", end="2026-02-01", group_by="plan", segments_as_of="now"
    )["rows"]
    assert [(row["group"]["plan"], row["size"]) for row in now] == [(None, 1), ("team", 1)]
    assert cohorts(with_customers, "customers", filter='plan = "pro"')[2] == ("2026-01", 2, 1, 1, 100.0)


def test_the_triangle_ends_with_the_current_period_which_is_not_complete(with_customers: Service) -> None:
    rows = with_customers.get("/v1/cohorts", start="2026-02-01", end="2026-12-01")["rows"]
    assert [(row["cohort"], row["period"], row["complete"]) for row in rows] == [
        ("2026-02", "2026-02", True),
        ("2026-02", "2026-03", False),
        ("2026-03", "2026-03", False),
    ]
    assert with_customers.get("/v1/cohorts", start="2026-04-01", end="2026-12-01")["rows"] == []


def test_events_recorded_later_are_not_in_the_triangle_as_of_an_earlier_day(service: Service) -> None:
    service.on("2026-02-10").send(subscription("acme", "10", "2026-02-01"))
    service.on("2026-03-10").send(subscription("acme", "10", "2026-01-05"))
    assert cohorts(service, "customers", as_of="2026-02-10")[-1] == ("2026-02", 0, 1, 1, 100.0)
    assert cohorts(service, "customers")[0] == ("2026-01", 0, 1, 1, 100.0)


def test_longer_cohorts_are_fiscal_quarters(with_customers: Service) -> None:
    assert cohorts(with_customers, "customers", by="quarter") == [("2026-Q1", 0, 3, 2, 66.666667)]


def test_the_triangle_as_csv_has_a_column_for_each_grouping(with_customers: Service) -> None:
    answer = with_customers.request(
        "GET", "/v1/cohorts", params={"measure": "mrr", "period": "2026-01", "group_by": "plan", "format": "csv"}
    )
    assert answer.text.splitlines() == [
        "cohort,cohort_start,number,period,start,end,complete,plan,size,initial,value,percent,amount",
        "2026-01,2026-01-01,0,2026-01,2026-01-01,2026-02-01,true,,1,50.0,50.0,100.0,50.00",
        "2026-01,2026-01-01,0,2026-01,2026-01-01,2026-02-01,true,pro,1,100.0,100.0,100.0,100.00",
    ]
    again = with_customers.request(
        "GET", str(answer.url.copy_with(scheme="", host=None)), headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


def test_pages_add_up_to_all_rows(with_customers: Service) -> None:
    parameters: dict[str, Any] = {"start": "2026-01-01", "end": "2026-04-01", "limit": 4}
    first = with_customers.get("/v1/cohorts", **parameters)
    second = with_customers.get("/v1/cohorts", **parameters, cursor=first["next"])
    assert first["rows"] + second["rows"] == with_customers.get("/v1/cohorts", **parameters | {"limit": 100})["rows"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"by": "day"}, "/query/by"),
        ({"measure": "nps"}, "/query/measure"),
        ({"group_by": "subject"}, "/query/group_by"),
        ({"subject": "pro"}, "/query/subject"),
        ({"granularity": "month"}, "/query/granularity"),
        ({"as_of": "2030-01-01"}, "/query/as_of"),
        ({"cursor": "abc"}, "/query/cursor"),
    ],
)
def test_invalid_parameters_of_cohorts_are_errors(with_customers: Service, parameters: Any, pointer: str) -> None:
    answer = with_customers.request("GET", "/v1/cohorts", params=parameters)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def history(service: Service, random: Random, calendar: Calendar | None = None) -> Pair:
    """Send random events over some weeks, some of them late, and retract some."""
    pair = Pair(service, calendar)
    for _ in range(random.randint(1, 4)):
        pair.on(pair.today + DAY * random.randrange(20), hours=random.randrange(23))
        pair.send(*(random_event(random, pair) for _ in range(random.randint(5, 25))))
        if random.randrange(2):
            account, id = random.choice(list(pair.model.events))
            pair.retract(account, id)
    return pair


def check_triangle(random: Random, pair: Pair) -> None:
    """Compare a random triangle with that of the model."""
    measure = random.choice(["customers", "mrr", "users", "purchasers", "revenue"])
    by = random.choice(["week", "month", "quarter", "year"])
    start = random.choice([date(2025, 6, 1), date(2026, 1, 1), date(2026, 2, 13)])
    span: dict[str, Any] = {"by": by, "start": start, "end": random.choice([date(2026, 3, 20), date(2026, 9, 1)])}
    as_of = random.choice([None, None, pair.today - DAY * 7])
    group_by = random.choice([(), ("plan",), ("seats", "vip")])
    where = random.choice([None, random_filter(random)])
    now = not random.randrange(3)
    expected = cohort_rows(
        pair.model, measure, **span, accounts=pair.accounts, as_of=as_of, group_by=group_by, where=where, now=now
    )
    options = {"as_of": as_of, "group_by": ",".join(group_by), "filter": where and where.text}
    options |= {"segments_as_of": "now"} if now else {}
    more = {name: value for name, value in options.items() if value}
    more |= {"account": pair.accounts, "strict": "false"}
    rows = pair.service.get("/v1/cohorts", measure=measure, **span, **more)["rows"]
    if not pair.is_known_on(as_of):
        assert {(row["value"], row["reason"]) for row in rows} <= {(None, "nothing_known_yet")}
        return
    values = {
        (row["cohort"], row["period"], repr(tuple(row["group"].values())), member): row[member]
        for row in rows
        for member in ("size", "initial", "value")
        if row["size"]
    }
    expected_values = {
        (*key, member): float(number)
        for key, numbers in expected.items()
        for member, number in zip(("size", "initial", "value"), numbers, strict=True)
    }
    assert expected_values == pytest.approx(values)
    for row in rows:
        key = row["cohort"], row["period"], repr(tuple(row["group"].values()))
        _, initial, value = expected.get(key, (0, 0, 0))
        percent = pytest.approx(float(100 * value / initial), abs=1e-6) if initial else None
        assert row["percent"] == percent


def test_any_triangle_agrees_with_the_model(service: Service) -> None:
    @FEW_EXAMPLES
    @given(RANDOM)
    def run(random: Random) -> None:
        pair = history(service, random)
        for _ in range(4):
            check_triangle(random, pair)

    run()


def test_any_triangle_in_another_calendar_agrees_with_the_model(start_service: Any) -> None:
    service = start_service(reporting_timezone="Pacific/Kiritimati", fiscal_year_start=12, week_start="sunday")

    @settings(FEW_EXAMPLES, max_examples=examples(5))
    @given(RANDOM)
    def run(random: Random) -> None:
        pair = history(service, random, Calendar("Pacific/Kiritimati", 12, "sunday"))
        for _ in range(4):
            check_triangle(random, pair)

    run()


def test_all_cohorts_add_up_to_the_metric(service: Service) -> None:
    @settings(FEW_EXAMPLES, max_examples=examples(5))
    @given(RANDOM)
    def run(random: Random) -> None:
        pair = history(service, random)
        parameters: dict[str, Any] = {"start": "2024-01-01", "end": "2027-01-01", "account": pair.accounts}
        parameters["strict"] = "false"
        repeat_rate = service.rows("repeat_purchase_rate", **parameters)
        totals = {measure: service.rows(measure, **parameters) for measure in ("customers", "mrr", "revenue")}
        totals["purchasers"] = [row | {"value": row["denominator"]} for row in repeat_rate]
        for measure, metric_rows in totals.items():
            rows = service.get("/v1/cohorts", measure=measure, **parameters)["rows"]
            values = {row["period"]: row["value"] for row in metric_rows}
            for period in {row["period"] for row in rows}:
                parts = [row["value"] for row in rows if row["period"] == period]
                assert sum(parts) == pytest.approx(values[period])
            firsts = [row["percent"] for row in rows if row["number"] == 0]
            assert measure == "customers" or set(firsts) <= {100, None}
        new_customers = {row["period"]: row["value"] for row in service.rows("customers_new", **parameters)}
        sizes = {row["cohort"]: row["size"] for row in service.get("/v1/cohorts", **parameters)["rows"]}
        assert sizes == {period: new_customers[period] for period in sizes}

    run()
