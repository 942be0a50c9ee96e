"""The back-test over HTTP: small histories whose figures are computed by hand."""

from typing import Any

import pytest

from app.metrics.statistics import wilson_interval
from tests.health.backtest_history import (
    backtest,
    customer,
    leaves,
    price,
    put_model,
    score_rows,
    send_history,
    uses,
    visit,
)
from tests.support.service import Service

# Forty customers with the scores 1, 3, …, 79; the first ten of these leave within 90 days of 1 June 2025.
SCORES = {f"account-{number:02}": 2 * number + 1 for number in range(40)}
CHURNED = [f"account-{number:02}" for number in (0, 1, 2, 3, 4, 6, 8, 10, 20, 30)]
CHURN = dict.fromkeys(CHURNED, "2025-07-10")


@pytest.fixture
def history(service: Service) -> Service:
    put_model(service)
    send_history(service, SCORES, CHURN)
    return service


def area(scores: dict[str, int], churned: list[str]) -> float:
    """The share of pairs in which the one that churned has the lower score."""
    others = [score for account, score in scores.items() if account not in churned]
    pairs = [scores[account] < other for account in churned for other in others]
    return sum(pairs) / len(pairs)


def test_the_figures_of_one_cut_off_are_those_computed_by_hand(history: Service) -> None:
    report = backtest(history)
    # Of 300 pairs: the first five are below all 30 others; 6, 8 and 10 have one, two and three of these below them, 20 has
    # twelve and 30 has 21.
    assert report["auc"] == pytest.approx((5 * 30 + 29 + 28 + 27 + 18 + 9) / 300, abs=1e-6)
    assert report["auc"] == pytest.approx(area(SCORES, CHURNED), abs=1e-6)
    low, high = report["auc_interval"]
    assert 0.5 < low < report["auc"] < high < 1
    assert (report["verdict"], report["reason"], report["warnings"]) == ("predicts", None, [])
    assert "within 90 days" in report["detail"] and "87.0%" in report["detail"]
    interval = pytest.approx(wilson_interval(10, 40), abs=1e-6)
    total = {"observations": 40, "accounts": 40, "churned": 10, "churn_rate": 25.0, "interval": interval}
    # The worst tenth are four, who all churned: 100% against 25%.
    assert report["total"] == total | {"horizon_days": 90, "lift": 4.0}
    [cut_off] = report["cut_offs"]
    assert cut_off == total | {
        "horizon_days": 90,
        "cut_off": "2025-06-01",
        "until": "2025-08-30",
        "model_version": 1,
        "auc": report["auc"],
        "lift": 4.0,
        "left_out": {},
        "reason": None,
        "used": True,
    }


def test_churn_falls_from_band_to_band_and_along_the_scale(history: Service) -> None:
    report = backtest(history)
    bands = [
        (own["band"], own["observations"], own["churned"], own["churn_rate"], own["lift"]) for own in report["bands"]
    ]
    # Below 40: 20 accounts with eight of those who churned; below 70: 15 with two; the rest: five.
    assert bands == [
        ("critical", 20, 8, 40.0, 1.6),
        ("at_risk", 15, 2, 13.333333, 0.533333),
        ("healthy", 5, 0, 0.0, 0.0),
    ]
    assert [own["interval"] for own in report["bands"]] == [
        pytest.approx(wilson_interval(*counts), abs=1e-6) for counts in ((8, 20), (2, 15), (0, 5))
    ]
    tenths = [(own["score_from"], own["observations"], own["churned"]) for own in report["calibration"]]
    churned_by_tenth = [5, 2, 1, 0, 1, 0, 1, 0, 0, 0]
    assert tenths == [(10 * n, 5 if n < 8 else 0, churned) for n, churned in enumerate(churned_by_tenth)]
    assert [own["average_score"] for own in report["calibration"]][:2] == [5.0, 15.0]
    assert {own["horizon_days"] for own in [*report["bands"], *report["calibration"]]} == {90}


def test_the_scores_are_those_that_health_answers_for_the_cut_off(history: Service) -> None:
    rows = score_rows(history, period="2025-06", limit=7)
    health = history.get("/v1/health", as_of="2025-06-01")["accounts"]
    assert {row["account"]: (row["score"], row["band"]) for row in rows} == {
        own["account"]: (own["score"], own["band"]) for own in health
    }
    assert {row["account"]: row["score"] for row in rows} == SCORES
    assert sorted(row["account"] for row in rows if row["churned"]) == CHURNED
    assert len(rows) == len(SCORES)


