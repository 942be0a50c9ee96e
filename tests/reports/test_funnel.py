"""The onboarding funnel: how many reach each step and how many are lost before the next."""

from collections import defaultdict
from datetime import date, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.model.calendar import DAY
from tests.model.events import History
from tests.model.generators import random_event
from tests.model.lifecycles import correct_clocks, split_streams, verb
from tests.model.pair import Pair
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event

FEW_EXAMPLES = settings(deadline=None, max_examples=examples(8), suppress_health_check=list(HealthCheck))


def onboarding(verb: str, at: str, account: str = "acme", **data: Any) -> dict[str, Any]:
    return event(f"onboarding.{verb}", account, at=at, **data)


def step(name: str, at: str, account: str = "acme", **data: Any) -> dict[str, Any]:
    return onboarding("step_completed", at, account, step=name, **data)


def stages(service: Service, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the main columns of the rows of March."""
    rows = service.get("/v1/onboarding/funnel", **({"period": "2026-03"} | parameters))["rows"]
    names = ("step", "reached", "percent", "drop_off", "drop_off_percent", "average_days")
    return [tuple(row[name] for name in names) for row in rows]


@pytest.fixture
def with_onboardings(service: Service) -> Service:
    """Return a service with four onboardings: three invited people, two imported data, one was completed."""
    service.send(
        *(onboarding("started", "2026-03-01", account) for account in ("one", "two", "three", "four")),
        step("invite", "2026-03-02", "one"),
        step("invite", "2026-03-03", "two"),
        step("invite", "2026-03-12", "three"),
        step("import", "2026-03-04", "one"),
        step("import", "2026-03-05", "two"),
        onboarding("completed", "2026-03-06", "one"),
        account_update("one", plan="pro"),
    )
    return service


def test_each_stage_counts_who_reached_it_and_who_was_lost_before_the_next(with_onboardings: Service) -> None:
    assert stages(with_onboardings) == [
        (None, 4, 100.0, 1, 25.0, 0.0),
        ("invite", 3, 75.0, 1, 33.333333, 4.666667),
        ("import", 2, 50.0, 1, 50.0, 3.5),
        (None, 1, 25.0, None, None, 5.0),
    ]
    rows = with_onboardings.get("/v1/onboarding/funnel", period="2026-03")["rows"]
    assert [(row["number"], row["stage"]) for row in rows] == [
        (0, "started"),
        (1, "step"),
        (2, "step"),
        (3, "completed"),
    ]


def test_a_step_that_only_quick_accounts_reach_comes_after_its_earlier_steps(service: Service) -> None:
    service.send(
        onboarding("started", "2026-03-01", "quick"),
        step("invite", "2026-03-01T13:00:00Z", "quick"),
        step("import", "2026-03-01T14:00:00Z", "quick"),
        *(onboarding("started", "2026-03-01", account) for account in ("slow", "slower")),
        *(step("invite", "2026-03-14", account) for account in ("slow", "slower")),
    )
    assert [name for name, *_ in stages(service)] == [None, "invite", "import", None]


def test_of_steps_at_the_same_position_the_more_frequent_comes_first(service: Service) -> None:
    service.send(*(step("b", "2026-03-02", account) for account in ("one", "two")), step("a", "2026-03-02", "three"))
    assert [(name, reached) for name, reached, *_ in stages(service)] == [(None, 3), ("b", 2), ("a", 1), (None, 0)]


def test_more_onboardings_may_reach_a_later_step(service: Service) -> None:
    service.send(
        step("optional", "2026-03-02", "one"),
        step("import", "2026-03-03", "one"),
        *(step("import", "2026-03-03", account) for account in ("two", "three")),
        *(step("import", "2026-03-04", account) for account in ("four",)),
        step("optional", "2026-03-02", "five"),
    )
    counts = {name: (reached, lost) for name, reached, _, lost, *_ in stages(service)}
    assert counts["optional"] == (2, -2)


def test_onboardings_count_in_the_period_of_their_start_and_in_their_group(with_onboardings: Service) -> None:
    assert [(name, reached) for name, reached, *_ in stages(with_onboardings, period="2026-02")] == [
        (None, 0),
        (None, 0),
    ]
    assert [reached for _, reached, *_ in stages(with_onboardings, filter='plan = "pro"')] == [1, 1, 1, 1]
    rows = with_onboardings.get("/v1/onboarding/funnel", period="2026-03", group_by="plan")["rows"]
    assert [(row["group"]["plan"], row["reached"]) for row in rows if row["stage"] != "step"] == [
        (None, 3),
        (None, 0),
        ("pro", 1),
        ("pro", 1),
    ]


def test_events_recorded_later_are_not_in_the_funnel_as_of_an_earlier_day(service: Service) -> None:
    service.on("2026-03-10").send(onboarding("started", "2026-03-01"))
    service.on("2026-03-15").send(step("invite", "2026-03-02"))
    assert [reached for _, reached, *_ in stages(service, as_of="2026-03-10")] == [1, 0]
    assert [reached for _, reached, *_ in stages(service)] == [1, 1, 0]


def test_the_funnel_as_csv_is_tagged(with_onboardings: Service) -> None:
    parameters = {"period": "2026-03", "format": "csv", "filter": 'plan = "pro"'}
    answer = with_onboardings.request("GET", "/v1/onboarding/funnel", params=parameters)
    assert answer.text.splitlines()[:2] == [
        "period,start,end,complete,number,stage,step,reached,percent,drop_off,drop_off_percent,average_days",
        "total,2026-03-01,2026-04-01,false,0,started,,1,100.0,0,0.0,0.0",
    ]
    headers = {"If-None-Match": answer.headers["etag"]}
    assert (
        with_onboardings.request("GET", "/v1/onboarding/funnel", params=parameters, headers=headers).status_code == 304
    )


def test_the_funnel_has_pages(with_onboardings: Service) -> None:
    first = with_onboardings.get("/v1/onboarding/funnel", period="2026-03", limit=3)
    second = with_onboardings.get("/v1/onboarding/funnel", period="2026-03", limit=3, cursor=first["next"])
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
def test_invalid_parameters_of_the_funnel_are_errors(service: Service, parameters: Any, pointer: str) -> None:
    answer = service.request("GET", "/v1/onboarding/funnel", params=parameters)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def attempts(history: History) -> list[list[Any]]:
    """Return the events of each onboarding: after a completion, another start begins another onboarding."""
    onboardings: list[list[Any]] = []
    for events in split_streams(history.events, "onboarding", lambda e: e.user):
        is_completed = True
        for number, e in enumerate(correct_clocks(events)):
            if number == 0 or (is_completed and verb(e) == "started"):
                onboardings.append([])
                is_completed = False
            onboardings[-1].append(e)
            is_completed = is_completed or verb(e) == "completed"
    return onboardings


def count_in_model(pair: Pair, start: date, end: date, as_of: date) -> tuple[int, int, dict[str, tuple[int, float]]]:
    """Return the onboardings started and completed, and by step how many reached it and their seconds, added up."""
    started = completed = 0
    seconds: dict[str, list[float]] = defaultdict(list)
    for history in pair.model.histories(as_of):
        for attempt in attempts(history):
            started_at: datetime = attempt[0].at
            if start <= attempt[0].day < min(end, as_of + DAY):
                started += 1
                completed += any(verb(e) == "completed" for e in attempt)
                first: dict[str, datetime] = {}
                for e in attempt:
                    if verb(e) == "step_completed":
                        first.setdefault(e.data["step"], e.at)
                for name, at in first.items():
                    seconds[name].append((at - started_at).total_seconds() // 1)
    return started, completed, {name: (len(times), sum(times)) for name, times in seconds.items()}


def test_any_funnel_agrees_with_the_model(service: Service) -> None:
    @FEW_EXAMPLES
    @example(Random(4207030))  # a completion less than an hour before its start
    @given(st.builds(Random, st.integers(0, 2**32)))
    def run(random: Random) -> None:
        pair = Pair(service)
        for _ in range(3):
            pair.on(pair.today + DAY * random.randrange(9), hours=9)
            pair.send(*(random_event(random, pair) for _ in range(30)))
            pair.retract(*random.choice(list(pair.model.events)))
        for _ in range(4):
            start, end = date(2026, 1, 10) + DAY * random.randrange(40), date(2026, 3, 12) + DAY * random.randrange(20)
            as_of = random.choice([None, pair.today - DAY * 5])
            parameters = {"start": start, "end": end, "account": pair.accounts, "strict": "false"}
            parameters |= {"as_of": as_of} if as_of else {}
            first, *steps, last = service.get("/v1/onboarding/funnel", **parameters)["rows"]
            if not pair.is_known_on(as_of):
                assert first["reached"] is last["reached"] is None
                continue
            started, completed, reached = count_in_model(pair, start, end, as_of or pair.today)
            assert (first["reached"], last["reached"]) == (started, completed)
            averages = {row["step"]: (row["reached"], row["average_days"]) for row in steps}
            expected_steps = {
                name: (count, pytest.approx(total / count / 86_400, abs=1e-6))
                for name, (count, total) in reached.items()
            }
            assert averages == expected_steps

    run()
