"""Conventions: the same metric as others compute it, chosen by name or side by side."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.subscription_history import CANCELED, CHANGED, RESUMED
from app.ledger.streams.subscriptions import customers_leaving, subscriptions
from app.metrics.define import METRICS
from tests.model.conventions import CONVENTIONS
from tests.support.service import NOON, Service, event, session, survey_responses


def pays(account: str, at: str, mrr: str = "10") -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="s", mrr=mrr)


def leaves(account: str, at: str, **data: Any) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="s", **data)


@pytest.fixture
def twelve_cancellations(service: Service) -> Service:
    """100 customers, 30 who join and 12 cancellations: one by a customer who comes back, one by one of the 30."""
    opening, joined = ([f"{name}-{n}" for n in range(many)] for name, many in (("old", 100), ("new", 30)))
    service.send(*(pays(account, "2026-01-10") for account in opening))
    service.send(*(pays(account, "2026-02-05") for account in joined))
    service.send(*(leaves(account, "2026-02-10") for account in (*opening[:11], joined[0])))
    service.send(pays(opening[0], "2026-02-20"))
    return service


CHURN = {
    "opening_customers": (10, 10, 100),
    "all_churn_events": (12, 12, 100),
    "lost_at_any_time": (11, 11, 100),
    "ever_active": (pytest.approx(9.2308, abs=1e-4), 12, 130),
    "cancellation_click": (10, 10, 100),
}


def test_twelve_cancellations_of_a_hundred_customers_are_ten_eleven_twelve_or_nine_percent(
    twelve_cancellations: Service,
) -> None:
    body = twelve_cancellations.get("/v1/metrics/customer_churn_rate/conventions", period="2026-02", definition=True)
    values = {row["convention"]: (row["value"], row["numerator"], row["denominator"]) for row in body["rows"]}
    assert values == CHURN
    assert list(values) == list(CHURN) == [convention["name"] for convention in body["definition"]["conventions"]]
    assert all(
        convention["description"] and convention["counted_by"] for convention in body["definition"]["conventions"]
    )


@pytest.mark.parametrize("convention", CHURN)
def test_a_convention_is_chosen_by_its_name_and_named_in_the_answer(
    twelve_cancellations: Service, convention: str
) -> None:
    body = twelve_cancellations.get("/v1/metrics/customer_churn_rate", period="2026-02", convention=convention)
    (row,) = body["rows"]
    assert (row["convention"], row["value"]) == (convention, CHURN[convention][0])
    assert body["question"]["conventions"] == {"customer_churn_rate": {convention: 1}}


def test_a_table_names_the_convention_too(twelve_cancellations: Service) -> None:
    params = {"period": "2026-02", "convention": "all_churn_events", "format": "csv"}
    head, row = twelve_cancellations.request("GET", "/v1/metrics/customer_churn_rate", params=params).text.splitlines()
    assert head.endswith(",amount,convention") and row.endswith(",,all_churn_events")


def test_a_convention_applies_to_the_metrics_that_have_it(twelve_cancellations: Service) -> None:
    for body in (
        twelve_cancellations.get("/v1/query", metrics="grr,sessions", period="2026-02", convention="movements"),
        twelve_cancellations.request(
            "POST", "/v1/query", json={"metrics": ["grr", "sessions"], "period": "2026-02", "convention": "movements"}
        ).json(),
    ):
        assert [row["convention"] for row in body["rows"]] == ["movements", "default"]


def test_the_name_default_means_the_first_convention(twelve_cancellations: Service) -> None:
    assert twelve_cancellations.row("customer_churn_rate", period="2026-02", convention="default")["value"] == 10


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/v1/metrics/nps", {"convention": "movements"}, "unknown_convention"),
        ("/v1/query", {"metrics": "nps,sessions", "convention": "movements"}, "unknown_convention"),
        ("/v1/metrics/grr/conventions", {"convention": "movements"}, "unknown_convention"),
        ("/v1/metrics/feature_adoption_rate/conventions", {"group_by": "subject"}, "unknown_dimension"),
    ],
)
def test_a_convention_or_dimension_that_no_metric_has_is_an_error(
    service: Service, path: str, params: dict[str, str], code: str
) -> None:
    answer = service.request("GET", path, params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == code


def test_the_conventions_of_an_unknown_metric_are_not_found(service: Service) -> None:
    assert service.request("GET", "/v1/metrics/nothing/conventions").status_code == 404


def test_the_catalogue_lists_every_convention_with_its_description(service: Service) -> None:
    for entry in service.get("/v1/metrics")["metrics"]:
        listed = [convention["name"] for convention in entry["conventions"]]
        assert listed == list(METRICS[entry["name"]].conventions)
        assert all(convention["description"] for convention in entry["conventions"])


def test_the_model_has_every_convention() -> None:
    others = {name: set(entry.other_conventions) for name, entry in METRICS.items() if entry.other_conventions}
    assert {name: set(ways) for name, ways in CONVENTIONS.items()} == others


def test_a_convention_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="exists already"):
        METRICS["grr"].also("movements", counted_by="Nobody.", example={}, events=[])(METRICS["grr"].formula)


def test_side_by_side_answers_are_paged_and_compared_like_others(twelve_cancellations: Service) -> None:
    path = "/v1/metrics/customer_churn_rate/conventions"
    rows, cursor = [], None
    while True:
        params = {"period": "2026-02", "compare": "previous_period", "limit": 2} | (
            {"cursor": cursor} if cursor else {}
        )
        body = twelve_cancellations.get(path, **params)
        rows += body["rows"]
        if (cursor := body["next"]) is None:
            break
    assert [row["convention"] for row in rows] == list(CHURN)
    # All 100 joined in January: only the convention of those who were ever active has a rate.
    assert {row["convention"]: row["previous"] for row in rows} == dict.fromkeys(CHURN) | {"ever_active": 0}


def test_a_cancellation_without_an_end_date_ends_at_once(service: Service) -> None:
    service.send(pays("acme", "2026-01-10"), pays("globex", "2026-01-10"), leaves("acme", "2026-02-10"))
    assert service.row("customer_churn_rate", period="2026-02", convention="cancellation_click")["value"] == 50


def test_adoption_by_registered_users_can_be_broken_down_by_feature(service: Service) -> None:
    for user, feature in (("ada", "export"), ("bob", "search")):
        service.send(event("feature.used", at="2026-03-10", user=user, feature=feature))
    service.send(session(user="eve"), event("user.registered", at="2026-03-01", user="joe"))
    rows = service.rows("feature_adoption_rate", period="2026-03", group_by="subject", convention="registered_users")
    values = [(row["group"]["subject"], row["numerator"], row["denominator"]) for row in rows]
    assert values == [("export", 1, 4), ("search", 1, 4)]


def test_the_mean_over_the_range_needs_one_scale(service: Service) -> None:
    service.put("/v1/surveys/visit", {"kind": "csat", "scale": {"min": 1, "max": 10}})
    service.send(*survey_responses("csat", [5, 3]))
    assert service.row("csat", convention="mean_over_range")["value"] == 75
    service.send(*survey_responses("visit", [10]))
    row = service.row("csat", convention="mean_over_range")
    assert (row["value"], row["numerator"], row["reason"]) == (None, None, "mixed_scales")


# ---- customers who have canceled and still pay ----


def leaving_days(*events: tuple[str, str, dict[str, Any]]) -> list[tuple[str, int]]:
    """Return the days on which the account starts and stops to be a leaving customer, with +1 and -1."""
    happenings = sorted(
        StreamEvent(NOON.replace(month=int(day[:2]), day=int(day[3:])), int(type == CANCELED), f"{n}", type, data)
        for n, (day, type, data) in enumerate(events)
    )
    lines = subscriptions(happenings, Calendar(zone=_UTC))
    return [(f"{day:%m-%d}", line.value) for day, line in lines if line.measure is customers_leaving]


def paid(day: str, of: str = "one", mrr: str = "10") -> tuple[str, str, dict[str, Any]]:
    return day, CHANGED, {"subscription_id": of, "mrr": mrr}


def click(day: str, ends: str | None = None, of: str = "one") -> tuple[str, str, dict[str, Any]]:
    data = {"subscription_id": of} | ({"ends_at": f"2026-{ends}T12:00:00+00:00"} if ends else {})
    return day, CANCELED, data


_UTC = ZoneInfo("UTC")
CANCELLATIONS = {
    "from the click to the end": ([paid("01-10"), click("02-15", "03-01")], [("02-15", 1), ("03-01", -1)]),
    "at once": ([paid("01-10"), click("02-15")], []),
    "an end that was before the click": ([paid("01-10"), click("02-15", "02-01")], []),
    "another price changes nothing": (
        [paid("01-10"), click("02-15", "03-01"), paid("02-20", mrr="8")],
        [("02-15", 1), ("03-01", -1)],
    ),
    "it is thought better of": (
        [paid("01-10"), click("02-15", "03-01"), ("02-20", RESUMED, {"subscription_id": "one"})],
        [("02-15", 1), ("02-20", -1)],
    ),
    "the end is moved": (
        [paid("01-10"), click("02-15", "03-01"), click("02-20", "03-10")],
        [("02-15", 1), ("03-10", -1)],
    ),
    "another subscription stays": ([paid("01-10"), paid("01-11", "two"), click("02-15", "03-01")], []),
    "the other one goes later": (
        [paid("01-10"), paid("01-11", "two"), click("02-15", "03-01"), click("02-20", "03-05", "two")],
        [("02-20", 1), ("03-05", -1)],
    ),
    "it never paid": ([paid("01-10", mrr="0"), click("02-15", "03-01")], []),
}


@pytest.mark.parametrize(("events", "expected"), CANCELLATIONS.values(), ids=CANCELLATIONS)
def test_a_customer_is_leaving_from_cancellation_to_the_end(events: list[Any], expected: list[Any]) -> None:
    assert leaving_days(*events) == leaving_days(*reversed(events)) == expected