def test_a_cut_off_whose_horizon_has_not_closed_is_left_out(service: Service) -> None:
    put_model(service)
    # 90 days after 1 June is 30 August, which is over on the 31st.
    send_history(service.on("2025-08-29"), SCORES, CHURN)
    visit(service.on("2025-08-30"))
    before = backtest(service)
    assert (before["verdict"], before["reason"], before["auc"]) == ("cannot_tell", "horizon_not_closed", None)
    report = backtest(service.on("2025-08-31"), start="2025-06-01", end="2025-12-31")
    assert [(own["cut_off"], own["used"], own["reason"]) for own in report["cut_offs"]] == [
        ("2025-06-01", True, None),
        ("2025-07-01", False, "horizon_not_closed"),
        ("2025-08-01", False, "horizon_not_closed"),
    ]
    assert report["left_out"]["cut_offs"] == {"horizon_not_closed": 2}
    assert report["total"]["observations"] == 40
    assert backtest(service, as_of="2025-08-30")["auc"] == report["auc"]
    assert backtest(service, as_of="2025-08-29")["reason"] == "horizon_not_closed"
    assert "known until 2025-08-29" in backtest(service, as_of="2025-08-29")["detail"]
    shorter = backtest(service, as_of="2025-08-29", horizon_days=60)
    assert (shorter["auc"], shorter["horizon_days"]) == (report["auc"], 60)


def test_a_horizon_that_ends_after_the_last_data_is_not_closed(service: Service) -> None:
    """Where data has ceased to come nobody seems to churn, however late it is."""
    put_model(service)
    service.send(*(customer(account) for account in SCORES), *(uses(name, 9, at="2025-08-29") for name in SCORES))
    report = backtest(service)
    assert (report["reason"], report["observed_until"]) == ("horizon_not_closed", "2025-08-29")
    service.send(uses("visitor", 1, at="2025-08-30"))
    assert backtest(service)["cut_offs"][0]["used"]


def test_what_is_recorded_later_closes_no_horizon_as_of_an_earlier_day(service: Service) -> None:
    put_model(service)
    service.on("2025-08-29").send(
        *(customer(account) for account in SCORES), *(uses(name, 9, at="2025-08-29") for name in SCORES)
    )
    service.on("2025-09-10")
    before = backtest(service, as_of="2025-09-05")
    assert (before["reason"], before["observed_until"]) == ("horizon_not_closed", "2025-08-29")
    service.send(uses("visitor", 1, at="2025-09-10"), uses("late", 1, at="2025-09-01", recorded_on=None))
    assert backtest(service, as_of="2025-09-05") == before
    assert backtest(service, as_of="2025-09-10")["observed_until"] == "2025-09-09"


def test_the_horizon_begins_after_the_cut_off_and_ends_with_its_last_day(service: Service) -> None:
    put_model(service)
    days = {"on-it": "2025-06-01", "after": "2025-06-02", "last": "2025-08-30", "later": "2025-08-31"}
    send_history(service, dict.fromkeys(days, 50), days)
    rows = {row["account"]: row["churned"] for row in score_rows(service, period="2025-06")}
    assert rows == {"after": True, "last": True, "later": False}


def test_who_was_known_to_leave_is_reported_apart(history: Service) -> None:
    """A cancellation that was known at the cut-off, within the horizon or later, leaves nothing to predict."""
    known = {f"known-{number}": 1 for number in range(6)}
    events = [customer(account) for account in known] + [uses(account, 1, at="2025-05-20") for account in known]
    history.send(*events)
    for account, ends_at in zip(known, 5 * ["2025-07-01T00:00:00Z"] + ["2025-12-01T00:00:00Z"], strict=True):
        history.send(leaves(account, at="2025-05-25", ends_at=ends_at))
    report = backtest(history)
    assert report["auc"] == pytest.approx(area(SCORES, CHURNED), abs=1e-6)
    apart = report["cancellation_known"]
    assert (apart["accounts"], apart["churned"], apart["horizon_days"]) == (6, 5, 90)
    assert apart["auc_with_them"] > report["auc"]
    assert report["left_out"]["accounts"] == {"cancellation_known": 6}
    assert {row["account"] for row in score_rows(history, period="2025-06") if row["left_out"]} == {*known}


