"""The identities of metrics, on random histories and against a model that shares no code with the service."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
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
from tests.model.generators import (
    DEALS,
    TICKETS,
    equals,
    negation,
    random_events,
    random_filter,
    random_question,
    random_step,
)
from tests.model.pair import Pair, checked_fields, query_service
from tests.support.campaign import examples
from tests.support.service import Service, account_update, session

without_deadline = settings(deadline=None, max_examples=examples(8), suppress_health_check=list(HealthCheck))
random_generators = st.builds(Random, st.integers(0, 2**32))
Start = Callable[..., Service]
Events = list[dict[str, Any]]

ALL_METRICS = ",".join(METRICS)
BY_SUBJECT = "mrr,mrr_opening,arr,mrr_churned,customers_churned,feature_uses,feature_adoption_rate,conversion_rate"
BY_CHANNEL = (
    "support_tickets,tickets_resolved,first_contact_resolution_rate,average_first_response_hours,average_resolution_hours,"
    "ticket_backlog"
)
# Each convention with the metrics that have it. A test samples some of them for each of its many histories.
METRICS_BY_CONVENTION = [
    (convention, ",".join(metric for metric, conventions in CONVENTIONS.items() if convention in conventions))
    for convention in dict.fromkeys(convention for conventions in CONVENTIONS.values() for convention in conventions)
]
RANGE = {"start": date(2025, 12, 10), "end": date(2026, 4, 20)}


def with_numbered_accounts(rows: Events, pair: Pair) -> Events:
    """Return rows with numbers in place of the accounts' names, so that two histories can be compared."""
    names = {name: number for number, name in enumerate(pair.accounts)}
    return [
        checked_fields(row) | {"group": {key: names.get(value, value) for key, value in row["group"].items()}}
        for row in rows
    ]


def query_report(random: Random, pair: Pair, *, check_with_model: bool, **parameters: Any) -> list[Events]:
    """Ask a few questions about a whole history; return the answers, to compare them with those about another history.

    check_with_model: whether the model checks the answers; those that have to equal checked ones need no check.
    """
    ask = pair.ask if check_with_model else partial(query_service, pair.service, account=pair.accounts)
    group_by = random.choice([("account",), ("plan",), ("seats", "vip"), ("plan", "account")])
    last_weeks = {"start": date(2026, 2, 20), "end": date(2026, 3, 20), "granularity": "day"}
    questions: list[tuple[str, dict[str, Any]]] = [
        (ALL_METRICS, RANGE | {"group_by": group_by, "totals": True}),
        (ALL_METRICS, RANGE | {"granularity": random.choice(["week", "quarter"])}),
        ("nps,csat,ces", RANGE | {"group_by": ("subject", "channel"), "granularity": "total"}),
        (BY_SUBJECT, RANGE | {"group_by": ("subject", "plan"), "granularity": random.choice(["month", "total"])}),
        (BY_CHANNEL, RANGE | {"group_by": ("channel", "plan"), "granularity": random.choice(["month", "total"])}),
        *(
            (
                metrics,
                RANGE
                | {
                    "convention": convention,
                    "granularity": "month",
                    "group_by": group_by,
                    "compare": "previous_period",
                },
            )
            for convention, metrics in random.sample(METRICS_BY_CONVENTION, 8)
        ),
        ("sessions,nrr,registered_users", RANGE | {"group_by": ("plan",), "segments_as_of": "now"}),
        ("sessions,survey_responses,mrr,active_users", last_weeks | {"group_by": (random.choice(["plan", "vip"]),)}),
        ("sessions,feedback_comments,mrr_net_change,registered_users", last_weeks | {"where": random_filter(random)}),
    ]
    return [with_numbered_accounts(ask(metrics, **question, **parameters), pair) for metrics, question in questions]


