"""Restatements: how past numbers changed, day by day as `as_of` answers, and by which events."""

from datetime import date
from random import Random
from typing import Any

import pytest

from app.audit import causes, changes
from tests.model.calendar import DAY
from tests.model.formulas import METRICS
from tests.model.generators import random_step
from tests.model.pair import Pair
from tests.support.hostile import is_problem
from tests.support.service import Service, account_update, event, session, survey_responses

ALL_METRICS = ",".join(METRICS)
FEBRUARY = {"period": "2026-02"}


def get_restatements(service: Service, metric: str, **params: Any) -> list[dict[str, Any]]:
    params = params if "start" in params else {"period": "2026-02"} | params
    rows: list[dict[str, Any]] = service.get(f"/v1/metrics/{metric}/restatements", **params)["rows"]
    return rows


def summarize(rows: list[dict[str, Any]]) -> list[Any]:
    return [
        (row["recorded_on"], row["from"], row["to"], [tuple(event.values()) for event in row["events"]]) for row in rows
    ]


@pytest.fixture(scope="module")
def history(shared: Service) -> Pair:
    """A history of three weeks in which many events come late and some are retracted."""
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


NO_ROW = object()


@pytest.mark.parametrize("extra", WAYS, ids=repr)
def test_restatements_are_what_as_of_answers_day_by_day(history: Pair, extra: dict[str, Any]) -> None:
    names = sorted(
        name for name, metric in METRICS.items() if set(extra.get("group_by", ())) & {"subject"} <= set(metric.sides)
    )
    params = {"start": date(2026, 2, 9), "end": date(2026, 2, 27)} | extra
    nobody = {"account": "nobody", "strict": "false"}
    empty_answer = history.service.get("/v1/query", metrics=ALL_METRICS, period="2026-02", **nobody)
    empty_values = {row["metric"]: row["value"] for row in empty_answer["rows"]}
    values: dict[Any, list[Any]] = {}
    groups: dict[str, dict[str, Any]] = {}

    def value_without_row(name: str, start: str, end: str, group: str, day: date) -> Any:
        """Return the value of a group on a day on which the answer had no row for it, such as a feature nobody knew yet."""
        if not (subject := groups[group].get("subject")):
            return empty_values[name]
        question = {"start": start, "end": end, "granularity": "total", "account": history.accounts}
        [row] = history.service.rows(name, **question, subject=subject, as_of=str(day), strict="false")
        return row["value"] if row.get("reason") != "nothing_known_yet" else empty_values[name]

    days = [date(2026, 2, 10) + DAY * n for n in range((history.today - date(2026, 2, 10)).days + 1)]
    for number, day in enumerate(days):
        for row in history.ask(",".join(names), **params, as_of=day):
            if row["complete"] or row["end"] == str(day + DAY):
                key = row["metric"], row["start"], row["end"], repr(row["group"])
                is_known = row.get("reason") != "nothing_known_yet"
                value = row["value"] if is_known else empty_values[row["metric"]]
                values.setdefault(key, [NO_ROW] * len(days))[number] = value
                groups[repr(row["group"])] = row["group"]
    expected: dict[str, list[Any]] = {name: [] for name in names}
    for (name, start, end, group), by_day in values.items():
        by_day[:] = [
            value_without_row(name, start, end, group, day) if value is NO_ROW else value
            for day, value in zip(days, by_day, strict=True)
        ]
        for number in range(1, len(days)):
            if str(days[number]) >= end and by_day[number] != by_day[number - 1]:
                # What came on the first day of all restates nothing that was known.
                before = by_day[number - 1] if history.is_known_on(days[number - 1]) else None
                expected[name].append((start, group, str(days[number]), before, by_day[number]))
    plain_params = {name: value for name, value in params.items() if name != "group_by"}
    assert sum(map(len, expected.values())) > 5
    for name in names:
        rows = get_restatements(
            history.service,
            name,
            **plain_params,
            group_by=",".join(params.get("group_by", [])),
            account=history.accounts,
        )
        restated = [(row["start"], repr(row["group"]), row["recorded_on"], row["from"], row["to"]) for row in rows]
        assert sorted(restated, key=repr) == sorted(expected[name], key=repr), name
        # Every change has its events, except those by the passing of time, with today's attributes.
        assert all(row["events"] for row in rows) or params.get("segments_as_of") == "now", name


