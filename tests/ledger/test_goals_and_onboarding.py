"""The streams of goals and onboardings, which are pure functions, and their metrics."""

from itertools import permutations
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.goals import goal
from app.ledger.streams.onboarding import onboarding
from tests.model.stream_events import postings, stream_event
from tests.support.service import Service, event


def goal_entered(at: str, **data: Any) -> StreamEvent:
    return stream_event("goal.entered", at, goal="upgrade", **data)


def goal_completed(at: str, **data: Any) -> StreamEvent:
    return stream_event("goal.completed", at, goal="upgrade", **data)


def onboarding_started(at: str, **data: Any) -> StreamEvent:
    return stream_event("onboarding.started", at, **data)


def step_completed(at: str, name: str = "invite", **data: Any) -> StreamEvent:
    return stream_event("onboarding.step_completed", at, step=name, **data)


def onboarding_completed(at: str, **data: Any) -> StreamEvent:
    return stream_event("onboarding.completed", at, **data)


def days(measure: str, *events: StreamEvent, **options: Any) -> dict[str, int]:
    """Return the value of a measure by day."""
    kind = goal if events[0].type.startswith("goal.") else onboarding
    values = postings(*events, by=kind, **options)
    return {day: value for (day, name, _), value in values.items() if name == measure}


@pytest.mark.parametrize(
    ("events", "begin_days", "completion_days"),
    [
        ([goal_entered("2026-03-02")], ["02"], []),
        ([goal_entered("2026-03-02"), goal_entered("2026-03-03")], ["02"], []),
        ([goal_entered("2026-03-02"), goal_completed("2026-03-05")], ["02"], ["02"]),
        ([goal_entered("2026-03-02"), goal_entered("2026-03-03"), goal_completed("2026-03-05")], ["02"], ["02"]),
        ([goal_entered("2026-03-02"), goal_completed("2026-03-05"), goal_completed("2026-03-06")], ["02"], ["02"]),
        ([goal_entered("2026-03-02"), goal_completed("2026-03-05"), goal_entered("2026-03-07")], ["02", "07"], ["02"]),
        (
            [
                goal_entered("2026-03-02"),
                goal_completed("2026-03-05"),
                goal_entered("2026-03-07"),
                goal_completed("2026-03-09"),
            ],
            ["02", "07"],
            ["02", "07"],
        ),
        ([goal_completed("2026-03-05")], ["05"], ["05"]),
        ([goal_completed("2026-03-05"), goal_completed("2026-03-06")], ["05"], ["05"]),
        ([goal_completed("2026-03-05"), goal_entered("2026-03-07")], ["05", "07"], ["05"]),
        # A completion stamped up to an hour before the first entry, by another clock, belongs to that entry.
        ([goal_completed("2026-03-05T09:59:58"), goal_entered("2026-03-05T10:00:00")], ["05"], ["05"]),
        ([goal_completed("2026-03-04T23:59:59"), goal_entered("2026-03-05T00:59:59")], ["05"], ["05"]),
        ([goal_completed("2026-03-04T23:59:58"), goal_entered("2026-03-05T00:59:59")], ["04", "05"], ["04"]),
        (
            [
                goal_completed("2026-03-05T09:59:58"),
                goal_entered("2026-03-05T10:00:00"),
                goal_completed("2026-03-06"),
                goal_entered("2026-03-07"),
            ],
            ["05", "07"],
            ["05"],
        ),
        # With an entry before it, it is a completion of that: again without a new entry, it counts nothing.
        (
            [
                goal_entered("2026-03-02"),
                goal_completed("2026-03-05T09:00:00"),
                goal_completed("2026-03-05T09:59:58"),
                goal_entered("2026-03-05T10:00:00"),
            ],
            ["02", "05"],
            ["02"],
        ),
        # At the same instant, an entry comes before a completion.
        ([goal_completed("2026-03-05", id="a"), goal_entered("2026-03-05", id="b")], ["05"], ["05"]),
    ],
    ids=lambda value: " ".join(event.type[5:] for event in value if isinstance(event, StreamEvent)),
)
def test_goals_and_onboardings_begin_complete_and_begin_again(
    events: list[StreamEvent], begin_days: list[str], completion_days: list[str]
) -> None:
    names = {"goal.entered": "onboarding.started", "goal.completed": "onboarding.completed"}
    same_for_onboarding = [stream_event(names[event.type], event.at.isoformat()[:-6], id=event.id) for event in events]
    for kind, stream_events in (
        (("goals_entered", "goals_completed"), events),
        (("onboardings_started", "onboardings_completed"), same_for_onboarding),
    ):
        expected = [{f"2026-03-{day}": 1 for day in days_in_march} for days_in_march in (begin_days, completion_days)]
        assert [days(measure, *stream_events) for measure in kind] == expected


