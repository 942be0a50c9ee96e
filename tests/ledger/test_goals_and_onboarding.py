"""The streams of goals and onboardings, pure functions, and what their metrics make of them."""

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


def entered(at: str, **data: Any) -> StreamEvent:
    return stream_event("goal.entered", at, goal="upgrade", **data)


def reached(at: str, **data: Any) -> StreamEvent:
    return stream_event("goal.completed", at, goal="upgrade", **data)


def started(at: str, **data: Any) -> StreamEvent:
    return stream_event("onboarding.started", at, **data)


def step(at: str, name: str = "invite", **data: Any) -> StreamEvent:
    return stream_event("onboarding.step_completed", at, step=name, **data)


def completed(at: str, **data: Any) -> StreamEvent:
    return stream_event("onboarding.completed", at, **data)


def days(measure: str, *happenings: StreamEvent, **options: Any) -> dict[str, int]:
    """What a measure comes to on each day."""
    kind = goal if happenings[0].type.startswith("goal.") else onboarding
    found = postings(*happenings, by=kind, **options)
    return {day: value for (day, name, _), value in found.items() if name == measure}


@pytest.mark.parametrize(
    ("story", "begun", "done"),
    [
        ([entered("2026-03-02")], ["02"], []),
        ([entered("2026-03-02"), entered("2026-03-03")], ["02"], []),
        ([entered("2026-03-02"), reached("2026-03-05")], ["02"], ["02"]),
        ([entered("2026-03-02"), entered("2026-03-03"), reached("2026-03-05")], ["02"], ["02"]),
        ([entered("2026-03-02"), reached("2026-03-05"), reached("2026-03-06")], ["02"], ["02"]),
        ([entered("2026-03-02"), reached("2026-03-05"), entered("2026-03-07")], ["02", "07"], ["02"]),
        (
            [entered("2026-03-02"), reached("2026-03-05"), entered("2026-03-07"), reached("2026-03-09")],
            ["02", "07"],
            ["02", "07"],
        ),
        ([reached("2026-03-05")], ["05"], ["05"]),
        ([reached("2026-03-05"), reached("2026-03-06")], ["05"], ["05"]),
        ([reached("2026-03-05"), entered("2026-03-07")], ["05", "07"], ["05"]),
        # At one instant an entry comes before a completion.
        ([reached("2026-03-05", id="a"), entered("2026-03-05", id="b")], ["05"], ["05"]),
    ],
    ids=lambda given: " ".join(h.type[5:] for h in given if isinstance(h, StreamEvent)),
)
def test_goals_and_onboardings_are_begun_completed_and_begun_again(
    story: list[StreamEvent], begun: list[str], done: list[str]
) -> None:
    names = {"goal.entered": "onboarding.started", "goal.completed": "onboarding.completed"}
    alike = [stream_event(names[h.type], h.at.isoformat()[:-6], id=h.id) for h in story]
    for kind, some in (
        (("goals_entered", "goals_completed"), story),
        (("onboardings_started", "onboardings_completed"), alike),
    ):
        expected = [{f"2026-03-{day}": 1 for day in some_days} for some_days in (begun, done)]
        assert [days(measure, *some) for measure in kind] == expected


def test_a_goal_is_the_subject_of_its_entries() -> None:
    assert postings(entered("2026-03-02"), reached("2026-04-05"), by=goal) == {
        ("2026-03-02", "goals_entered", "upgrade"): 1,
        ("2026-03-02", "goals_completed", "upgrade"): 1,
    }


def test_no_events_post_nothing() -> None:
    assert postings(by=goal) == postings(by=onboarding) == {}


