"""The identities of docs/metrics.md, on random histories and against a model that shares no code with the service."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.calendar import DAY, Calendar
from tests.model.commerce import COMMERCE
from tests.model.conventions import CONVENTIONS
from tests.model.formulas import METRICS
from tests.model.generators import DEALS, equals, negation, random_events, random_filter, random_question, random_step
from tests.model.pair import Pair, checked_fields, query_service
from tests.support.service import Service, moved, session

calm = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
chance = st.builds(Random, st.integers(0, 2**32))
Start = Callable[..., Service]
Events = list[dict[str, Any]]

EVERYTHING = ",".join(METRICS)
BY_SUBJECT = "mrr,mrr_opening,arr,mrr_churned,customers_churned,feature_uses,feature_adoption_rate,conversion_rate"
BY_CHANNEL = "support_tickets,first_contact_resolution_rate,average_resolution_hours,ticket_backlog"
# Each way to count with the metrics that can be counted so; there are many histories, and each meets some of them.
BY_WAY = [
    (way, ",".join(metric for metric, others in CONVENTIONS.items() if way in others))
    for way in dict.fromkeys(way for ways in CONVENTIONS.values() for way in ways)
]
RANGE = {"start": date(2025, 12, 10), "end": date(2026, 4, 20)}


def renamed(rows: Events, pair: Pair) -> Events:
    """Rows whose accounts are named by their number, so that two histories can be compared."""
    names = {name: number for number, name in enumerate(pair.accounts)}
    return [
        checked_fields(row) | {"group": {key: names.get(value, value) for key, value in row["group"].items()}}
        for row in rows
    ]


def report(random: Random, pair: Pair, *, checked: bool, **asked: Any) -> list[Events]:
    """A few answers about a whole history, for the model to check and to compare with another history's.

    checked: whether the model is asked as well; answers that have to equal checked ones need not be.
    """
    ask = pair.ask if checked else partial(query_service, pair.service, account=pair.accounts)
    group_by = random.choice([("account",), ("plan",), ("seats", "vip"), ("plan", "account")])
    lately = {"start": date(2026, 2, 20), "end": date(2026, 3, 20), "granularity": "day"}
    asked_for: list[tuple[str, dict[str, Any]]] = [
        (EVERYTHING, RANGE | {"group_by": group_by, "totals": True}),
        (EVERYTHING, RANGE | {"granularity": random.choice(["week", "quarter"])}),
        ("nps,csat,ces", RANGE | {"group_by": ("subject", "channel"), "granularity": "total"}),
        (BY_SUBJECT, RANGE | {"group_by": ("subject", "plan"), "granularity": random.choice(["month", "total"])}),
        (BY_CHANNEL, RANGE | {"group_by": ("channel", "plan"), "granularity": random.choice(["month", "total"])}),
        *(
            (
                metrics,
                RANGE | {"convention": way, "granularity": "month", "group_by": group_by, "compare": "previous_period"},
            )
            for way, metrics in random.sample(BY_WAY, 8)
        ),
        ("sessions,nrr,registered_users", RANGE | {"group_by": ("plan",), "segments_as_of": "now"}),
        ("sessions,survey_responses,mrr,active_users", lately | {"group_by": (random.choice(["plan", "vip"]),)}),
        ("sessions,feedback_comments,mrr_net_change,registered_users", lately | {"where": random_filter(random)}),
    ]
    return [renamed(ask(metrics, **question, **asked), pair) for metrics, question in asked_for]


def arrive(random: Random, events: Events, pair: Pair) -> None:
    """In any order, in batches of any size, some of them again."""
    rest = events + random.sample(events, len(events) // 3)
    random.shuffle(rest)
    while rest:
        size = random.randint(1, len(rest))
        pair.send(*rest[:size])
        rest = rest[size:]


def test_order_batches_and_repeats_make_no_difference(service: Service) -> None:
    @calm
    @given(chance)
    def every(random: Random) -> None:
        one, other = Pair(service), Pair(service)
        days = [date(2026, 3, 10) + DAY * n for n in range(random.randint(1, 3))]
        for day in days:
            events = random_events(random, one.on(day, hours=9), random.randint(5, 30))
            for pair in (one, other):
                pair.on(day, hours=random.randint(9, 20))
                names = dict(zip(one.accounts, pair.accounts, strict=True))
                arrive(random, [event | {"account_id": names[event["account_id"]]} for event in events], pair)
            if random.randrange(2):
                taken = random.choice(events)
                for pair in (one, other):
                    pair.retract(pair.accounts[one.accounts.index(taken["account_id"])], taken["id"])
        seed = random.randrange(100)
        for asked in ({}, {"as_of": random.choice(days)}):
            first, second = (
                report(Random(seed), pair.on(days[-1] + DAY), checked=pair is one, **asked) for pair in (one, other)
            )
            assert first == second
        assert one.differences() == other.differences() == []

    every()


def test_what_was_retracted_might_as_well_never_have_been(service: Service) -> None:
    @calm
    @given(chance)
    def every(random: Random) -> None:
        one, other = Pair(service), Pair(service)
        day = date(2026, 3, 10)
        stays, goes = (random_events(random, one.on(day, hours=9), random.randint(5, 25)) for _ in range(2))
        names = dict(zip(one.accounts, other.accounts, strict=True))
        one.send(*random.sample(stays + goes, len(stays + goes)))
        other.on(day, hours=9).send(*(event | {"account_id": names[event["account_id"]]} for event in stays))
        one.on(day + DAY * random.randrange(2), hours=10)
        for gone in random.sample(goes, len(goes)):
            one.retract(gone["account_id"], gone["id"])
        arrive(random, goes, one)
        seed = random.randrange(100)
        first, second = (report(Random(seed), pair.on(day + 2 * DAY), checked=pair is one) for pair in (one, other))
        assert first == second
        assert [_card(service, name) for name in one.accounts] == [_card(service, name) for name in other.accounts]
        assert one.differences() == []

    every()


def test_what_an_account_tries_renews_and_orders_is_known_on_every_day_as_the_model_knows_it(service: Service) -> None:
    @settings(calm, max_examples=30)
    @given(chance)
    def every(random: Random) -> None:
        pair = Pair(service, accounts=1)
        days = [date(2026, 3, 10) + DAY * n for n in range(3)]
        for day in days:
            pair.on(day, hours=20)
            arrive(random, random_events(random, pair, random.randint(5, 30), DEALS), pair)
            for taken in random.sample(list(pair.model.events), random.randrange(4)):
                pair.retract(*taken)
        pair.on(days[-1] + DAY)
        # From the earliest day that anything can be told of to some days after the last.
        happened = {"start": date(2025, 12, 30), "end": date(2026, 3, 18), "granularity": "day"}
        for as_of in (None, *days):
            pair.ask(",".join(COMMERCE), **happened, as_of=as_of)
        pair.ask(",".join(COMMERCE), **RANGE, granularity=random.choice(["month", "quarter"]), totals=True)
        assert pair.differences() == []

    every()


def _card(service: Service, account: str) -> Any:
    """What is said of an account besides its name."""
    found = service.request("GET", f"/v1/accounts/{account}")
    return found.status_code, found.json().get("attributes"), found.json().get("history")


@pytest.fixture
def told(service: Service) -> Pair:
    """A history of some weeks, with a catalogue of what is declared of each metric."""
    random = Random(7)
    pair = Pair(service).on(date(2026, 2, 10))
    for _ in range(40):
        pair.on(pair.today + DAY * random.randrange(3), hours=12)
        random_step(random, pair)
    return pair


def declared(pair: Pair, adds_over: str) -> list[dict[str, Any]]:
    return [metric for metric in pair.service.get("/v1/metrics")["metrics"] if adds_over in metric["adds_over"]]


def added(rows: Events, *, by: Callable[[dict[str, Any]], Any]) -> dict[Any, float]:
    sums: dict[Any, float] = defaultdict(int)
    for row in rows:
        sums[by(row)] += row["value"]
    # Amounts that cancel out leave less than is ever answered.
    return {place: value for place, value in sums.items() if round(value, 6)}


def test_the_groups_of_one_attribute_add_up_to_the_total(told: Pair) -> None:
    metrics = declared(told, "groups")
    assert {metric["name"] for metric in metrics} >= {
        "sessions",
        "feature_uses",
        "survey_responses",
        "feedback_comments",
    }
    for metric, granularity in product(metrics, ("day", "week", "month", "quarter", "total")):
        asked = RANGE | {"granularity": granularity}
        whole = added(query_service(told.service, metric["name"], **asked), by=lambda row: row["start"])
        for group in {"plan", "seats", "account", "unheard", "subject", "channel"}:
            if group not in ("subject", "channel") or group in metric["dimensions"]:
                parts = query_service(told.service, metric["name"], **asked, group_by=[group])
                assert added(parts, by=lambda row: row["start"]) == pytest.approx(whole), (metric["name"], group)


def test_days_add_up_to_weeks_months_quarters_and_the_total(told: Pair) -> None:
    metrics = declared(told, "time")
    assert {metric["name"] for metric in metrics} >= {
        "sessions",
        "feature_uses",
        "survey_responses",
        "feedback_comments",
    }
    ways: list[dict[str, Any]] = [
        {},
        {"group_by": ["account"]},
        {"group_by": ["plan"], "segments_as_of": "now"},
        {"where": negation(equals("plan", "pro")), "segments_as_of": "now"},
    ]
    for metric, asked in product(metrics, ways):
        days = query_service(told.service, metric["name"], **RANGE, granularity="day", **asked)
        for granularity in ("week", "month", "quarter", "total"):

            def unit(row: dict[str, Any], granularity: str = granularity) -> Any:
                day = date.fromisoformat(row["start"])
                return told.model.calendar.unit(day, granularity), repr(row["group"])

            units = query_service(told.service, metric["name"], **RANGE, granularity=granularity, **asked)
            assert added(units, by=unit) == pytest.approx(added(days, by=unit)), (metric["name"], granularity, asked)


def test_a_filter_and_its_negation_add_up_to_the_whole(told: Pair) -> None:
    metrics = ",".join(metric["name"] for metric in declared(told, "groups"))

    @calm
    @given(chance, st.sampled_from(["day", "week", "month", "quarter"]))
    def every(random: Random, granularity: str) -> None:
        where = random_filter(random)
        asked = RANGE | {"granularity": granularity}

        def place(row: dict[str, Any]) -> Any:
            return row["metric"], row["start"]

        whole = added(query_service(told.service, metrics, **asked), by=place)
        parts = [
            row
            for side in (where, negation(where))
            for row in query_service(told.service, metrics, **asked, where=side)
        ]
        assert added(parts, by=place) == pytest.approx(whole), where.text

    every()


@pytest.mark.parametrize(
    ("zone", "fiscal_year_start", "around"),
    [
        ("UTC", 1, date(2026, 3, 30)),
        ("America/New_York", 4, date(2026, 3, 8)),
        ("Africa/Cairo", 7, date(2026, 4, 24)),
        ("Pacific/Kiritimati", 12, date(2026, 1, 1)),
    ],
)
def test_any_question_in_any_calendar_is_answered_as_the_model_does(
    start: Start, zone: str, fiscal_year_start: int, around: date
) -> None:
    service = start(reporting_timezone=zone, fiscal_year_start=fiscal_year_start)

    @settings(calm, max_examples=15)
    @given(chance)
    def every(random: Random) -> None:
        pair = Pair(service, Calendar(zone, fiscal_year_start))
        for _ in range(random.randint(1, 4)):
            pair.on(around + DAY * random.randint(-1, 1), seconds=random.choice([0, 1, 3599, 7200, 40_000, 82_799]))
            pair.send(*random_events(random, pair, random.randint(4, 18)))
        pair.on(around + DAY, seconds=82_799)
        for _ in range(4):
            pair.at(pair.now + random.choice([0, 1, 1]) * DAY)
            asked = random_question(random, pair)
            as_of = random.choice([None, pair.today, around])
            if as_of is not None and "end" not in asked and asked.get("start", as_of) > as_of:
                asked["end"] = asked["start"] + DAY  # the default end may lie before what is later than as_of
            pair.ask(**asked, as_of=as_of)

    every()


def test_what_is_dated_after_today_counts_from_its_day_in_every_cut(service: Service) -> None:
    pair = Pair(service).on(date(2026, 3, 30), hours=23)
    ahead = [f"2026-03-{day}T{hour}:00:00Z" for day, hour in (("30", "22"), ("31", "00"), ("31", "22"))]
    pair.send(*(session(pair.accounts[0], at=at) for at in ahead), moved(pair.accounts[0], at=ahead[1], plan="pro"))
    for day, many in ((date(2026, 3, 30), 1), (date(2026, 3, 31), 3), (date(2026, 4, 1), 3)):
        pair.on(day, hours=23)
        for granularity in ("week", "month", "quarter", "year", "total"):
            clipped = {"start": date(2026, 3, 12), "end": date(2026, 5, 9), "granularity": granularity}
            rows = pair.ask("sessions", **clipped, group_by=["plan"], totals=True)
            assert sum(row["value"] for row in rows if row["start"] <= "2026-03-31" and row["period"] != "total") in (
                many,
                0,
            )
            assert rows[-1]["value"] == many