def send_in_random_batches(random: Random, events: Events, pair: Pair) -> None:
    """Send events in any order, in batches of any size, and some of them twice."""
    remaining = events + random.sample(events, len(events) // 3)
    random.shuffle(remaining)
    while remaining:
        size = random.randint(1, len(remaining))
        pair.send(*remaining[:size])
        remaining = remaining[size:]


def test_order_batches_and_duplicates_make_no_difference(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    def check(random: Random) -> None:
        first, second = Pair(service), Pair(service)
        days = [date(2026, 3, 10) + DAY * n for n in range(random.randint(1, 3))]
        for day in days:
            events = random_events(random, first.on(day, hours=9), random.randint(5, 30))
            for pair in (first, second):
                pair.on(day, hours=random.randint(9, 20))
                names = dict(zip(first.accounts, pair.accounts, strict=True))
                send_in_random_batches(
                    random, [event | {"account_id": names[event["account_id"]]} for event in events], pair
                )
            if random.randrange(2):
                chosen = random.choice(events)
                for pair in (first, second):
                    pair.retract(pair.accounts[first.accounts.index(chosen["account_id"])], chosen["id"])
        seed = random.randrange(100)
        for parameters in ({}, {"as_of": random.choice(days)}):
            first_report, second_report = (
                query_report(Random(seed), pair.on(days[-1] + DAY), check_with_model=pair is first, **parameters)
                for pair in (first, second)
            )
            assert first_report == second_report
        assert first.differences() == second.differences() == []

    check()


def test_after_retractions_all_answers_are_as_if_the_events_had_never_been_sent(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    def check(random: Random) -> None:
        first, second = Pair(service), Pair(service)
        day = date(2026, 3, 10)
        lasting, retracted = (random_events(random, first.on(day, hours=9), random.randint(5, 25)) for _ in range(2))
        names = dict(zip(first.accounts, second.accounts, strict=True))
        first.send(*random.sample(lasting + retracted, len(lasting + retracted)))
        second.on(day, hours=9).send(*(event | {"account_id": names[event["account_id"]]} for event in lasting))
        first.on(day + DAY * random.randrange(2), hours=10)
        for event in random.sample(retracted, len(retracted)):
            first.retract(event["account_id"], event["id"])
        send_in_random_batches(random, retracted, first)
        seed = random.randrange(100)
        first_report, second_report = (
            query_report(Random(seed), pair.on(day + 2 * DAY), check_with_model=pair is first)
            for pair in (first, second)
        )
        assert first_report == second_report
        assert [load_account(service, name) for name in first.accounts] == [
            load_account(service, name) for name in second.accounts
        ]
        assert first.differences() == []

    check()


def test_trials_renewals_and_orders_are_answered_as_of_every_day_like_the_model(service: Service) -> None:
    @settings(without_deadline, max_examples=examples(12))
    @given(random_generators)
    def check(random: Random) -> None:
        pair = Pair(service, accounts=1)
        days = [date(2026, 3, 10) + DAY * n for n in range(3)]
        for day in days:
            pair.on(day, hours=20)
            send_in_random_batches(random, random_events(random, pair, random.randint(5, 30), DEALS), pair)
            for chosen in random.sample(list(pair.model.events), random.randrange(4)):
                pair.retract(*chosen)
        pair.on(days[-1] + DAY)
        # From the earliest day on which a random event can occur to some days after the last.
        days_of_events = {"start": date(2025, 12, 30), "end": date(2026, 3, 18), "granularity": "day"}
        for as_of in (None, *days):
            pair.ask(",".join(COMMERCE), **days_of_events, as_of=as_of)
            for metric, conventions in CONVENTIONS.items():
                for convention in conventions if metric in COMMERCE else ():
                    pair.ask(metric, **RANGE, granularity="month", convention=convention, as_of=as_of)
        pair.ask(",".join(COMMERCE), **RANGE, granularity=random.choice(["month", "quarter"]), totals=True)
        assert pair.differences() == []

    check()


def test_tickets_with_skewed_clocks_are_answered_as_of_every_day_like_the_model(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    def check(random: Random) -> None:
        pair = Pair(service, accounts=1)
        days = [date(2026, 3, 10) + DAY * n for n in range(3)]
        for day in days:
            pair.on(day, hours=20)
            events = random_events(random, pair, random.randint(2, 12), TICKETS)
            # A clock that is some seconds or days behind, so that events are dated before the opening.
            skew = timedelta(seconds=random.choice([2, 86_400 * 3]))
            skewed = [
                event | {"occurred_at": str(datetime.fromisoformat(event["occurred_at"]) - skew).replace(" ", "T")}
                for event in events
                if event["type"] != "ticket.opened"
            ]
            send_in_random_batches(
                random, [event for event in events if event["type"] == "ticket.opened"] + skewed, pair
            )
            for chosen in random.sample(list(pair.model.events), random.randrange(3)):
                pair.retract(*chosen)
        pair.on(days[-1] + DAY)
        last_weeks = {
            "start": date(2026, 1, 5),
            "end": date(2026, 3, 18),
            "granularity": random.choice(["day", "week"]),
        }
        for as_of in (None, *days):
            pair.ask(BY_CHANNEL, **last_weeks, group_by=("channel",), as_of=as_of, totals=True)
            for metric in ("first_contact_resolution_rate", "average_resolution_hours"):
                (convention,) = CONVENTIONS[metric]
                pair.ask(metric, **last_weeks, convention=convention, as_of=as_of)
        assert pair.differences() == []

    check()


def load_account(service: Service, account: str) -> Any:
    """Return what the service answers about an account besides its name, and when it became known."""
    response = service.request("GET", f"/v1/accounts/{account}")
    history = [own | {"known_since": None} for own in response.json().get("history", [])]
    return response.status_code, response.json().get("attributes"), history


@pytest.fixture
def random_history(service: Service) -> Pair:
    """Send a random history of some weeks to the service and the model."""
    random = Random(7)
    pair = Pair(service).on(date(2026, 2, 10))
    for _ in range(40):
        pair.on(pair.today + DAY * random.randrange(3), hours=12)
        random_step(random, pair)
    return pair


def metrics_that_add_over(pair: Pair, adds_over: str) -> list[dict[str, Any]]:
    return [metric for metric in pair.service.get("/v1/metrics")["metrics"] if adds_over in metric["adds_over"]]


def sum_values(rows: Events, *, by: Callable[[dict[str, Any]], Any]) -> dict[Any, float]:
    sums: dict[Any, float] = defaultdict(int)
    for row in rows:
        sums[by(row)] += row["value"]
    # Amounts that cancel out may leave less than the precision of answers.
    return {key: value for key, value in sums.items() if round(value, 6)}


def test_the_groups_of_one_attribute_add_up_to_the_total(random_history: Pair) -> None:
    metrics = metrics_that_add_over(random_history, "groups")
    assert {metric["name"] for metric in metrics} >= {
        "sessions",
        "feature_uses",
        "survey_responses",
        "feedback_comments",
    }
    for metric, granularity in product(metrics, ("day", "week", "month", "quarter", "total")):
        question = RANGE | {"granularity": granularity}
        total = sum_values(
            query_service(random_history.service, metric["name"], **question), by=lambda row: row["start"]
        )
        for group in {"plan", "seats", "account", "unheard", "subject", "channel"}:
            if group not in ("subject", "channel") or group in metric["dimensions"]:
                parts = query_service(random_history.service, metric["name"], **question, group_by=[group])
                assert sum_values(parts, by=lambda row: row["start"]) == pytest.approx(total), (metric["name"], group)


def test_days_add_up_to_weeks_months_quarters_and_the_total(random_history: Pair) -> None:
    metrics = metrics_that_add_over(random_history, "time")
    assert {metric["name"] for metric in metrics} >= {
        "sessions",
        "feature_uses",
        "survey_responses",
        "feedback_comments",
    }
    questions: list[dict[str, Any]] = [
        {},
        {"group_by": ["account"]},
        {"group_by": ["plan"], "segments_as_of": "now"},
        {"where": negation(equals("plan", "pro")), "segments_as_of": "now"},
    ]
    for metric, question in product(metrics, questions):
        days = query_service(random_history.service, metric["name"], **RANGE, granularity="day", **question)
        for granularity in ("week", "month", "quarter", "total"):

            def unit(row: dict[str, Any], granularity: str = granularity) -> Any:
                day = date.fromisoformat(row["start"])
                return random_history.model.calendar.unit(day, granularity), repr(row["group"])

            units = query_service(random_history.service, metric["name"], **RANGE, granularity=granularity, **question)
            assert sum_values(units, by=unit) == pytest.approx(sum_values(days, by=unit)), (
                metric["name"],
                granularity,
                question,
            )


def test_a_filter_and_its_negation_add_up_to_the_total(random_history: Pair) -> None:
    metrics = ",".join(metric["name"] for metric in metrics_that_add_over(random_history, "groups"))

    @without_deadline
    @given(random_generators, st.sampled_from(["day", "week", "month", "quarter"]))
    def check(random: Random, granularity: str) -> None:
        where = random_filter(random)
        question = RANGE | {"granularity": granularity}

        def key(row: dict[str, Any]) -> Any:
            return row["metric"], row["start"]

        total = sum_values(query_service(random_history.service, metrics, **question), by=key)
        parts = [
            row
            for side in (where, negation(where))
            for row in query_service(random_history.service, metrics, **question, where=side)
        ]
        assert sum_values(parts, by=key) == pytest.approx(total), where.text

    check()


@pytest.mark.parametrize(
    ("zone", "fiscal_year_start", "week_start", "around"),
    [
        ("UTC", 1, "monday", date(2026, 3, 30)),
        ("America/New_York", 4, "sunday", date(2026, 3, 8)),
        ("Africa/Cairo", 7, "monday", date(2026, 4, 24)),
        ("Pacific/Kiritimati", 12, "sunday", date(2026, 1, 1)),
    ],
)
def test_any_question_in_any_calendar_is_answered_like_the_model(
    start_service: Start, zone: str, fiscal_year_start: int, week_start: str, around: date
) -> None:
    service = start_service(reporting_timezone=zone, fiscal_year_start=fiscal_year_start, week_start=week_start)

    @settings(without_deadline, max_examples=examples(8))
    @given(random_generators)
    def check(random: Random) -> None:
        pair = Pair(service, Calendar(zone, fiscal_year_start, week_start))
        for _ in range(random.randint(1, 4)):
            pair.on(around + DAY * random.randint(-1, 1), seconds=random.choice([0, 1, 3599, 7200, 40_000, 82_799]))
            pair.send(*random_events(random, pair, random.randint(4, 18)))
        pair.on(around + DAY, seconds=82_799)
        for _ in range(4):
            pair.at(pair.now + random.choice([0, 1, 1]) * DAY)
            question = random_question(random, pair)
            as_of = random.choice([None, pair.today, around])
            if as_of is not None and "end" not in question and question.get("start", as_of) > as_of:
                question["end"] = question["start"] + DAY  # the default end may lie before a start later than as_of
            pair.ask(**question, as_of=as_of)

    check()


def test_events_dated_after_today_count_from_their_day_in_every_granularity(service: Service) -> None:
    pair = Pair(service).on(date(2026, 3, 30), hours=23)
    times = [f"2026-03-{day}T{hour}:00:00Z" for day, hour in (("30", "22"), ("31", "00"), ("31", "22"))]
    pair.send(
        *(session(pair.accounts[0], at=at) for at in times), account_update(pair.accounts[0], at=times[1], plan="pro")
    )
    for day, expected in ((date(2026, 3, 30), 1), (date(2026, 3, 31), 3), (date(2026, 4, 1), 3)):
        pair.on(day, hours=23)
        for granularity in ("week", "month", "quarter", "year", "total"):
            question = {"start": date(2026, 3, 12), "end": date(2026, 5, 9), "granularity": granularity}
            rows = pair.ask("sessions", **question, group_by=["plan"], totals=True)
            assert sum(row["value"] for row in rows if row["start"] <= "2026-03-31" and row["period"] != "total") in (
                expected,
                0,
            )
            assert rows[-1]["value"] == expected
