"""How past numbers changed: day by day what `as_of` answers, and by which events."""

from datetime import date
from random import Random
from typing import Any

import pytest

from app.audit import causes, changes
from tests.model.calendar import DAY
from tests.model.formulas import METRICS
from tests.model.generators import random_step
from tests.model.pair import Pair
from tests.support.hostile import refused
from tests.support.service import Service, answers, event, moved, session

EVERYTHING = ",".join(METRICS)


def ask(service: Service, metric: str, **asked: Any) -> list[dict[str, Any]]:
    whole = asked if "start" in asked else {"period": "2026-02"} | asked
    rows: list[dict[str, Any]] = service.get(f"/v1/metrics/{metric}/restatements", **whole)["rows"]
    return rows


def short(rows: list[dict[str, Any]]) -> list[Any]:
    return [
        (row["recorded_on"], row["from"], row["to"], [tuple(event.values()) for event in row["events"]]) for row in rows
    ]


@pytest.fixture(scope="module")
def told(shared: Service) -> Pair:
    """A history of three weeks in which much comes late and some is taken back."""
    random = Random(5)
    pair = Pair(shared).on(date(2026, 2, 22))
    for _ in range(26):
        pair.on(pair.today + DAY * random.randrange(2), hours=12)
        random_step(random, pair)
    return pair


WAYS: list[dict[str, Any]] = [
    {"granularity": "week"},
    {"granularity": "month", "group_by": ["plan"]},
    {"granularity": "month", "group_by": ["account"]},
    {"granularity": "total", "group_by": ["plan", "vip"], "segments_as_of": "now"},
    {"granularity": "total", "group_by": ["subject"]},
]


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_restatements_are_what_as_of_answers_day_by_day(told: Pair, way: dict[str, Any]) -> None:
    names = sorted(
        name for name, metric in METRICS.items() if set(way.get("group_by", ())) & {"subject"} <= set(metric.sides)
    )
    asked = {"start": date(2026, 2, 9), "end": date(2026, 2, 27)} | way
    nobody = told.service.get("/v1/query", metrics=EVERYTHING, account="nobody", period="2026-02")
    none = {row["metric"]: row["value"] for row in nobody["rows"]}
    values: dict[Any, list[Any]] = {}
    days = [date(2026, 2, 10) + DAY * n for n in range((told.today - date(2026, 2, 10)).days + 1)]
    for number, day in enumerate(days):
        for row in told.ask(",".join(names), **asked, as_of=day):
            if row["complete"] or row["end"] == str(day + DAY):
                place = row["metric"], row["start"], row["end"], repr(row["group"])
                values.setdefault(place, [none[row["metric"]]] * len(days))[number] = row["value"]
    expected: dict[str, list[Any]] = {name: [] for name in names}
    for (name, start, end, group), known in values.items():
        for number in range(1, len(days)):
            if str(days[number]) >= end and known[number] != known[number - 1]:
                expected[name].append((start, group, str(days[number]), known[number - 1], known[number]))
    spelled = {name: value for name, value in asked.items() if name != "group_by"}
    assert sum(map(len, expected.values())) > 5
    for name in names:
        rows = ask(told.service, name, **spelled, group_by=",".join(way.get("group_by", [])), account=told.accounts)
        found = [(row["start"], repr(row["group"]), row["recorded_on"], row["from"], row["to"]) for row in rows]
        assert sorted(found, key=repr) == sorted(expected[name], key=repr), name
        # Something has done it: what came, what was taken back; or time alone, by today's attributes.
        assert all(row["events"] for row in rows) or way.get("segments_as_of") == "now", name


def test_late_answers_and_retractions_are_told_with_their_days_and_numbers(service: Service) -> None:
    service.on("2026-02-20").send(*answers("csat", [2], at="2026-02-19", id="first"))
    service.on("2026-03-04").send(
        *answers("csat", [5], at="2026-02-28"), event("survey.sent", survey="csat", at="2026-02-01")
    )
    service.on("2026-03-07").send(*answers("csat", [1], at="2026-03-06"))
    service.on("2026-03-09").retract("acme", "first")
    rows = ask(service, "csat")
    assert short(rows) == [
        ("2026-03-04", 0, 50, [("survey.responded", 1, 0)]),
        ("2026-03-09", 50, 100, [("survey.responded", 0, 1)]),
    ]
    assert rows[0]["change"] == 50
    assert [rows[0][name] for name in ("from_numerator", "from_denominator", "to_numerator", "to_denominator")] == [
        0,
        1,
        1,
        2,
    ]


def test_a_cancellation_told_late_restates_churn_and_says_by_what(service: Service) -> None:
    service.on("2026-01-10").send(event("subscription.changed", at="2026-01-10", subscription_id="one", mrr="10"))
    service.send(event("subscription.changed", "globex", at="2026-01-10", subscription_id="one", mrr="30"))
    canceled = event("subscription.canceled", at="2026-02-20", subscription_id="one")
    service.on("2026-03-05").send(canceled, session(at="2026-02-20"))
    assert short(ask(service, "customer_churn_rate")) == [("2026-03-05", 0, 50, [("subscription.canceled", 1, 0)])]
    (row,) = ask(service, "nrr")
    assert (row["from"], row["to"], row["change"]) == (100, 75, -25)