def test_late_responses_and_retractions_are_listed_with_days_and_numbers(service: Service) -> None:
    service.on("2026-02-20").send(*survey_responses("csat", [2], at="2026-02-19", id="first"))
    service.on("2026-03-04").send(
        *survey_responses("csat", [5], at="2026-02-28"), event("survey.sent", survey="csat", at="2026-02-01")
    )
    service.on("2026-03-07").send(*survey_responses("csat", [1], at="2026-03-06"))
    service.on("2026-03-09").retract("acme", "first")
    rows = get_restatements(service, "csat")
    assert summarize(rows) == [
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


def test_a_late_cancellation_restates_churn(service: Service) -> None:
    service.on("2026-01-10").send(event("subscription.changed", at="2026-01-10", subscription_id="one", mrr="10"))
    service.send(event("subscription.changed", "globex", at="2026-01-10", subscription_id="one", mrr="30"))
    canceled = event("subscription.canceled", at="2026-02-20", subscription_id="one")
    service.on("2026-03-05").send(canceled, session(at="2026-02-20"))
    assert summarize(get_restatements(service, "customer_churn_rate")) == [
        ("2026-03-05", 0, 50, [("subscription.canceled", 1, 0)])
    ]
    (row,) = get_restatements(service, "nrr")
    assert (row["from"], row["to"], row["change"]) == (100, 75, -25)


def test_a_late_attribute_moves_numbers_between_groups(service: Service) -> None:
    service.on("2026-02-20").send(account_update(plan="free"), session(at="2026-02-19"))
    service.on("2026-03-05").send(account_update(plan="pro", at="2026-01-15"))
    rows = get_restatements(service, "sessions", group_by="plan")
    assert [(row["group"]["plan"], row["from"], row["to"], row["events"][0]["type"]) for row in rows] == [
        ("free", 1, 0, "account.updated"),
        ("pro", 0, 1, "account.updated"),
    ]


def test_late_events_that_leave_the_value_unchanged_restate_nothing(service: Service) -> None:
    service.on("2026-02-20").send(*survey_responses("csat", [5], at="2026-02-19"))
    service.on("2026-03-05").send(
        *survey_responses("csat", [5], at="2026-02-19"), session(at="2026-02-20") | {"id": "gone"}
    )
    service.retract("acme", "gone")
    assert get_restatements(service, "csat") == get_restatements(service, "sessions") == []


def test_a_running_period_is_not_restated(service: Service) -> None:
    service.on("2026-03-05").send(session(at="2026-03-04"))
    service.on("2026-03-31").send(session(at="2026-03-04"))
    assert get_restatements(service, "sessions", period="2026-03") == []
    service.on("2026-04-01").send(session(at="2026-03-04"))
    assert summarize(get_restatements(service, "sessions", period="2026-03")) == [
        ("2026-04-01", 2, 3, [("session.ended", 1, 0)])
    ]
    assert get_restatements(service, "sessions", period="2026-03", as_of="2026-03-31") == []


def test_what_is_recorded_first_of_all_restates_numbers_of_which_nothing_was_known(service: Service) -> None:
    service.on("2026-03-05").send(session(at="2026-02-04"))
    service.on("2026-03-07").send(session(at="2026-02-05"))
    first, second = get_restatements(service, "sessions")
    assert [(row["recorded_on"], row["from"], row["to"], row["change"]) for row in (first, second)] == [
        ("2026-03-05", None, 1, None),
        ("2026-03-07", 1, 2, 1),
    ]
    assert [
        row["value"] for day in (4, 5) for row in service.rows("sessions", **FEBRUARY, as_of=f"2026-03-0{day}")
    ] == [
        None,
        1,
    ]


def test_pages_together_have_all_rows_and_a_table_is_flat(service: Service) -> None:
    service.on("2026-03-01").send(session(at="2026-03-01"))
    for day in range(2, 9):
        service.on(f"2026-03-0{day}").send(session(at="2026-02-04"))
    path = "/v1/metrics/sessions/restatements"
    first = service.get(path, period="2026-02", limit=4)
    rest = service.get(path, period="2026-02", limit=4, cursor=first["next"])
    assert first["rows"] + rest["rows"] == get_restatements(service, "sessions") and rest["next"] is None
    lines = service.request("GET", f"{path}?period=2026-02&format=csv&limit=1").text.splitlines()
    assert lines[1].startswith("sessions,2026-02,2026-02-01,2026-03-01,true,2026-03-02,0,1,1,")


def test_an_invalid_question_is_an_error(service: Service) -> None:
    path = "/v1/metrics/sessions/restatements"
    for params in ({"group_by": "subject"}, {"period": "soon"}, {"cursor": "none", "period": "2026-01"}, {"day": "1"}):
        answer = service.request("GET", path, params=params)
        assert is_problem(answer, 422) or params.get("cursor")
    assert is_problem(service.request("GET", "/v1/metrics/cheer/restatements"), 404, "unknown_metric")


def test_an_unchanged_answer_is_not_sent_again(service: Service) -> None:
    path = "/v1/metrics/sessions/restatements"
    tag = service.request("GET", path).headers["etag"]
    assert service.request("GET", path, headers={"If-None-Match": tag}).status_code == 304


def test_days_without_late_data_are_not_loaded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    days_looked_at: list[Any] = []
    load = changes._sums_as_of

    def note_day(*arguments: Any) -> Any:
        days_looked_at.append(arguments[1])
        return load(*arguments)

    monkeypatch.setattr(changes, "_sums_as_of", note_day)
    for day in range(1, 28, 3):
        service.on(f"2026-02-{day:02}").send(
            session(at=f"2026-02-{day:02}", user=f"user-{day}"),
            account_update(at=f"2026-02-{day:02}", plan=f"plan {day}"),
        )
    service.on("2026-03-20")
    params = {"start": "2026-02-01", "end": "2026-02-20", "granularity": "day"}
    for metric in ("sessions", "active_users", "registered_users"):
        assert service.get(f"/v1/metrics/{metric}/restatements", **params)["rows"] == []
        assert service.get(f"/v1/metrics/{metric}/restatements", **params | {"granularity": "total"})["rows"] == []
    assert days_looked_at == []
    service.send(session(at="2026-02-02", user="late"))
    assert len(service.get("/v1/metrics/active_users/restatements", **params)["rows"]) == 1
    assert {str(day) for day in days_looked_at} == {"2026-03-20", "2026-03-19"}


def test_very_many_events_are_not_counted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.on("2026-03-19").send(session(at="2026-03-19"))
    service.on("2026-03-20").send(session(at="2026-02-02", id="one"), session(at="2026-02-03", id="two"))
    params = {"period": "2026-02"}
    assert service.get("/v1/metrics/sessions/restatements", **params)["rows"][0]["events"][0]["arrived"] == 2
    monkeypatch.setattr(causes, "_MAX_EVENTS", 1)
    service.forget_answers()
    (row,) = service.get("/v1/metrics/sessions/restatements", **params)["rows"]
    assert (row["from"], row["to"], row["events"]) == (0, 2, None)