def test_a_goal_is_the_subject_of_its_entries() -> None:
    assert postings(goal_entered("2026-03-02"), goal_completed("2026-04-05"), by=goal) == {
        ("2026-03-02", "goals_entered", "upgrade"): 1,
        ("2026-03-02", "goals_completed", "upgrade"): 1,
    }


def test_a_stream_without_events_posts_nothing() -> None:
    assert postings(by=goal) == postings(by=onboarding) == {}


def test_an_onboarding_posts_its_steps_and_seconds_on_the_day_of_its_start() -> None:
    events = [
        onboarding_started("2026-03-02"),
        step_completed("2026-03-03", "invite"),
        step_completed("2026-03-04", "import"),
        step_completed("2026-03-05", "invite"),
        onboarding_completed("2026-03-06T12:00:30"),
    ]
    assert postings(*events, by=onboarding) == {
        ("2026-03-02", "onboardings_started", ""): 1,
        ("2026-03-02", "onboardings_reaching", "invite"): 1,
        ("2026-03-02", "onboardings_reaching", "import"): 1,
        ("2026-03-02", "onboarding_step_positions", "invite"): 1,
        ("2026-03-02", "onboarding_step_positions", "import"): 2,
        ("2026-03-02", "onboarding_step_seconds", "invite"): 86_400,
        ("2026-03-02", "onboarding_step_seconds", "import"): 2 * 86_400,
        ("2026-03-02", "onboardings_completed", ""): 1,
        ("2026-03-02", "onboarding_seconds", ""): 4 * 86_400 + 30,
    }


def test_the_time_to_complete_ends_with_the_first_completion() -> None:
    events = [onboarding_started("2026-03-02"), onboarding_completed("2026-03-04"), onboarding_completed("2026-03-09")]
    assert days("onboarding_seconds", *events) == {"2026-03-02": 2 * 86_400}
    assert days("onboarding_seconds", onboarding_started("2026-03-02")) == {}
    assert days("onboarding_seconds", onboarding_completed("2026-03-02")) == {}, "it took no time"


def test_a_step_belongs_to_the_running_onboarding_or_begins_one() -> None:
    first, later = [onboarding_started("2026-03-02"), onboarding_completed("2026-03-04")], step_completed("2026-03-05")
    assert days("onboardings_reaching", *first, later) == {"2026-03-02": 1}
    restart = onboarding_started("2026-03-06")
    assert days("onboardings_reaching", *first, later, restart) == {"2026-03-02": 1}
    assert days("onboardings_reaching", *first, restart, step_completed("2026-03-07")) == {"2026-03-06": 1}
    assert days("onboardings_reaching", *first, later, restart, step_completed("2026-03-07")) == {
        "2026-03-02": 1,
        "2026-03-06": 1,
    }
    assert days("onboardings_started", later) == {"2026-03-05": 1}
    assert days("onboardings_started", later, onboarding_started("2026-03-06")) == {"2026-03-05": 1}
    # At the same instant: the start, its steps, the completion.
    at = "2026-03-04T08:00:00"
    assert days(
        "onboardings_started",
        onboarding_completed(at, id="a"),
        step_completed(at, id="b"),
        onboarding_started(at, id="c"),
    ) == {"2026-03-04": 1}


def test_a_completion_before_the_start_took_no_time_and_counts_once() -> None:
    skewed = [onboarding_completed("2026-03-04T09:59:58"), onboarding_started("2026-03-04T10:00:00")]
    assert days("onboardings_started", *skewed) == days("onboardings_completed", *skewed) == {"2026-03-04": 1}
    assert days("onboarding_seconds", *skewed) == {}
    # A step before the start begins the onboarding, and the completion still belongs to the start that follows.
    with_step = [step_completed("2026-03-04T09:59:50"), *skewed]
    assert days("onboardings_started", *with_step) == days("onboardings_completed", *with_step) == {"2026-03-04": 1}
    assert days("onboarding_seconds", *with_step) == {"2026-03-04": 10}