def test_an_attribute_told_late_moves_numbers_between_groups(service: Service) -> None:
    service.on("2026-02-20").send(moved(plan="free"), session(at="2026-02-19"))
    service.on("2026-03-05").send(moved(plan="pro", at="2026-01-15"))
    rows = ask(service, "sessions", group_by="plan")
    assert [(row["group"]["plan"], row["from"], row["to"], row["events"][0]["type"]) for row in rows] == [
        ("free", 1, 0, "account.updated"),
        ("pro", 0, 1, "account.updated"),
    ]


def test_what_leaves_the_value_as_it_is_restates_nothing(service: Service) -> None:
    service.on("2026-02-20").send(*answers("csat", [5], at="2026-02-19"))
    service.on("2026-03-05").send(*answers("csat", [5], at="2026-02-19"), session(at="2026-02-20") | {"id": "gone"})
    service.retract("acme", "gone")
    assert ask(service, "csat") == ask(service, "sessions") == []


def test_a_period_that_runs_is_not_restated(service: Service) -> None:
    service.on("2026-03-05").send(session(at="2026-03-04"))
    service.on("2026-03-31").send(session(at="2026-03-04"))
    assert ask(service, "sessions", period="2026-03") == []
    service.on("2026-04-01").send(session(at="2026-03-04"))
    assert short(ask(service, "sessions", period="2026-03")) == [("2026-04-01", 2, 3, [("session.ended", 1, 0)])]
    assert ask(service, "sessions", period="2026-03", as_of="2026-03-31") == []


def test_pages_make_the_whole_list_and_a_table_is_flat(service: Service) -> None:
    for day in range(2, 9):
        service.on(f"2026-03-0{day}").send(session(at="2026-02-04"))
    path = "/v1/metrics/sessions/restatements"
    first = service.get(path, period="2026-02", limit=4)
    rest = service.get(path, period="2026-02", limit=4, cursor=first["next"])
    assert first["rows"] + rest["rows"] == ask(service, "sessions") and rest["next"] is None
    lines = service.request("GET", f"{path}?period=2026-02&format=csv&limit=1").text.splitlines()
    assert lines[1].startswith("sessions,2026-02,2026-02-01,2026-03-01,true,2026-03-02,0,1,1,")


def test_a_question_it_cannot_answer_is_refused(service: Service) -> None:
    path = "/v1/metrics/sessions/restatements"
    for asked in ({"group_by": "subject"}, {"period": "soon"}, {"cursor": "none", "period": "2026-01"}, {"day": "1"}):
        answer = service.request("GET", path, params=asked)
        assert refused(answer, 422) or asked.get("cursor")
    assert refused(service.request("GET", "/v1/metrics/cheer/restatements"), 404, "unknown_metric")


def test_an_answer_that_is_known_is_not_sent_again(service: Service) -> None:
    path = "/v1/metrics/sessions/restatements"
    tag = service.request("GET", path).headers["etag"]
    assert service.request("GET", path, headers={"If-None-Match": tag}).status_code == 304


def test_what_became_known_on_its_own_day_is_not_looked_at(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Any] = []
    known = changes._sums_as_of

    def noted(*asked: Any) -> Any:
        looked_at.append(asked[1])
        return known(*asked)

    monkeypatch.setattr(changes, "_sums_as_of", noted)
    for day in range(1, 28, 3):
        service.on(f"2026-02-{day:02}").send(
            session(at=f"2026-02-{day:02}", user=f"user-{day}"), moved(at=f"2026-02-{day:02}", plan=f"plan {day}")
        )
    service.on("2026-03-20")
    asked = {"start": "2026-02-01", "end": "2026-02-20", "granularity": "day"}
    for metric in ("sessions", "active_users", "registered_users"):
        assert service.get(f"/v1/metrics/{metric}/restatements", **asked)["rows"] == []
        assert service.get(f"/v1/metrics/{metric}/restatements", **asked | {"granularity": "total"})["rows"] == []
    assert looked_at == []
    service.send(session(at="2026-02-02", user="late"))
    assert len(service.get("/v1/metrics/active_users/restatements", **asked)["rows"]) == 1
    assert {str(day) for day in looked_at} == {"2026-03-20", "2026-03-19"}


def test_of_very_many_events_it_is_not_told_which_did_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.on("2026-03-20").send(session(at="2026-02-02", id="one"), session(at="2026-02-03", id="two"))
    asked = {"period": "2026-02"}
    assert service.get("/v1/metrics/sessions/restatements", **asked)["rows"][0]["events"][0]["arrived"] == 2
    monkeypatch.setattr(causes, "_MAX_EVENTS", 1)
    (row,) = service.get("/v1/metrics/sessions/restatements", **asked)["rows"]
    assert (row["from"], row["to"], row["events"]) == (0, 2, None)
