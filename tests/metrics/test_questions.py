"""Questions: ranges, granularity, groups, segments and both time axes, as the contract of the API says."""

import csv
import io
from typing import Any

import pytest

from tests.support.service import Service, account_update, event, session, survey_responses


def test_the_default_range_is_the_last_twelve_months_and_the_running_one(service: Service) -> None:
    rows = service.rows("sessions")
    assert [rows[0]["period"], rows[-1]["period"], len(rows)] == ["2025-03", "2026-03", 13]
    assert [row["complete"] for row in rows] == [True] * 12 + [False]


@pytest.mark.parametrize(
    ("granularity", "names"),
    [
        ("day", ["2026-03-09", "2026-03-10"]),
        ("week", ["2026-W11"]),
        ("month", ["2026-03"]),
        ("quarter", ["2026-Q1"]),
        ("year", ["2026"]),
        ("total", ["total"]),
    ],
)
def test_a_range_is_split_by_granularity(service: Service, granularity: str, names: list[str]) -> None:
    service.send(session(at="2026-03-09"), session(at="2026-03-10"), session(at="2026-03-11"))
    rows = service.rows("sessions", start="2026-03-09", end="2026-03-11", granularity=granularity)
    assert [row["period"] for row in rows] == names
    assert sum(row["value"] for row in rows) == 2


@pytest.mark.parametrize(
    ("week_start", "by_week"),
    [
        ("monday", [("2026-W09", "2026-02-23", 2, 1), ("2026-W10", "2026-03-02", 2, 1)]),
        (
            "sunday",
            [("2026-W09", "2026-02-23", 1, 1), ("2026-W10", "2026-03-01", 3, 1), ("2026-W11", "2026-03-08", 0, 0)],
        ),
    ],
)
def test_weeks_begin_on_the_day_of_the_setting(
    start_service: Any, week_start: str, by_week: list[tuple[Any, ...]]
) -> None:
    service = start_service(week_start=week_start).on("2026-03-08")
    # 1 March is a Sunday.
    times = ("2026-02-28T23:59:00Z", "2026-03-01T23:59:00Z", "2026-03-02T00:00:00Z", "2026-03-07T09:00:00Z")
    service.send(*(session(at=at) for at in times))
    question = {"start": "2026-02-23", "end": "2026-03-09", "granularity": "week"}
    rows = service.get("/v1/query", metrics="active_users,sessions", **question)["rows"]
    users, sessions = ([row for row in rows if row["metric"] == metric] for metric in ("active_users", "sessions"))
    counts = [(s["period"], s["start"], s["value"], u["value"]) for s, u in zip(sessions, users, strict=True)]
    assert counts == by_week
    name, first, *expected = by_week[1]
    [week] = service.rows("sessions", period=name, granularity="total")
    assert (week["start"], week["value"]) == (first, expected[0])
    [last_week] = service.rows("active_users", period="last_week", granularity="week")
    assert last_week["start"] == ("2026-03-01" if week_start == "sunday" else "2026-02-23")


def test_a_ratio_without_data_is_null_with_a_reason(service: Service) -> None:
    row = service.row("nps")
    assert (row["value"], row["denominator"], row["reason"], row["interval"]) == (None, 0, "no_responses", None)


def test_a_number_comes_with_its_proof(service: Service) -> None:
    service.send(*survey_responses("csat", [5, 5, 4, 2]))
    row = service.row("csat")
    assert (row["value"], row["numerator"], row["denominator"], row["sample_size"]) == (75, 3, 4, 4)
    # Wilson's interval of 3 in 4, calculated by hand.
    assert row["interval"] == pytest.approx([30.0642, 95.4413], abs=1e-3)


def test_groups_are_those_of_the_start_of_the_period(service: Service) -> None:
    service.send(account_update(plan="pro"), account_update(plan="enterprise", at="2026-02-14T09:00:00Z"))
    service.send(session(at="2026-02-01"), session(at="2026-02-20"), session(at="2026-03-01"))
    rows = service.rows("sessions", start="2026-02-01", end="2026-04-01", group_by="plan")
    assert [(row["period"], row["group"]["plan"], row["value"]) for row in rows] == [
        ("2026-02", "enterprise", 0),
        ("2026-02", "pro", 2),
        ("2026-03", "enterprise", 1),
        ("2026-03", "pro", 0),
    ]
    now = service.rows("sessions", start="2026-02-01", end="2026-04-01", group_by="plan", segments_as_of="now")
    assert [(row["group"]["plan"], row["value"]) for row in now] == [("enterprise", 2), ("enterprise", 1)]