def test_the_time_zone_decides_the_day_and_not_the_seconds() -> None:
    events = [onboarding_started("2026-03-02T23:30:00.900000"), onboarding_completed("2026-03-04T00:30:00")]
    tokyo = Calendar(ZoneInfo("Asia/Tokyo"))
    assert days("onboarding_seconds", *events) == {"2026-03-02": 25 * 3_600 - 1}
    assert days("onboarding_seconds", *events, calendar=tokyo) == {"2026-03-03": 25 * 3_600 - 1}
    assert days("goals_entered", goal_entered("2026-03-02T23:30:00"), calendar=tokyo) == {"2026-03-03": 1}


# ---- over HTTP ----


def event_of(type: str, at: str, user: str | None = None, **data: Any) -> dict[str, Any]:
    return event(type, at=at, user=user, id=f"{type} {at} {user} {data}", **data)


def rate_and_parts(service: Service, metric: str, **question: Any) -> tuple[Any, Any, Any]:
    row = service.row(metric, **question)
    return row["value"], row["numerator"], row["denominator"]


def test_the_conversion_rate_counts_conversions_of_any_later_month(service: Service) -> None:
    service.on("2026-04-20").send(
        *(event_of("goal.entered", "2026-03-10", goal="upgrade", who=f"lead {number}") for number in range(4)),
        event_of("goal.completed", "2026-04-15", goal="upgrade", who="lead 1"),
        event_of("goal.entered", "2026-04-01", goal="invite"),
        event_of("goal.completed", "2026-04-01", goal="invite"),
    )
    assert rate_and_parts(service, "conversion_rate") == (25, 1, 4)
    assert service.row("conversion_rate")["interval"] is not None
    assert rate_and_parts(service, "conversion_rate", period="2026-04") == (100, 1, 1)
    rows = service.rows("conversion_rate", period="2026-Q1", granularity="quarter", group_by="subject")
    assert [(row["group"], row["value"]) for row in rows] == [({"subject": "upgrade"}, 25)]
    (whole,) = service.rows("conversion_rate", start="2026-03-01", end="2026-05-01", granularity="total")
    assert (whole["value"], whole["denominator"]) == (40, 5)
    assert service.row("conversion_rate", period="2026-02")["reason"] == "nobody_entered"


@pytest.mark.parametrize(
    ("first", "second", "is_same_person"),
    [
        ({"user": "ada"}, {"user": "ada"}, True),
        ({"user": "ada"}, {"who": "ada"}, True),
        ({"user": "ada", "who": "lead 7"}, {"user": "eve", "who": "lead 7"}, True),
        ({}, {}, True),
        ({}, {"user": "ada"}, False),
        # The account is not a person of the same name.
        ({}, {"who": "acme"}, False),
        ({}, {"who": "null"}, False),
        ({"user": "acme"}, {}, False),
        ({"who": 'ada", "x'}, {"who": "ada"}, False),
    ],
)
def test_user_or_who_or_the_account_identifies_who_pursues_a_goal(
    service: Service, first: Any, second: Any, is_same_person: bool
) -> None:
    service.send(event_of("goal.entered", "2026-03-10", goal="upgrade", **first))
    service.send(event_of("goal.completed", "2026-03-12", goal="upgrade", **second))
    # If they are two people, the second one entered by completing.
    assert rate_and_parts(service, "conversion_rate") == ((100, 1, 1) if is_same_person else (50, 1, 2))
    assert service.differences() == []


def test_names_with_spaces_are_not_confused(service: Service) -> None:
    goals = [("a b", "c"), ("a", "b c"), ("a", "b"), ("a b c", None)]
    for name, who in goals:
        service.send(event_of("goal.entered", "2026-03-10", goal=name, **({"who": who} if who else {})))
    service.send(event_of("goal.completed", "2026-03-12", goal="a", who="b c"))
    assert rate_and_parts(service, "conversion_rate") == (25, 1, 4)
    service.send(
        *(event_of("onboarding.started", "2026-03-10", user) for user in (None, "ada", "ada b")),
        event_of("onboarding.completed", "2026-03-12", "ada b"),
    )
    assert rate_and_parts(service, "onboarding_completion_rate") == (pytest.approx(100 / 3, abs=1e-6), 1, 3)
    assert service.differences() == []


def test_the_longest_names_are_accepted(service: Service) -> None:
    # As many characters as a name may have: random ones of four bytes, which cannot be compressed, and some that JSON escapes.
    random = Random(1)
    long_name, long_who = ("".join(map(chr, random.sample(range(0x20000, 0x2A000), 128))) for _ in range(2))
    for name, who in ((long_name, long_who), ('"\\' * 64, "\\" * 128)):
        events = [
            event("goal.entered", goal=name, who=who),
            event("ticket.opened", ticket_id=name),
            event("onboarding.started", user=name),
        ]
        assert service.send(*events)["accepted"] == 3
    assert rate_and_parts(service, "conversion_rate") == (0, 0, 2)
    assert service.differences() == []