def test_a_cancellation_that_was_recorded_later_is_what_the_score_did_not_know(history: Service) -> None:
    history.send(customer("late-within"), customer("late-before"))
    history.send(uses("late-within", 7, at="2025-05-20"), uses("late-before", 7, at="2025-05-20"))
    # Both recorded in September: one churned within the horizon, the other had left before the cut-off.
    history.send(leaves("late-within", at="2025-08-01", recorded_on="2025-09-02"))
    history.send(leaves("late-before", at="2025-05-28", recorded_on="2025-09-02"))
    report = backtest(history)
    assert report["total"]["observations"] == 41 and report["total"]["churned"] == 11
    assert report["cut_offs"][0]["left_out"] == {"left_before": 1}
    # As of the end of the horizon, on which data came, nobody knew either.
    history.send(uses("guest", 1, at="2025-08-31"))
    then = backtest(history, as_of="2025-08-31")
    assert then["total"]["observations"] == 42 and then["total"]["churned"] == 10


def test_later_events_do_not_change_the_scores_of_a_cut_off(history: Service) -> None:
    before = score_rows(history, period="2025-06")
    history.send(*(uses(account, 60, at="2025-05-21", recorded_on=None) for account in SCORES))
    assert score_rows(history, period="2025-06") == before


def test_accounts_without_a_score_are_left_out_and_counted(service: Service) -> None:
    minutes = {
        "id": "minutes",
        "kind": "value",
        "metric": "average_session_minutes",
        "poor": 0,
        "good": 100,
        "weight": 1,
    }
    put_model(service, components=[minutes])
    send_history(service, SCORES, CHURN)
    report = backtest(service)
    assert (report["verdict"], report["reason"]) == ("cannot_tell", "not_enough_data")
    assert report["left_out"]["accounts"] == {"not_enough_data": 40}
    assert "recorded_on" in report["detail"]


def test_too_few_churns_cannot_tell(service: Service) -> None:
    put_model(service)
    send_history(service, SCORES, dict.fromkeys(CHURNED[:9], "2025-07-10"))
    report = backtest(service)
    assert (report["verdict"], report["reason"]) == ("cannot_tell", "too_few_churned")
    assert (report["auc"], report["auc_interval"], report["resamples"]) == (None, None, 0)
    assert report["detail"].startswith("Only 9 of the accounts with a score churned within 90 days.")
    # Nine at one cut-off are enough to show how it went there; the rates have their intervals.
    assert report["cut_offs"][0]["auc"] == pytest.approx(area(SCORES, CHURNED[:9]), abs=1e-6)
    assert report["bands"][0]["interval"] is not None


def test_too_few_who_stayed_cannot_tell(service: Service) -> None:
    put_model(service)
    send_history(service, SCORES, dict.fromkeys([*SCORES][:36], "2025-07-10"))
    report = backtest(service)
    assert (report["verdict"], report["reason"]) == ("cannot_tell", "too_few_retained")
    assert report["detail"].startswith("Only 4 of the accounts with a score had not churned 90 days later.")
    assert report["cut_offs"][0]["reason"] == "too_few_retained"


def test_history_that_was_imported_without_its_days_cannot_tell(service: Service) -> None:
    """Everything is recorded on 15 March 2026, so nothing was known at the cut-offs."""
    put_model(service)
    accounts = list(SCORES.items())
    service.send(*(customer(account, recorded_on=None) for account, _ in accounts))
    service.send(*(uses(account, score, at="2025-05-20", recorded_on=None) for account, score in accounts))
    service.send(*(leaves(account, at=day, recorded_on=None) for account, day in CHURN.items()))
    report = backtest(service)
    assert (report["verdict"], report["reason"], report["auc"]) == ("cannot_tell", "not_recorded_then", None)
    assert "`recorded_on`" in report["detail"]
    assert report["left_out"] == {"cut_offs": {"not_recorded_then": 1}, "accounts": {"not_recorded_then": 40}}
    assert report["total"]["observations"] == 0
    assert service.get("/v1/health-model/backtest/scores", period="2025-06")["rows"] == []


def test_cut_offs_after_the_import_are_tested(service: Service) -> None:
    put_model(service)
    now = service.now
    service.on("2025-05-28")
    service.send(*(customer(account, recorded_on=None) for account in SCORES))
    service.send(*(uses(account, score, at="2025-05-20", recorded_on=None) for account, score in SCORES.items()))
    service.now = now
    visit(service)
    service.send(*(leaves(account, at=day) for account, day in CHURN.items()))
    report = backtest(service, start="2025-04-01", end="2025-06-02")
    assert [own["reason"] for own in report["cut_offs"]] == ["not_recorded_then", "not_recorded_then", None]
    assert report["auc"] == pytest.approx(area(SCORES, CHURNED), abs=1e-6)
    (warning,) = report["warnings"]
    assert warning["code"] == "not_recorded_then"
    assert warning["detail"].startswith("Less than half of the customers were known then at 2 of the cut-offs")


