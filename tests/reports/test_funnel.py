"""The funnel of the onboarding: reach and drop-off, step by step."""

from collections import defaultdict
from datetime import date, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.calendar import DAY
from tests.model.events import History
from tests.model.generators import random_event
from tests.model.lifecycles import split_streams, verb
from tests.model.pair import Pair
from tests.support.service import Service, event, moved

calm = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))


def onboarding(verb: str, at: str, account: str = "acme", **data: Any) -> dict[str, Any]:
    return event(f"onboarding.{verb}", account, at=at, **data)


def step(name: str, at: str, account: str = "acme", **data: Any) -> dict[str, Any]:
    return onboarding("step_completed", at, account, step=name, **data)


def stages(service: Service, **asked: Any) -> list[tuple[Any, ...]]:
    rows = service.get("/v1/onboarding/funnel", **({"period": "2026-03"} | asked))["rows"]
    names = ("step", "reached", "percent", "drop_off", "drop_off_percent", "average_days")
    return [tuple(row[name] for name in names) for row in rows]


@pytest.fixture
def told(service: Service) -> Service:
    """Of four that start, three invite, two import, one is done."""
    service.send(
        *(onboarding("started", "2026-03-01", account) for account in ("one", "two", "three", "four")),
        step("invite", "2026-03-02", "one"),
        step("invite", "2026-03-03", "two"),
        step("invite", "2026-03-12", "three"),
        step("import", "2026-03-04", "one"),
        step("import", "2026-03-05", "two"),
        onboarding("completed", "2026-03-06", "one"),
        moved("one", plan="pro"),
    )
    return service


def test_each_stage_says_how_many_reached_it_and_how_many_were_lost_before_the_next(told: Service) -> None:
    assert stages(told) == [
        (None, 4, 100.0, 1, 25.0, 0.0),
        ("invite", 3, 75.0, 1, 33.333333, 4.666667),
        ("import", 2, 50.0, 1, 50.0, 3.5),
        (None, 1, 25.0, None, None, 5.0),
    ]
    rows = told.get("/v1/onboarding/funnel", period="2026-03")["rows"]
    assert [(row["number"], row["stage"]) for row in rows] == [
        (0, "started"),
        (1, "step"),
        (2, "step"),
        (3, "completed"),
    ]


def test_a_step_that_only_the_quick_reach_still_comes_after_those_before_it(service: Service) -> None:
    service.send(
        onboarding("started", "2026-03-01", "quick"),
        step("invite", "2026-03-01T13:00:00Z", "quick"),
        step("import", "2026-03-01T14:00:00Z", "quick"),
        *(onboarding("started", "2026-03-01", account) for account in ("slow", "slower")),
        *(step("invite", "2026-03-14", account) for account in ("slow", "slower")),
    )
    assert [name for name, *_ in stages(service)] == [None, "invite", "import", None]


def test_of_steps_at_the_same_place_the_one_that_more_reach_comes_first(service: Service) -> None:
    service.send(*(step("b", "2026-03-02", account) for account in ("one", "two")), step("a", "2026-03-02", "three"))
    assert [(name, reached) for name, reached, *_ in stages(service)] == [(None, 3), ("b", 2), ("a", 1), (None, 0)]


def test_a_later_step_may_be_reached_by_more(service: Service) -> None:
    service.send(
        step("optional", "2026-03-02", "one"),
        step("import", "2026-03-03", "one"),
        *(step("import", "2026-03-03", account) for account in ("two", "three")),
        *(step("import", "2026-03-04", account) for account in ("four",)),
        step("optional", "2026-03-02", "five"),
    )
    found = {name: (reached, lost) for name, reached, _, lost, *_ in stages(service)}
    assert found["optional"] == (2, -2)


def test_onboardings_are_told_of_the_period_of_their_start_and_of_their_group(told: Service) -> None:
    assert [(name, reached) for name, reached, *_ in stages(told, period="2026-02")] == [(None, 0), (None, 0)]
    assert [reached for _, reached, *_ in stages(told, filter='plan = "pro"')] == [1, 1, 1, 1]
    rows = told.get("/v1/onboarding/funnel", period="2026-03", group_by="plan")["rows"]
    assert [(row["group"]["plan"], row["reached"]) for row in rows if row["stage"] != "step"] == [
        (None, 3),
        (None, 0),
        ("pro", 1),
        ("pro", 1),
    ]