def test_an_onboarding_has_its_steps_and_seconds_on_the_day_of_its_start() -> None:
    story = [
        started("2026-03-02"),
        step("2026-03-03", "invite"),
        step("2026-03-04", "import"),
        step("2026-03-05", "invite"),
        completed("2026-03-06T12:00:30"),
    ]
    assert postings(*story, by=onboarding) == {
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


def test_the_first_completion_says_how_long_it_took() -> None:
    story = [started("2026-03-02"), completed("2026-03-04"), completed("2026-03-09")]
    assert days("onboarding_seconds", *story) == {"2026-03-02": 2 * 86_400}
    assert days("onboarding_seconds", started("2026-03-02")) == {}
    assert days("onboarding_seconds", completed("2026-03-02")) == {}, "it took no time"


def test_a_step_belongs_to_the_onboarding_in_which_it_was_done_and_begins_one_if_there_was_none() -> None:
    first, later = [started("2026-03-02"), completed("2026-03-04")], step("2026-03-05")
    assert days("onboardings_reaching", *first, later) == {"2026-03-02": 1}
    again = started("2026-03-06")
    assert days("onboardings_reaching", *first, later, again) == {"2026-03-02": 1}
    assert days("onboardings_reaching", *first, again, step("2026-03-07")) == {"2026-03-06": 1}
    assert days("onboardings_reaching", *first, later, again, step("2026-03-07")) == {"2026-03-02": 1, "2026-03-06": 1}
    assert days("onboardings_started", later) == {"2026-03-05": 1}
    assert days("onboardings_started", later, started("2026-03-06")) == {"2026-03-05": 1}
    # At one instant: the start, its steps, the completion.
    at = "2026-03-04T08:00:00"
    assert days("onboardings_started", completed(at, id="a"), step(at, id="b"), started(at, id="c")) == {
        "2026-03-04": 1
    }


def test_the_time_zone_decides_the_day_and_not_the_seconds() -> None:
    story = [started("2026-03-02T23:30:00.900000"), completed("2026-03-04T00:30:00")]
    tokyo = Calendar(ZoneInfo("Asia/Tokyo"))
    assert days("onboarding_seconds", *story) == {"2026-03-02": 25 * 3_600 - 1}
    assert days("onboarding_seconds", *story, calendar=tokyo) == {"2026-03-03": 25 * 3_600 - 1}
    assert days("goals_entered", entered("2026-03-02T23:30:00"), calendar=tokyo) == {"2026-03-03": 1}


# ---- over HTTP ----


def told(type: str, at: str, user: str | None = None, **data: Any) -> dict[str, Any]:
    return event(type, at=at, user=user, id=f"{type} {at} {user} {data}", **data)


def share(service: Service, metric: str, **question: Any) -> tuple[Any, Any, Any]:
    row = service.row(metric, **question)
    return row["value"], row["numerator"], row["denominator"]


def test_of_those_who_entered_in_a_month_some_converted_whenever_that_was(service: Service) -> None:
    service.on("2026-04-20").send(
        *(told("goal.entered", "2026-03-10", goal="upgrade", who=f"lead {number}") for number in range(4)),
        told("goal.completed", "2026-04-15", goal="upgrade", who="lead 1"),
        told("goal.entered", "2026-04-01", goal="invite"),
        told("goal.completed", "2026-04-01", goal="invite"),
    )
    assert share(service, "conversion_rate") == (25, 1, 4)
    assert service.row("conversion_rate")["interval"] is not None
    assert share(service, "conversion_rate", period="2026-04") == (100, 1, 1)
    rows = service.rows("conversion_rate", period="2026-Q1", granularity="quarter", group_by="subject")
    assert [(row["group"], row["value"]) for row in rows] == [({"subject": "upgrade"}, 25)]
    (whole,) = service.rows("conversion_rate", start="2026-03-01", end="2026-05-01", granularity="total")
    assert (whole["value"], whole["denominator"]) == (40, 5)
    assert service.row("conversion_rate", period="2026-02")["reason"] == "nobody_entered"


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ({"user": "ada"}, {"user": "ada"}, True),
        ({"user": "ada"}, {"who": "ada"}, True),
        ({"user": "ada", "who": "lead 7"}, {"user": "eve", "who": "lead 7"}, True),
        ({}, {}, True),
        ({}, {"user": "ada"}, False),
        # The account is nobody of its name.
        ({}, {"who": "acme"}, False),
        ({}, {"who": "null"}, False),
        ({"user": "acme"}, {}, False),
        ({"who": 'ada", "x'}, {"who": "ada"}, False),
    ],
)
def test_who_pursues_a_goal(service: Service, one: Any, other: Any, are_one: bool) -> None:
    service.send(told("goal.entered", "2026-03-10", goal="upgrade", **one))
    service.send(told("goal.completed", "2026-03-12", goal="upgrade", **other))
    # If they are two, the other one entered by completing.
    assert share(service, "conversion_rate") == ((100, 1, 1) if are_one else (50, 1, 2))
    assert service.differences() == []


