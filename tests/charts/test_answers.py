"""Charts over HTTP: which chart a question makes, and that it has the numbers of the answer."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from app.charts.catalogue.proof import contribution_unit
from app.charts.examples import numbers, series_rows
from app.http.chart_formats import CHART_FORMATS
from app.http.formats import FORMATS
from app.metrics.define import METRICS
from tests.charts.specs import build, check, draw, layers, values
from tests.health.backtest_history import customer, put_model, send_history, uses
from tests.support.service import Service, account_update, event, session, survey_responses

MOVEMENTS = "mrr_opening,mrr_new,mrr_reactivated,mrr_expansion,mrr_contraction,mrr_churned,mrr"


def price(account: str, mrr: str, at: str) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="s", mrr=mrr)


PLANS = {"acme": "pro", "bolt": "free", "core": "pro"}
EVENTS = [
    *(account_update(id, at="2025-01-01T00:00:00Z", plan=plan) for id, plan in PLANS.items()),
    price("acme", "100.50", "2025-11-05"),
    price("bolt", "40", "2025-12-05"),
    price("acme", "150.50", "2026-01-07"),
    price("core", "80", "2026-01-09"),
    event("subscription.canceled", "bolt", at="2026-02-11", subscription_id="s", reason="price"),
    price("core", "60", "2026-02-14"),
    *(session(account, at=f"2026-0{month}-07", user="ada") for month in (1, 2, 3) for account in ("acme", "core")),
    *survey_responses("nps", [10, 9, 9, 3, 7], "acme", at="2026-01-20"),
    *survey_responses("nps", [10, 2], "core", at="2026-03-02"),
    event("onboarding.started", "core", at="2026-01-10"),
    event("onboarding.step_completed", "core", at="2026-01-12", step="import"),
]


@pytest.fixture(scope="module")
def history(shared: Service) -> Service:
    shared.send(*EVENTS)
    shared.put("/v1/targets/growth", {"metric": "mrr", "granularity": "month", "value": 250, "from": "2025-11-01"})
    shared.put("/v1/targets/voice", {"metric": "csat", "granularity": "month", "value": 80, "from": "2026-01-01"})
    return shared


RANGE = {"start": "2025-11-01", "end": "2026-04-01"}
QUESTIONS: list[dict[str, Any]] = [
    {"metrics": "mrr"},
    {"metrics": "nps"},
    {"metrics": "nrr,grr"},
    {"metrics": "mrr,nps,sessions"},
    {"metrics": "mrr", "group_by": "plan"},
    {"metrics": "nps", "group_by": "account", "strict": "false"},
    {"metrics": "mrr", "group_by": "account", "granularity": "total"},
    {"metrics": "mrr_net_change", "granularity": "week"},
    {"metrics": "mrr", "granularity": "quarter", "compare": "previous_year"},
    {"metrics": "sessions", "totals": "true"},
    {"metrics": "mrr", "group_by": "plan", "chart": "bars"},
    {"metrics": "mrr", "group_by": "plan", "chart": "stacked_bars"},
    {"metrics": "active_users", "granularity": "day", "start": "2026-01-01", "end": "2026-02-01"},
]


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_a_chart_has_the_numbers_of_the_answer(history: Service, question: dict[str, Any]) -> None:
    parameters = RANGE | question
    spec = draw(history, "/v1/query", **parameters)
    parameters.pop("chart", None)
    rows = history.get("/v1/query", **parameters)["rows"]
    is_total = question.get("granularity") == "total"
    expected = [row for row in rows if is_total or row["period"] != "total"]

    def key(own: dict[str, Any]) -> str:
        return repr((own["metric"], own["period"], own["value"], own["complete"]))

    points = values(spec)
    assert sorted(map(key, points)) == sorted(map(key, expected))
    for name, member in (("low", 0), ("high", 1)):
        bounds = sorted(repr(row["interval"] and row["interval"][member]) for row in expected)
        assert sorted(repr(own[name]) for own in points) == bounds


def test_a_period_without_a_value_is_a_gap_with_its_reason(history: Service) -> None:
    spec = draw(history, "/v1/metrics/nps", **RANGE)
    gaps = [own for own in values(spec) if own["value"] is None]
    assert [own["period"] for own in gaps] == ["2025-11", "2025-12", "2026-02"]
    assert {own["reason"] for own in gaps} == {"no responses"}
    assert "× No value: no responses (3)." in spec["title"]["subtitle"]
    assert all("no value" in own["text"] for own in gaps)


@pytest.mark.parametrize(
    ("scores", "mark", "note"),
    [
        ((40, 45, None, 50, 52), "area", "shaded: 95% interval."),
        ((40, 45, None, 50, None), "rule", "thin lines: 95% interval."),
        ((40,), "rule", "thin lines: 95% interval."),
    ],
)
def test_an_interval_is_drawn_also_where_a_period_stands_alone(
    scores: tuple[float | None, ...], mark: str, note: str
) -> None:
    spec = check(build("numbers", numbers(series_rows("nps", scores, sample=80, spread=11)), name="series"))
    marks = [own["mark"]["type"] for own in layers(spec) if own["encoding"].get("y2", {}).get("field") == "high"]
    assert marks == [mark]
    assert note in " ".join(spec["title"]["subtitle"])


def test_the_running_period_is_drawn_apart(history: Service) -> None:
    spec = draw(history, "/v1/metrics/mrr", **RANGE)
    points = values(spec)
    assert [own["period"] for own in points if not own["complete"]] == ["2026-03"]
    # The dashed line begins at the last complete period.
    assert [own["period"] for own in points if own["running"]] == ["2026-02", "2026-03"]
    filters = {
        layer["mark"]["style"]: layer["transform"][0]["filter"] for layer in layers(spec) if "transform" in layer
    }
    assert (filters["line"], filters["running-line"]) == ("datum.complete", "datum.running")
    assert points[-1]["text"].endswith("the period is not complete")


def test_money_has_the_currency_and_exact_amounts(history: Service) -> None:
    spec = draw(history, "/v1/metrics/mrr", **RANGE)
    assert spec["title"]["subtitle"][0].startswith("USD.")
    assert values(spec)[0]["text"] == "Monthly recurring revenue (MRR), Nov 2025: 100.50 USD"


CHOICES = [
    ("/v1/metrics/mrr", {}, "series"),
    ("/v1/metrics/mrr", {"group_by": "plan"}, "series"),
    ("/v1/metrics/mrr", {"group_by": "account", "granularity": "total"}, "ranking"),
    ("/v1/metrics/mrr", {"granularity": "total"}, "series"),
    ("/v1/query", {"metrics": "nrr,grr", "granularity": "total"}, "ranking"),
    ("/v1/query", {"metrics": "mrr,nps", "granularity": "total"}, "series"),
    ("/v1/query", {"metrics": MOVEMENTS, "granularity": "total"}, "mrr_bridge"),
    ("/v1/query", {"metrics": MOVEMENTS}, "mrr_movements"),
    ("/v1/query", {"metrics": "mrr_new,mrr_churned"}, "mrr_movements"),
    ("/v1/query", {"metrics": "mrr_new,mrr_churned", "group_by": "plan"}, "series"),
    ("/v1/metrics/nps/conventions", {}, "series"),
    ("/v1/cohorts", {}, "retention_triangle"),
    ("/v1/cohorts", {"group_by": "plan", "measure": "mrr"}, "retention_triangle"),
    ("/v1/cohorts", {"chart": "retention_curves"}, "retention_curves"),
    ("/v1/surveys/nps/distribution", {"granularity": "total"}, "score_distribution"),
    ("/v1/surveys/nps/distribution", {"granularity": "total", "group_by": "account"}, "score_distribution"),
    ("/v1/surveys/nps/distribution", {}, "scores_over_time"),
    ("/v1/surveys/nps/distribution", {"by": "class"}, "scores_over_time"),
    ("/v1/onboarding/funnel", {}, "onboarding_funnel"),
    ("/v1/metrics/mrr/contributors", {"granularity": "total"}, "contributors"),
    ("/v1/metrics/mrr/restatements", {}, "restatements"),
]


@pytest.mark.parametrize(("path", "parameters", "name"), CHOICES)
def test_the_question_decides_on_the_chart(history: Service, path: str, parameters: dict[str, Any], name: str) -> None:
    assert draw(history, path, **RANGE, **parameters)["usermeta"]["chart"] == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/scorecard", "target_attainment"),
        ("/v1/targets/growth/history", "target_history"),
        ("/v1/health", "health_bands"),
        ("/v1/accounts/acme/health", "health_history"),
        ("/v1/health-model/backtest", "calibration"),
        ("/v1/health-model/backtest?chart=roc", "roc"),
    ],
)
def test_other_answers_are_charts_as_well(history: Service, path: str, name: str) -> None:
    path, _, chart = path.partition("?chart=")
    spec = draw(history, path, **({"chart": chart} if chart else {}))
    assert spec["usermeta"]["chart"] == name


def test_a_bridge_adds_up(history: Service) -> None:
    bars = values(draw(history, "/v1/query", metrics=MOVEMENTS, period="2026-02"))
    assert [own["label"] for own in bars] == [
        "Opening",
        "New",
        "Reactivated",
        "Expansion",
        "Contraction",
        "Churn",
        "Closing",
    ]
    assert [own["value"] for own in bars] == [270.5, 0, 0, 0, 20, 40, 210.5]
    assert bars[-2]["to"] == bars[-1]["to"] == 210.5
    assert [own["short"] for own in bars[3:6]] == ["0", "−20", "−40"]


def test_movements_go_up_and_down(history: Service) -> None:
    parts = values(draw(history, "/v1/query", metrics=MOVEMENTS, **RANGE))
    signed = {(own["metric"], own["period"]): own["signed"] for own in parts if own["signed"]}
    assert signed["mrr_churned", "2026-02"] == -40 and signed["mrr_expansion", "2026-01"] == 50


def test_cohorts_are_those_of_the_answer(history: Service) -> None:
    cells = values(draw(history, "/v1/cohorts", **RANGE))
    rows = history.get("/v1/cohorts", **RANGE)["rows"]
    names = ("cohort", "number", "value", "percent", "complete")
    assert [[cell[name] for name in names] for cell in cells] == [[row[name] for name in names] for row in rows]
    # A cohort of nobody has no percentage, which is not zero.
    assert None in {cell["percent"] for cell in cells}


def test_scores_are_those_of_the_answer(history: Service) -> None:
    bars = values(draw(history, "/v1/surveys/nps/distribution", granularity="total", **RANGE))
    assert [own["value"] for own in bars] == [0, 0, 1, 1, 0, 0, 0, 1, 0, 2, 2]
    parts = values(draw(history, "/v1/surveys/nps/distribution", by="class", **RANGE))
    rows = history.get("/v1/surveys/nps/distribution", by="class", **RANGE)["rows"]
    assert [(own["class"], own["percent"]) for own in parts] == [(row["class"], row["percent"]) for row in rows]


def test_targets_are_those_of_the_scorecard(history: Service) -> None:
    bars = values(draw(history, "/v1/scorecard"))
    rows = history.get("/v1/scorecard")["rows"]
    names = ("value", "target", "attainment", "status")
    assert [[own[name] for name in names] for own in bars] == [[row[name] for name in names] for row in rows]
    assert [own["drawn"] for own in bars] == [row["attainment"] for row in rows]
    past = values(draw(history, "/v1/targets/growth/history"))
    periods = history.get("/v1/targets/growth/history")["rows"]
    assert [own["value"] for own in past] == [row["now"]["value"] for row in reversed(periods)]


def test_contributors_are_those_of_the_answer(history: Service) -> None:
    question = {"period": "2026-01"}
    spec, answer = (get("/v1/metrics/mrr/contributors", **question) for get in (partial(draw, history), history.get))
    bars = values(spec)
    assert [(own["name"], own["value"], own["share"]) for own in bars] == [
        (row["account"], row["contribution"], row["share"]) for row in answer["rows"]
    ]
    assert bars[0]["text"] == "acme: 150.5 USD, 55.6% of all"
    assert spec["title"]["subtitle"][0] == "USD, Jan 2026. All: 270.50 USD."


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("mrr", "money"),
        ("nrr", "money"),
        ("arpa", "money"),
        ("nps", "count"),
        ("customer_churn_rate", "count"),
        ("average_first_response_hours", "hours"),
        ("sessions", "count"),
    ],
)
def test_a_contribution_has_the_unit_of_the_numerator(metric: str, unit: str) -> None:
    assert contribution_unit(METRICS[metric]) == unit


def test_a_restated_number_goes_from_what_was_known_to_what_is_known(service: Service) -> None:
    service.on("2026-01-10").send(session("acme", at="2026-01-07"))
    service.on("2026-02-03").send(session("bolt", at="2026-01-08"))
    service.on("2026-02-09").send(session("core", at="2026-01-09"))
    [point] = values(draw(service, "/v1/metrics/sessions/restatements", period="2026-01"))
    assert (point["before"], point["value"], point["changes"]) == (1, 3, 2)
    assert point["text"] == "Jan 2026: from 1 to 3, 2 changes, the last one on 2026-02-09"


def test_the_health_of_an_account_has_what_was_known_then(service: Service) -> None:
    put_model(service)
    late = uses("acme", 30, at="2026-01-21", recorded_on="2026-02-10")
    service.send(customer("acme"), uses("acme", 40, at="2026-01-20"), late, uses("acme", 20, at="2026-02-20"))
    spec = draw(service, "/v1/accounts/acme/health", period="last_3_months")
    points = service.get("/v1/accounts/acme/health", period="last_3_months")["history"]
    drawn = values(spec)
    assert [(own["value"], own["then"]) for own in drawn][1:] == [(70, 40), (20, None)]
    assert [own["value"] for own in drawn] == [point["score"] for point in points]
    assert [own["then"] for own in drawn] == [point["as_known_then"] if point["restated"] else None for point in points]
    lines = service.request("GET", "/v1/accounts/acme/health", params={"format": "ndjson", "period": "last_3_months"})
    assert [json.loads(line) for line in lines.text.splitlines()] == points


def test_an_account_without_a_score_has_an_empty_chart(service: Service) -> None:
    service.send(account_update("acme", plan="pro"))
    spec = draw(service, "/v1/accounts/acme/health", period="2026-02")
    assert "No score in this range." in spec["description"]


def test_a_total_beside_its_only_period_is_not_drawn_twice(history: Service) -> None:
    question = {"period": "2026-01", "totals": "true"}
    bars = values(draw(history, "/v1/surveys/nps/distribution", **question))
    assert [own["label"] for own in bars] == [*map(str, range(11))]


def test_a_picture_of_several_metrics_has_its_data_once(history: Service) -> None:
    spec = draw(history, "/v1/query", metrics="mrr,nps", **RANGE)
    assert spec["data"]["values"] == [] and len(values(spec)) == 10


def test_a_history_of_a_target_has_the_unit_of_its_convention_and_no_earlier_metric(service: Service) -> None:
    service.put("/v1/surveys/ease", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"})
    service.send(*(own for at in ("01", "02") for own in survey_responses("ease", [7, 6, 2], at=f"2026-{at}-20")))
    target = {"metric": "ces", "granularity": "month", "direction": "up"}
    service.put("/v1/targets/ease", target | {"value": 5, "from": "2026-01-01"})
    service.put("/v1/targets/ease", target | {"value": 80, "convention": "easy_rate", "from": "2026-02-01"})
    rows = service.get("/v1/targets/ease/history")["rows"]
    assert [(row["convention"], row["unit"]) for row in rows] == [("easy_rate", "percent"), ("mean", "score")]
    spec = draw(service, "/v1/targets/ease/history")
    [bar] = values(spec)
    assert bar["text"] == "Feb 2026: missed, 66.7%, target 80%"
    first, *_, last = spec["title"]["subtitle"]
    assert first.endswith("(CES), percent. Line: target.")
    assert last == "1 earlier period not shown: the target was of another metric or convention."


def test_health_and_its_back_test_are_those_of_the_answers(service: Service) -> None:
    put_model(service)
    leavers = [f"account-{number:02}" for number in (0, 1, 2, 3, 4, 6, 8, 10, 20, 30)]
    send_history(
        service, {f"account-{number:02}": 2 * number + 1 for number in range(40)}, dict.fromkeys(leavers, "2025-07-10")
    )
    question = {"start": "2025-06-01", "end": "2025-07-01"}
    report = service.get("/v1/health-model/backtest", **question)
    points = values(draw(service, "/v1/health-model/backtest", chart="roc", **question))
    assert [(own["found"], own["in_vain"]) for own in points] == [
        (row["found_percent"], row["false_alarm_percent"]) for row in report["roc"]
    ]
    tenths = values(draw(service, "/v1/health-model/backtest", **question))
    assert [own["value"] for own in tenths] == [row["churn_rate"] for row in report["calibration"]]
    bands = values(draw(service, "/v1/health"))
    answer = {band["band"]: band for band in service.get("/v1/health")["bands"]}
    assert {own["band"]: own["accounts"] for own in bands} == {
        name: band["accounts"] for name, band in answer.items() if name or band["accounts"]
    }
    assert all(own["mrr"] == float(answer[own["band"]]["mrr"]) for own in bands)


NOTHING = [
    ("/v1/metrics/nps", {}, "No value in this range."),
    ("/v1/metrics/nps", {"group_by": "account"}, "There are no rows in this range."),
    ("/v1/query", {"metrics": MOVEMENTS, "period": "2026-02", "as_of": "2020-01-01"}, "Nothing was known yet."),
    ("/v1/cohorts", {}, "Nobody began in this range."),
    ("/v1/surveys/nps/distribution", {}, "No responses in this range."),
    ("/v1/onboarding/funnel", {}, "No onboarding was started in this range."),
    ("/v1/metrics/mrr/contributors", {"period": "2026-01"}, "No account has data of it in this range."),
    ("/v1/metrics/mrr/restatements", {}, "No number of this range has changed after its period had ended."),
    ("/v1/scorecard", {}, "There are no targets in this range."),
    ("/v1/health", {}, "No accounts to score."),
    ("/v1/health-model/backtest", {}, "No verdict: horizon not closed."),
]


@pytest.mark.parametrize(("path", "parameters", "sentence"), NOTHING)
def test_a_chart_of_nothing_says_so(service: Service, path: str, parameters: dict[str, Any], sentence: str) -> None:
    spec = draw(service, path, **parameters)
    [words] = [layer["data"]["values"] for layer in layers(spec)]
    assert words == [{"message": sentence}]
    assert sentence in spec["description"]


def test_many_groups_are_the_largest_and_the_others_are_counted(service: Service) -> None:
    service.send(*(price(f"account-{number:02}", str(10 + number), "2026-01-05") for number in range(30)))
    spec = draw(service, "/v1/metrics/mrr", group_by="account", period="2026-01")
    assert len(values(spec)) == 20
    assert values(spec)[0]["value"] == 39
    assert "10 groups not shown: those with the smallest last values." in spec["title"]["subtitle"]
    spec = draw(service, "/v1/metrics/mrr", group_by="account", period="last_3_months")
    assert {own["series"] for own in values(spec)} == {f"account-{number}" for number in range(22, 30)}
    assert "22 groups not shown: those with the smallest last values." in spec["title"]["subtitle"]


REFUSED = [
    ("/v1/metrics/mrr", {"format": "vega", "chart": "pie"}, "/query/chart", "unknown_chart"),
    ("/v1/metrics/mrr", {"format": "vega", "chart": "retention_triangle"}, "/query/chart", "unknown_chart"),
    ("/v1/metrics/mrr", {"format": "vega", "chart": "mrr_bridge"}, "/query/chart", "no_such_chart"),
    ("/v1/metrics/nps", {"format": "vega", "chart": "stacked_bars"}, "/query/chart", "no_such_chart"),
    ("/v1/query", {"metrics": "mrr,nps", "format": "vega", "chart": "bars"}, "/query/chart", "no_such_chart"),
    ("/v1/metrics/mrr/contributors", {"format": "vega"} | RANGE, "/query/format", "no_such_chart"),
    ("/v1/metrics/mrr/restatements", {"format": "vega", "group_by": "plan"} | RANGE, "/query/format", "no_such_chart"),
    ("/v1/metrics/mrr", {"format": "vega", "theme": "pink"}, "/query/theme", "invalid"),
    ("/v1/metrics/mrr", {"format": "png", "width": "100000"}, "/query/width", "invalid"),
    ("/v1/metrics/mrr", {"format": "png", "scale": "100"}, "/query/scale", "invalid"),
    ("/v1/metrics/mrr", {"format": "vega", "spec": "{}"}, "/query/spec", "invalid"),
    ("/v1/metrics/mrr/events", {"format": "svg"}, "/query/format", "invalid"),
    ("/v1/insights", {"format": "vega"}, "/query/format", "invalid"),
]


@pytest.mark.parametrize(("path", "parameters", "pointer", "code"), REFUSED)
def test_what_cannot_be_drawn_is_refused(
    history: Service, path: str, parameters: dict[str, Any], pointer: str, code: str
) -> None:
    answer = history.request("GET", path, params=parameters)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("format", [*FORMATS, *CHART_FORMATS, None])
@pytest.mark.parametrize(
    ("path", "chart", "detail"),
    [
        ("/v1/metrics/mrr", "seriess", 'Unknown chart "seriess". Did you mean "series"?'),
        ("/v1/query?metrics=mrr,nps", "serie", 'Unknown chart "serie". Did you mean "series"?'),
        ("/v1/cohorts?measure=mrr", "series", 'This answer makes no such chart "series".'),
        ("/v1/scorecard", "targets", "Unknown chart"),
    ],
)
def test_an_unknown_chart_is_refused_in_every_format(
    history: Service, path: str, chart: str, detail: str, format: str | None
) -> None:
    parameters = {"chart": chart} | ({} if format is None else {"format": format})
    answer = history.request("GET", path, params=httpx.URL(path).params.merge(parameters))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_chart"), answer.text
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == "/query/chart" and fault["detail"].startswith(detail)


@pytest.mark.parametrize("format", [*FORMATS])
def test_a_chart_that_exists_changes_nothing_where_none_is_drawn(history: Service, format: str) -> None:
    parameters = RANGE | {"format": format}
    contents = [
        history.request("GET", "/v1/metrics/mrr", params=parameters | more).content
        for more in ({}, {"chart": "series"}, {"chart": "mrr_bridge"})
    ]
    assert contents[0] == contents[1] == contents[2] != b""


def test_a_chart_of_too_many_rows_is_refused(history: Service) -> None:
    parameters = {"granularity": "day", "start": "2010-01-01", "end": "2026-03-01", "format": "vega"}
    answer = history.request("GET", "/v1/metrics/mrr", params=parameters)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rows")


def test_a_chart_has_a_tag_and_a_page_has_a_link(history: Service) -> None:
    first = history.request("GET", "/v1/metrics/mrr", params={"format": "vega", "limit": 2})
    assert first.headers["content-type"] == "application/vnd.vegalite.v6+json"
    assert 'rel="next"' in first.headers["link"] and "format=vega" in first.headers["link"]
    assert "Only the first page of rows." in first.json()["title"]["subtitle"]
    tag = {"If-None-Match": first.headers["etag"]}
    again = history.request("GET", "/v1/metrics/mrr", params={"format": "vega", "limit": 2}, headers=tag)
    assert (again.status_code, again.content) == (304, b"")


@pytest.fixture
def ask(history: Service) -> Callable[..., Any]:
    def send(**headers: str) -> Any:
        return history.request("GET", "/v1/metrics/mrr", headers=headers).headers["content-type"]

    return send


def test_accept_chooses_a_chart(ask: Callable[..., Any]) -> None:
    assert ask(Accept="application/vnd.vegalite.v6+json") == "application/vnd.vegalite.v6+json"
    assert ask(Accept="image/svg+xml,*/*") == "image/svg+xml"
    assert ask(Accept="*/*") == "application/json"


def test_a_question_as_json_is_a_chart_as_well(history: Service) -> None:
    body = {"metrics": ["mrr"], "format": "vega", "theme": "dark", "width": 900, "period": "last_6_months"}
    answer = history.request("POST", "/v1/query", json=body)
    spec = check(answer.json())
    assert (spec["width"], spec["config"]["background"]) == (900, "#161b22")


def test_a_chart_marks_what_was_restated_and_what_has_changed(service: Service) -> None:
    service.on("2026-02-02").send(price("acme", "100", "2026-01-05"))
    service.put("/v1/targets/growth", {"metric": "mrr", "granularity": "month", "value": 250, "from": "2026-01-01"})
    service.on("2026-03-03").send(price("acme", "140", "2026-01-20"))
    change = {"metric": "mrr", "granularity": "month", "value": 300, "from": "2026-03-01"}
    service.put("/v1/targets/growth", change)
    question = {"start": "2026-01-01", "end": "2026-04-01", "annotations": "true"}
    answer = service.get("/v1/metrics/mrr", **question)
    annotations = {(own["kind"], own["period"], own["on"], own["from"], own["to"]) for own in answer["annotations"]}
    restatements = service.get("/v1/metrics/mrr/restatements", start="2026-01-01", end="2026-04-01")["rows"]
    assert restatements
    expected = {
        (
            "restatement",
            period,
            *max((own["recorded_on"], own["to"]) for own in restatements if own["period"] == period),
        )
        for period in {own["period"] for own in restatements}
    }
    assert {
        (kind, period, on, after) for kind, period, on, _, after in annotations if kind == "restatement"
    } == expected
    assert ("target", "2026-03", "2026-03-01", 250, 300) in annotations
    spec = draw(service, "/v1/metrics/mrr", **question)
    [signs] = [own["data"]["values"] for own in layers(spec) if own.get("encoding", {}).get("text") == {"value": "△"}]
    assert {own["label"] for own in signs} == {"Jan 2026", "Feb 2026"}
    assert {own["period"] for own in values(spec) if own.get("restated")} == {"2026-01", "2026-02"}
    # The description of the picture says it to those who do not see the signs.
    assert "Jan 2026: Monthly recurring revenue (MRR) restated on 2026-03-03, before" in spec["description"]
    assert "target growth changed from 250 USD to 300 USD on 2026-03-01" in spec["description"]
    assert "annotations" not in service.get("/v1/metrics/mrr", start="2026-01-01", end="2026-04-01")


def test_a_chart_marks_a_version_of_the_health_model(service: Service) -> None:
    service.send(price("acme", "100", "2026-01-05"))
    put_model(service, on="2026-03-20", effective_from="2026-02-10")
    answer = service.get("/v1/metrics/health_score", start="2026-01-01", end="2026-04-01", annotations="true")
    changes = [own for own in answer["annotations"] if own["kind"] == "health_model"]
    assert [(own["period"], own["on"], own["to"]) for own in changes] == [("2026-02", "2026-02-10", 1)]