def test_an_account_without_the_attribute_is_in_the_group_null(service: Service) -> None:
    service.send(account_update(plan="pro"), session(), session("globex"))
    rows = service.rows("sessions", period="2026-03", group_by="plan")
    assert [(row["group"]["plan"], row["value"]) for row in rows] == [(None, 1), ("pro", 1)]


def test_an_explicit_null_ends_an_attribute(service: Service) -> None:
    service.send(
        account_update(plan="pro"), account_update(plan=None, at="2026-02-01T00:00:00Z"), session(at="2026-02-03")
    )
    rows = service.rows("sessions", period="2026-02", group_by="plan")
    assert [(row["group"]["plan"], row["value"]) for row in rows] == [(None, 1)]


def test_true_one_and_the_text_one_are_three_groups(service: Service) -> None:
    for number, value in enumerate((True, 1, "1")):
        service.send(account_update(f"a{number}", tier=value), session(f"a{number}"))
    rows = service.rows("sessions", period="2026-03", group_by="tier")
    assert sorted(repr(row["group"]["tier"]) for row in rows) == ["'1'", "1", "True"]


def test_equal_numbers_are_one_group_however_they_are_written(service: Service) -> None:
    for number, value in enumerate((1, 1.0)):
        service.send(account_update(f"a{number}", tier=value), session(f"a{number}"))
    for params in ({"period": "2026-03"}, {"period": "2026-03", "granularity": "week"}):
        rows = service.rows("sessions", group_by="tier", **params)
        assert [(row["group"]["tier"], row["value"]) for row in rows if row["value"]] == [(1, 2)]


def test_segments_are_groups_and_may_overlap(service: Service) -> None:
    service.send(
        account_update("a", plan="pro", seats=5),
        account_update("b", plan="free", seats=50),
        *(session(x) for x in "aab"),
    )
    service.put("/v1/segments/paying", {"filter": 'plan != "free"'})
    service.put("/v1/segments/small", {"filter": "seats < 100"})
    rows = service.rows("sessions", period="2026-03", group_by="segment")
    assert [(row["group"]["segment"], row["value"]) for row in rows] == [("paying", 2), ("small", 3)]
    (row,) = service.rows("sessions", period="2026-03", segment="paying")
    assert (row["group"], row["value"]) == ({"segment": "paying"}, 2)


def test_a_segment_is_as_it_was_defined_on_the_day(service: Service) -> None:
    service.on("2026-03-01").send(
        account_update("a", plan="pro"), account_update("b", plan="free"), session("a"), session("b")
    )
    service.put("/v1/segments/core", {"filter": 'plan = "pro"'})
    service.on("2026-03-10").put("/v1/segments/core", {"filter": "plan is not null"})
    service.on("2026-03-12")
    assert service.value("sessions", segment="core", period="2026-02", as_of="2026-03-09") == 0
    service.send(session("b", at="2026-02-02", recorded_on="2026-03-12"))
    assert service.value("sessions", segment="core", period="2026-02") == 1
    assert service.value("sessions", segment="core", period="2026-02", as_of="2026-03-09") == 0


def test_a_filter_and_its_negation_divide_all_accounts(service: Service) -> None:
    service.send(account_update("a", plan="pro"), account_update("b", plan="free"), *(session(x) for x in "aabc"))
    assert service.value("sessions", filter='plan = "pro"') == 2
    assert service.value("sessions", filter='not plan = "pro"') == 2


def test_subject_and_channel_narrow_and_group(service: Service) -> None:
    service.send(
        event("feature.used", user="ada", feature="export", count=3),
        event("feature.used", user="ada", feature="search"),
        event("ticket.opened", ticket_id="1", channel="email"),
        event("ticket.opened", ticket_id="2"),
    )
    assert service.value("feature_uses", subject="export") == 3
    assert service.value("feature_uses", subject="unheard", strict="false") == 0
    features = service.rows("feature_uses", period="2026-03", group_by="subject")
    assert [(row["group"]["subject"], row["value"]) for row in features] == [("export", 3), ("search", 1)]
    channels = service.rows("support_tickets", period="2026-03", group_by="channel")
    assert [(row["group"]["channel"], row["value"]) for row in channels] == [(None, 1), ("email", 1)]