def test_a_perfect_score_hints_at_leakage(service: Service) -> None:
    put_model(service)
    send_history(service, SCORES, dict.fromkeys([*SCORES][:10], "2025-07-10"))
    report = backtest(service)
    assert (report["auc"], report["auc_interval"]) == (1.0, [1.0, 1.0])
    assert [warning["code"] for warning in report["warnings"]] == ["possible_leakage"]


@pytest.mark.parametrize(
    ("churned", "verdict"),
    [(range(30, 40), "inverted"), (range(0, 40, 4), "no_better_than_chance"), (range(10), "predicts")],
)
def test_the_verdict_is_that_of_the_interval(service: Service, churned: range, verdict: str) -> None:
    put_model(service)
    send_history(service, SCORES, dict.fromkeys([[*SCORES][number] for number in churned], "2025-07-10"))
    assert backtest(service)["verdict"] == verdict


def test_contraction_counts_with_that_outcome(service: Service) -> None:
    put_model(service)
    send_history(service, SCORES, dict.fromkeys(CHURNED[:5], "2025-07-10"))
    service.send(*(price(account, "60", at="2025-07-05") for account in CHURNED[5:]))
    service.send(price("account-39", "150", at="2025-07-05"))
    assert backtest(service)["total"]["churned"] == 5
    report = backtest(service, outcome="churned_or_contracted")
    assert report["total"]["churned"] == 10
    assert report["auc"] == pytest.approx(area(SCORES, CHURNED), abs=1e-6)
    assert "churned or contracted within 90 days" in report["detail"]


def test_who_leaves_and_is_back_within_the_horizon_has_not_churned(history: Service) -> None:
    history.send(*(price(account, "100", at="2025-08-20") for account in CHURNED[:3]))
    assert backtest(history)["total"]["churned"] == 7


def test_each_cut_off_has_the_model_that_held_then(history: Service) -> None:
    """The second version, of July, turns the scale round; nobody knew it in June."""
    reversed_scale = [{"id": "uses", "kind": "value", "metric": "feature_uses", "poor": 100, "good": 0, "weight": 1}]
    put_model(history, "2025-07-15", components=reversed_scale)
    report = backtest(history)
    assert (report["cut_offs"][0]["model_version"], report["model_versions"], report["verdict"]) == (1, [1], "predicts")
    current = backtest(history, model="current")
    assert (current["cut_offs"][0]["model_version"], current["verdict"]) == (2, "inverted")
    assert current["auc"] == pytest.approx(1 - report["auc"], abs=1e-6)
    [warning] = current["warnings"]
    assert warning["code"] == "not_out_of_sample" and "not in force at 1 of the cut-offs" in warning["detail"]
    # As of a day before the change, the version of then is the current one.
    assert backtest(history, horizon_days=30, model="current", as_of="2025-07-14")["model_versions"] == [1]


def test_an_account_that_recurs_counts_at_every_cut_off(service: Service) -> None:
    put_model(service)
    send_history(service, SCORES, CHURN, used_on=("2025-05-20", "2025-06-25"))
    report = backtest(service, start="2025-06-01", end="2025-07-02")
    assert [own["observations"] for own in report["cut_offs"]] == [40, 40]
    total = report["total"]
    assert (total["observations"], total["accounts"], total["churned"], total["churn_rate"]) == (80, 40, 20, 25.0)
    # Both observations of an account are alike, so the interval is that of forty.
    assert total["interval"] == pytest.approx(wilson_interval(10, 40), abs=1e-6)
    assert (report["auc"], total["lift"]) == (pytest.approx(area(SCORES, CHURNED), abs=1e-6), 4.0)


def test_the_table_has_a_row_for_each_figure(history: Service) -> None:
    answer = history.request("GET", "/v1/health-model/backtest", params={"period": "2025-06", "format": "csv"})
    header, *lines = answer.text.splitlines()
    assert header == (
        "part,name,until,horizon_days,model_version,observations,accounts,churned,churn_rate,low,high,auc,auc_low,auc_high,lift,"
        "average_score,found_percent,false_alarm_percent,reason"
    )
    assert [line.split(",")[:2] for line in lines][:5] == [
        ["total", "predicts"],
        ["cut_off", "2025-06-01"],
        ["band", "critical"],
        ["band", "at_risk"],
        ["band", "healthy"],
    ]
    # Everybody is below the last limit.
    assert [line for line in lines if line.startswith("roc,")][-1] == "roc,below 80,,90,,40,,10,,,,,,,,,100.0,100.0,"
    assert lines[1].startswith("cut_off,2025-06-01,2025-08-30,90,1,40,40,10,25.0,")
    scores = history.request("GET", "/v1/health-model/backtest/scores", params={"period": "2025-06", "format": "csv"})
    assert (
        scores.text.splitlines()[0]
        == "cut_off,until,horizon_days,model_version,account,score,band,coverage,churned,left_out"
    )
    assert len(scores.text.splitlines()) == 41