def test_an_onboarding_belongs_to_the_account_or_to_one_of_its_users(service: Service) -> None:
    service.on("2026-04-20").send(
        event_of("onboarding.started", "2026-03-02"),
        event_of("onboarding.started", "2026-03-03", "ada"),
        event_of("onboarding.completed", "2026-03-08T00:00:00Z", "ada"),
        event_of("onboarding.started", "2026-04-01"),
        event_of("onboarding.completed", "2026-04-05", "bob"),
    )
    assert rate_and_parts(service, "onboarding_completion_rate") == (50, 1, 2)
    assert rate_and_parts(service, "time_to_value_days") == (4.5, 4.5, 1)
    service.send(event_of("onboarding.completed", "2026-04-11"))
    # The account's first onboarding runs until its completion; the start in between does not begin another.
    assert rate_and_parts(service, "onboarding_completion_rate") == (100, 2, 2)
    assert rate_and_parts(service, "time_to_value_days") == (22.25, 44.5, 2)
    assert rate_and_parts(service, "onboarding_completion_rate", period="2026-04") == (100, 1, 1)
    assert service.row("time_to_value_days", period="2026-02")["reason"] == "no_onboardings_completed"
    assert service.row("onboarding_completion_rate", period="2026-02")["reason"] == "no_onboardings"


def test_beginnings_and_ends_of_two_clocks_belong_together_in_any_order_of_arrival(service: Service) -> None:
    events = [
        event_of("goal.entered", "2026-03-24T10:00:00Z", goal="upgrade"),
        event_of("goal.completed", "2026-03-24T09:59:58Z", goal="upgrade"),
        event_of("onboarding.started", "2026-03-24T10:00:00Z"),
        event_of("onboarding.completed", "2026-03-24T09:59:58Z"),
        event_of("trial.started", "2026-03-24T10:00:00Z", trial_id="t"),
        event_of("trial.converted", "2026-03-24T09:59:58Z", trial_id="t"),
        event_of("renewal.due", "2026-03-24T10:00:00Z", contract_id="c"),
        event_of("renewal.completed", "2026-03-24T09:59:58Z", contract_id="c"),
        event_of("purchase.completed", "2026-03-24T10:00:00Z", order_id="o", amount="10"),
        event_of("purchase.refunded", "2026-03-24T09:59:58Z", order_id="o", amount="10"),
    ]
    service.on("2026-04-20")
    for number, order in enumerate((events, events[::-1])):
        for one_event in order:
            service.send(one_event, account_id=f"account-{number}")
        rates = ("conversion_rate", "onboarding_completion_rate", "trial_conversion_rate", "renewal_rate")
        for metric in rates:
            assert rate_and_parts(service, metric, account=f"account-{number}") == (100, 1, 1), metric
        assert service.value("time_to_value_days", account=f"account-{number}") == 0
        assert service.value("revenue", account=f"account-{number}") == 0
    service.retract("account-0", events[0]["id"])
    assert rate_and_parts(service, "conversion_rate", account="account-0") == (100, 1, 1)
    assert service.differences() == []


JOURNEY = [
    event_of("onboarding.started", "2026-03-02"),
    event_of("onboarding.step_completed", "2026-03-03", step="invite"),
    event_of("onboarding.completed", "2026-03-04"),
    event_of("onboarding.started", "2026-03-06"),
    event_of("onboarding.completed", "2026-03-12"),
]


def test_onboardings_in_any_order_of_arrival_post_the_same_and_retracted_events_do_not_count(service: Service) -> None:
    for number, order in enumerate(permutations(JOURNEY)):
        account = f"account-{number}"
        for part in (order[:2], order[2:], order[:1]):
            service.send(*part, account_id=account)
        assert rate_and_parts(service, "onboarding_completion_rate", account=account) == (100, 2, 2)
        assert rate_and_parts(service, "time_to_value_days", account=account) == (4, 8, 2)
    service.on("2026-03-20").retract("account-7", JOURNEY[2]["id"])
    assert rate_and_parts(service, "time_to_value_days", account="account-7") == (10, 10, 1)
    assert rate_and_parts(service, "time_to_value_days", account="account-7", as_of="2026-03-19") == (4, 8, 2)
    service.retract("account-7", JOURNEY[0]["id"])
    assert rate_and_parts(service, "time_to_value_days", account="account-7") == (9, 9, 1)
    assert service.differences() == []