def test_what_came_late_was_not_in_the_funnel_of_then(service: Service) -> None:
    service.on("2026-03-10").send(onboarding("started", "2026-03-01"))
    service.on("2026-03-15").send(step("invite", "2026-03-02"))
    assert [reached for _, reached, *_ in stages(service, as_of="2026-03-10")] == [1, 0]
    assert [reached for _, reached, *_ in stages(service)] == [1, 1, 0]


def test_the_funnel_as_a_table(told: Service) -> None:
    asked = {"period": "2026-03", "format": "csv", "filter": 'plan = "pro"'}
    answer = told.request("GET", "/v1/onboarding/funnel", params=asked)
    assert answer.text.splitlines()[:2] == [
        "period,start,end,complete,number,stage,step,reached,percent,drop_off,drop_off_percent,average_days",
        "total,2026-03-01,2026-04-01,false,0,started,,1,100.0,0,0.0,0.0",
    ]
    held = {"If-None-Match": answer.headers["etag"]}
    assert told.request("GET", "/v1/onboarding/funnel", params=asked, headers=held).status_code == 304


def test_the_funnel_comes_in_pages(told: Service) -> None:
    first = told.get("/v1/onboarding/funnel", period="2026-03", limit=3)
    second = told.get("/v1/onboarding/funnel", period="2026-03", limit=3, cursor=first["next"])
    assert [row["stage"] for row in first["rows"] + second["rows"]] == ["started", "step", "step", "completed"]


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"group_by": "subject"}, "/query/group_by"),
        ({"subject": "invite"}, "/query/subject"),
        ({"granularity": "hour"}, "/query/granularity"),
        ({"period": "soon"}, "/query/period"),
        ({"filter": "plan ="}, "/query/filter"),
    ],
)
def test_what_cannot_be_asked_of_the_funnel_is_refused(service: Service, parameters: Any, pointer: str) -> None:
    answer = service.request("GET", "/v1/onboarding/funnel", params=parameters)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def attempts(history: History) -> list[list[Any]]:
    """The events of each onboarding: after a completion a start begins another."""
    found: list[list[Any]] = []
    for story in split_streams(history.events, "onboarding", lambda kept: kept.user):
        done = True
        for number, kept in enumerate(story):
            if number == 0 or (done and verb(kept) == "started"):
                found.append([])
                done = False
            found[-1].append(kept)
            done = done or verb(kept) == "completed"
    return found


def expected(pair: Pair, start: date, end: date, known: date) -> tuple[int, int, dict[str, tuple[int, float]]]:
    """How many were started and completed, and of each step how many reached it and after how many seconds in all."""
    started = completed = 0
    reached: dict[str, list[float]] = defaultdict(list)
    for history in pair.model._histories(known):
        for attempt in attempts(history):
            began: datetime = attempt[0].at
            if start <= attempt[0].day < min(end, known + DAY):
                started += 1
                completed += any(verb(kept) == "completed" for kept in attempt)
                first: dict[str, datetime] = {}
                for kept in attempt:
                    if verb(kept) == "step_completed":
                        first.setdefault(kept.data["step"], kept.at)
                for name, at in first.items():
                    reached[name].append((at - began).total_seconds() // 1)
    return started, completed, {name: (len(times), sum(times)) for name, times in reached.items()}


def test_any_funnel_is_what_plain_python_makes_of_the_same_history(service: Service) -> None:
    @calm
    @given(st.builds(Random, st.integers(0, 2**32)))
    def every(random: Random) -> None:
        pair = Pair(service)
        for _ in range(3):
            pair.on(pair.today + DAY * random.randrange(9), hours=9)
            pair.send(*(random_event(random, pair) for _ in range(30)))
            pair.retract(*random.choice(list(pair.model.events)))
        for _ in range(4):
            start, end = date(2026, 1, 10) + DAY * random.randrange(40), date(2026, 3, 12) + DAY * random.randrange(20)
            as_of = random.choice([None, pair.today - DAY * 5])
            asked = {"start": start, "end": end, "account": pair.accounts} | ({"as_of": as_of} if as_of else {})
            first, *steps, last = service.get("/v1/onboarding/funnel", **asked)["rows"]
            started, completed, reached = expected(pair, start, end, as_of or pair.today)
            assert (first["reached"], last["reached"]) == (started, completed)
            found = {row["step"]: (row["reached"], row["average_days"]) for row in steps}
            means = {
                name: (many, pytest.approx(total / many / 86_400, abs=1e-6)) for name, (many, total) in reached.items()
            }
            assert found == means

    every()