def test_an_answer_has_a_tag_that_stays_until_the_answer_changes(history: Service) -> None:
    def ask(**headers: str) -> Any:
        return history.request("GET", "/v1/health-model/backtest", params={"period": "2025-06"}, headers=headers)

    tag = ask().headers["etag"]
    assert ask(**{"If-None-Match": tag}).status_code == 304
    history.send(leaves("account-39", at="2025-08-01", recorded_on="2026-03-15"))
    assert ask(**{"If-None-Match": tag}).status_code == 200


def test_pages_of_scores_follow_each_other(history: Service) -> None:
    span = {"start": "2025-06-01", "end": "2025-08-02"}
    everything = score_rows(history, **span)
    assert score_rows(history, **span, limit=17) == everything
    assert [row["cut_off"] for row in everything] == 40 * ["2025-06-01"] + 40 * ["2025-07-01"] + 30 * ["2025-08-01"]
    first = history.request("GET", "/v1/health-model/backtest/scores", params=span | {"limit": 17})
    assert 'rel="next"' in first.headers["link"]


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"horizon_days": 0}, "/query/horizon_days", "greater_than_equal"),
        ({"horizon_days": 731}, "/query/horizon_days", "less_than_equal"),
        ({"outcome": "left"}, "/query/outcome", "literal_error"),
        ({"model": "best"}, "/query/model", "literal_error"),
        ({"period": "2025-06-15"}, "/query/period", "invalid_period"),
        ({"period": "2027"}, "/query/period", "invalid_period"),
        ({"start": "1971-01-01"}, "/query/period", "too_many_periods"),
        ({"start": "2025-07-01", "end": "2025-06-01"}, "/query/end", "invalid_period"),
        ({"start": "1969-01-01"}, "/query/start", "invalid_period"),
        ({"as_of": "2030-01-01"}, "/query/as_of", "invalid_as_of"),
        ({"group_by": "plan"}, "/query/group_by", "extra_forbidden"),
    ],
)
def test_invalid_parameters_of_a_back_test_are_errors(
    service: Service, parameters: Any, pointer: str, code: str
) -> None:
    for path in ("", "/scores"):
        answer = service.request("GET", f"/v1/health-model/backtest{path}", params=parameters)
        [fault] = answer.json()["errors"]
        assert (answer.status_code, fault["pointer"], fault["code"]) == (422, pointer, code)


def test_a_cursor_of_another_question_is_an_error(history: Service) -> None:
    for cursor in ("abc", "2025-06-01.1", "2025-07-01"):
        parameters = {"period": "2025-06", "cursor": cursor}
        answer = history.request("GET", "/v1/health-model/backtest/scores", params=parameters)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


def test_without_anything_recorded_there_is_an_answer(service: Service) -> None:
    report = backtest(service)
    assert (report["verdict"], report["reason"]) == ("cannot_tell", "horizon_not_closed")
    visit(service)
    report = backtest(service)
    assert (report["verdict"], report["reason"]) == ("cannot_tell", "no_customers")
    report = backtest(service, as_of="2025-01-02", period="2024-06")
    assert (report["verdict"], report["reason"]) == ("cannot_tell", "nothing_known_yet")
    assert service.get("/v1/health-model/backtest/scores", as_of="2025-01-02")["reason"] == "nothing_known_yet"


def test_too_many_accounts_and_months_are_refused_before_they_are_scored(
    history: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.health.backtest.observe.MAX_ACCOUNT_CUT_OFFS", 100)
    span = {"start": "2025-06-01", "end": "2025-08-02"}
    answer = history.request("GET", "/v1/health-model/backtest", params=span)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rows")
    assert "Test 2 months at a time" in answer.json()["detail"]
    monkeypatch.setattr("app.health.backtest.observe.MAX_ACCOUNT_CUT_OFFS", 50)
    answer = history.request("GET", "/v1/health-model/backtest", params=span)
    assert "customers at 3 cut-offs" in answer.json()["detail"]


def test_many_cut_offs_are_scored_a_few_at_a_time(history: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    span = {"start": "2025-03-01", "end": "2025-12-01"}
    whole = backtest(history, **span)
    monkeypatch.setattr("app.health.scores.MAX_ACCOUNT_DAYS", 80)
    assert backtest(history, **span) == whole