def test_a_grouping_that_a_metric_does_not_have_is_an_error(service: Service) -> None:
    for params in ({"group_by": "subject"}, {"channel": "email"}, {"group_by": "a,b,c,d"}):
        answer = service.request("GET", "/v1/metrics/sessions", params=params)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/query/{next(iter(params))}")


def test_several_metrics_are_one_answer_by_get_and_by_post(service: Service) -> None:
    service.send(session(), *survey_responses("nps", [10, 10, 3]))
    by_get = service.get("/v1/query", metrics="sessions,nps", period="2026-03", group_by="account")
    params = {"metrics": ["sessions", "nps"], "period": "2026-03", "group_by": ["account"]}
    by_post = service.request("POST", "/v1/query", json=params)
    assert by_post.json() == by_get
    rows = [(row["metric"], row["group"]["account"], row["value"]) for row in by_get["rows"]]
    assert rows == [("nps", "acme", 33.333333), ("sessions", "acme", 1)]


def test_a_total_is_the_formula_over_the_whole_range(service: Service) -> None:
    service.send(*survey_responses("nps", [10], at="2026-01-10"), *survey_responses("nps", [0, 0, 0], at="2026-02-10"))
    rows = service.rows("nps", start="2026-01-01", end="2026-03-01", totals=True)
    assert [(row["period"], row["value"]) for row in rows] == [("2026-01", 100), ("2026-02", -100), ("total", -50)]


def test_rows_are_paged_by_a_cursor(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(7)))
    question = {"period": "2026-03", "group_by": "account", "limit": 3}
    accounts, cursor = [], None
    for _ in range(3):
        page = service.request("GET", "/v1/metrics/sessions", params=question | ({"cursor": cursor} if cursor else {}))
        accounts += [row["group"]["account"] for row in page.json()["rows"]]
        cursor = page.json()["next"]
        assert ('rel="next"' in page.headers.get("link", "")) == (cursor is not None)
    assert accounts == [f"a{number}" for number in range(7)]
    assert cursor is None


def test_an_unchanged_answer_is_not_sent_again(service: Service) -> None:
    first = service.request("GET", "/v1/metrics/sessions")
    headers = {"If-None-Match": first.headers["etag"]}
    again = service.request("GET", "/v1/metrics/sessions", headers=headers)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    service.send(session())
    assert service.request("GET", "/v1/metrics/sessions", headers=headers).status_code == 200


def test_csv_is_a_flat_table_without_spreadsheet_formulas(service: Service) -> None:
    service.send(account_update("a", plan="=cmd()"), session("a"), session("b"))
    answer = service.request(
        "GET", "/v1/metrics/sessions", params={"period": "2026-03", "group_by": "plan"}, headers={"Accept": "text/csv"}
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["plan"], row["value"], row["complete"]) for row in rows] == [
        ("", "1", "false"),
        ("'=cmd()", "1", "false"),
    ]


def test_a_past_answer_is_reproduced_after_late_events_and_retractions(service: Service) -> None:
    service.on("2026-03-02").send(session(at="2026-02-10", id="wrong"), session(at="2026-02-11"))
    before = service.rows("sessions", period="2026-02", group_by="account")
    service.on("2026-03-05").send(session(at="2026-02-12"))
    service.on("2026-03-06").retract("acme", "wrong")
    service.send(session(at="2026-02-13"))
    assert service.value("sessions", period="2026-02") == 3
    assert service.rows("sessions", period="2026-02", group_by="account", as_of="2026-03-02") == before
    assert service.value("sessions", period="2026-02", as_of="2026-03-05") == 3
    assert service.rows("sessions", as_of="2026-03-06") == service.rows("sessions")


def test_an_event_dated_after_today_counts_from_its_day(service: Service) -> None:
    service.send(session(at="2026-03-16T06:00:00Z"))
    assert service.value("sessions", period="2026-03") == 0
    assert service.value("sessions", period="2026-Q1", granularity="quarter") == 0
    service.later(days=1)
    assert service.value("sessions", period="2026-03") == 1