def test_names_with_spaces_are_not_taken_for_others(service: Service) -> None:
    goals = [("a b", "c"), ("a", "b c"), ("a", "b"), ("a b c", None)]
    for name, who in goals:
        service.send(told("goal.entered", "2026-03-10", goal=name, **({"who": who} if who else {})))
    service.send(told("goal.completed", "2026-03-12", goal="a", who="b c"))
    assert share(service, "conversion_rate") == (25, 1, 4)
    service.send(
        *(told("onboarding.started", "2026-03-10", user) for user in (None, "ada", "ada b")),
        told("onboarding.completed", "2026-03-12", "ada b"),
    )
    assert share(service, "onboarding_completion_rate") == (pytest.approx(100 / 3, abs=1e-6), 1, 3)
    assert service.differences() == []


def test_the_longest_names_are_kept(service: Service) -> None:
    # As many signs as a name may have: of four bytes, in no order that could be told shorter; and what JSON writes as two.
    random = Random(1)
    long, other = ("".join(map(chr, random.sample(range(0x20000, 0x2A000), 128))) for _ in range(2))
    for name, who in ((long, other), ('"\\' * 64, "\\" * 128)):
        sent = [
            event("goal.entered", goal=name, who=who),
            event("ticket.opened", ticket_id=name),
            event("onboarding.started", user=name),
        ]
        assert service.send(*sent)["accepted"] == 3
    assert share(service, "conversion_rate") == (0, 0, 2)
    assert service.differences() == []


def test_onboarding_is_of_the_account_or_of_a_user_of_it(service: Service) -> None:
    service.on("2026-04-20").send(
        told("onboarding.started", "2026-03-02"),
        told("onboarding.started", "2026-03-03", "ada"),
        told("onboarding.completed", "2026-03-08T00:00:00Z", "ada"),
        told("onboarding.started", "2026-04-01"),
        told("onboarding.completed", "2026-04-05", "bob"),
    )
    assert share(service, "onboarding_completion_rate") == (50, 1, 2)
    assert share(service, "time_to_value_days") == (4.5, 4.5, 1)
    service.send(told("onboarding.completed", "2026-04-11"))
    # The account's first one goes on until its completion; the start in between was none.
    assert share(service, "onboarding_completion_rate") == (100, 2, 2)
    assert share(service, "time_to_value_days") == (22.25, 44.5, 2)
    assert share(service, "onboarding_completion_rate", period="2026-04") == (100, 1, 1)
    assert service.row("time_to_value_days", period="2026-02")["reason"] == "no_onboardings_completed"
    assert service.row("onboarding_completion_rate", period="2026-02")["reason"] == "no_onboardings"


JOURNEY = [
    told("onboarding.started", "2026-03-02"),
    told("onboarding.step_completed", "2026-03-03", step="invite"),
    told("onboarding.completed", "2026-03-04"),
    told("onboarding.started", "2026-03-06"),
    told("onboarding.completed", "2026-03-12"),
]


def test_they_arrive_in_any_order_and_what_is_taken_back_never_was(service: Service) -> None:
    for number, order in enumerate(permutations(JOURNEY)):
        account = f"account-{number}"
        for part in (order[:2], order[2:], order[:1]):
            service.send(*part, account_id=account)
        assert share(service, "onboarding_completion_rate", account=account) == (100, 2, 2)
        assert share(service, "time_to_value_days", account=account) == (4, 8, 2)
    service.on("2026-03-20").retract("account-7", JOURNEY[2]["id"])
    assert share(service, "time_to_value_days", account="account-7") == (10, 10, 1)
    assert share(service, "time_to_value_days", account="account-7", as_of="2026-03-19") == (4, 8, 2)
    service.retract("account-7", JOURNEY[0]["id"])
    assert share(service, "time_to_value_days", account="account-7") == (9, 9, 1)
    assert service.differences() == []