def test_as_of_must_not_be_in_the_future(service: Service) -> None:
    answer = service.request("GET", "/v1/metrics/nps", params={"as_of": "2026-03-16"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_as_of")


def test_totals_of_the_granularity_total_add_no_row(service: Service) -> None:
    rows = service.get("/v1/query", metrics="nps,sessions", period="2026-03", granularity="total", totals=True)["rows"]
    assert [(row["metric"], row["period"]) for row in rows] == [("nps", "total"), ("sessions", "total")]


def test_an_answer_with_too_many_rows_is_an_error(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(120)))
    params = {"start": "1990-01-01", "end": "2016-01-01", "granularity": "day", "group_by": "account", "limit": 1}
    assert service.request("GET", "/v1/metrics/sessions", params=params).status_code == 200
    service.send(session(at="2015-06-01"), *(session(f"a{number}", at="2015-06-01") for number in range(120)))
    answer = service.request("GET", "/v1/metrics/sessions", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rows")


def test_redefining_a_segment_on_its_first_day_changes_no_earlier_day(service: Service) -> None:
    service.on("2026-03-01").send(
        account_update("a", plan="pro"), account_update("b", plan="free"), session("a"), session("b")
    )
    service.on("2026-03-10").put("/v1/segments/core", {"filter": 'plan = "pro"'})
    service.send(session("b", at="2026-02-02"), session("b", at="2026-02-03"))
    params = {"segment": "core", "period": "2026-02", "as_of": "2026-03-09"}
    before = service.rows("sessions", **params)
    service.put("/v1/segments/core", {"filter": "plan is not null"})
    assert service.rows("sessions", **params) == before
    assert service.value("sessions", segment="core", period="2026-02") == 2
    assert service.request("DELETE", "/v1/segments/core").status_code == 204
    assert service.rows("sessions", **params) == before


def test_pointers_of_a_json_question_point_into_the_body(service: Service) -> None:
    params = {"metrics": ["sessions"], "as_of": "2026-03-16"}
    answer = service.request("POST", "/v1/query", json=params)
    assert answer.json()["errors"][0]["pointer"] == "/as_of"


def test_a_parameter_that_an_endpoint_does_not_have_is_an_error(service: Service) -> None:
    service.send(session())
    for method, path in (("GET", "/v1/accounts/acme"), ("GET", "/v1/metrics"), ("POST", "/v1/query")):
        answer = service.request(method, f"{path}?as_of=2020-01-01", json={"metrics": ["nps"]})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/as_of"), path


GROUPABLE_KEYS = [
    "Zip code",
    " padded ",
    "a,b",
    ",",
    "in",
    "it's",
    'say "hi"',
    "back`tick",
    "`",
    "\\",
    "a\\`b",
    "100%",
    "a+b",
    "ü,\U0001f600",
]


def quote_key(key: str) -> str:
    return "`" + key.replace("\\", "\\\\").replace("`", "\\`") + "`"


@pytest.mark.parametrize("key", GROUPABLE_KEYS)
def test_an_attribute_with_any_key_can_be_grouped_by(key: str, service: Service) -> None:
    service.send(account_update(**{key: "x", "plan": "pro"}), session())
    for group_by in (quote_key(key), f"plan, {quote_key(key)} ", f"{quote_key(key)},plan"):
        for row in (
            service.row("sessions", group_by=group_by),
            service.request(
                "POST", "/v1/query", json={"metrics": ["sessions"], "period": "2026-03", "group_by": [group_by]}
            ).json()["rows"][0],
        ):
            assert (row["value"], row["group"]) == (1, {key: "x"} | ({"plan": "pro"} if "plan" in group_by else {}))
    table = service.request("GET", "/v1/metrics/sessions", params={"group_by": quote_key(key), "format": "csv"}).text
    assert next(csv.reader(io.StringIO(table)))[5].removeprefix("'") == key


@pytest.mark.parametrize("group_by", ["`plan", "plan,`", "`a`b", "`a``b`", "`\\q`", "`\\u0000`"])
def test_a_list_of_groupings_with_a_wrong_quote_is_an_error(group_by: str, service: Service) -> None:
    response = service.request("GET", "/v1/metrics/sessions", params={"group_by": group_by})
    fault = response.json()["errors"][0]
    assert (response.status_code, fault["pointer"], fault["code"]) == (422, "/query/group_by", "invalid_group_by")
    assert "position" in fault["detail"]
