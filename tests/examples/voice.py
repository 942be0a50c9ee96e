"""Published examples about surveys."""

from itertools import chain, repeat
from math import sqrt
from typing import Any

import pytest

from tests.examples.define import FEBRUARY_10, MONTH, Case, example
from tests.support.service import event, survey_responses


def responses(survey: str, counts: dict[int, int]) -> list[dict[str, Any]]:
    """Return as many responses with each score as `counts` says."""
    return survey_responses(
        survey, list(chain.from_iterable(repeat(score, times) for score, times in counts.items())), at=FEBRUARY_10
    )


NPS = {
    "nps-r-single-0": ([0], -100),
    "nps-r-single-7": ([7], 0),
    "nps-npspy-2": ([7, 9], 50),
    "nps-npspy-3": ([0, 7], -50),
    "nps-odoo": (range(11), -45.4545),
}


@example(*NPS)
def nps_is_promoters_minus_detractors_with_decimals(case: Case) -> None:
    scores, expected = NPS[case.id]
    case.send(*survey_responses("nps", list(scores), at=FEBRUARY_10))
    case.expect({"nps": expected}, within=0.01)


@example("nps-dismissed")
def an_invitation_without_a_response_is_in_no_score(case: Case) -> None:
    case.send(*(event("survey.sent", at=FEBRUARY_10, survey="nps") for _ in range(3)), *responses("nps", {10: 1}))
    case.expect({"nps": 100, "survey_responses": 1}, within=0.01)
    case.expect_not({"nps": 33.33})


@example("nps-invalid")
def a_score_that_is_no_number_is_rejected_and_not_zero(case: Case) -> None:
    case.send(*responses("nps", {5: 1}))
    wrong = [event("survey.responded", at=FEBRUARY_10, survey="nps", score=score) for score in ("invalid", None)]
    assert len(case.rejection_codes(*wrong)) == 2
    case.expect({"nps": -100, "survey_responses": 1})


@example("nps-decimals")
def a_score_with_decimals_is_rejected(case: Case) -> None:
    wrong = [event("survey.responded", at=FEBRUARY_10, survey="nps", score=score) for score in (6.5, 8.5)]
    case.send(*responses("nps", {6: 1, 8: 1}))
    assert len(case.rejection_codes(*wrong)) == 2
    case.expect({"nps": -50, "survey_responses": 2})
    case.expect_not({"nps": 0})


@example("nps-scale-maps")
def nps_accepts_the_scale_1_to_10_and_no_shorter_one(case: Case) -> None:
    for high in (3, 5, 7, 10):
        survey = {"kind": "nps", "scale": {"min": 1, "max": high}}
        answer = case.service.request("PUT", f"/v1/surveys/nps-of-{high}", json=survey)
        assert answer.is_success if high == 10 else answer.status_code == 422, answer.text
    case.send(*responses("nps-of-10", {10: 2, 9: 1, 8: 1, 1: 1}))
    case.expect({"nps": 40})
    each = [event("survey.responded", f"of-{score}", survey="nps-of-10", score=score) for score in range(1, 11)]
    case.send(*each)
    readings = {1: -100, 2: -100, 3: -100, 4: -100, 5: -100, 6: -100, 7: 0, 8: 0, 9: 100, 10: 100}
    nps_by_account = case.by_account("nps", period="2026-03")
    assert {score: nps_by_account[f"of-{score}"] for score in readings} == {
        score: [value] for score, value in readings.items()
    }


@example("nps-ci-forum")
def the_margin_of_many_responses_is_that_of_the_plain_wald_interval(case: Case) -> None:
    case.send(*responses("nps", {9: 291, 8: 476, 6: 395}))
    case.expect({"nps": -8.9501}, within=0.01)
    row = case.row("nps")
    low, high = row["interval"]
    assert row["sample_size"] == 1162
    assert (high - low) / 2 == pytest.approx(4.3878, abs=0.01)


@example("nps-ci-adjusted-wald")
def the_interval_is_the_adjusted_wald_interval(case: Case) -> None:
    case.send(*responses("nps", {10: 291, 7: 476, 0: 395}))
    assert case.row("nps")["interval"] == pytest.approx([-13.3084, -4.5457], abs=0.001)
    case.send(*(response | {"account_id": "small"} for response in responses("nps", {10: 3, 7: 2, 0: 1})))
    small = case.service.row("nps", account=case.account_id("small"), period="2026-02")
    assert small["interval"] == pytest.approx([-26.7433, 71.1877], abs=0.001)


@example("nps-ci-rule-of-thumb")
def the_interval_narrows_with_the_root_of_the_number_of_responses(case: Case) -> None:
    # A third of 100 responses is no whole number, and with so few the adjustment shows. The rule: the width times the root of
    # the number of responses is 320 when each class has a third. With 100 responses that is 32.0, within 0.1.
    case.send(*responses("nps", {10: 1000, 7: 1000, 0: 1000}))
    low, high = case.row("nps")["interval"]
    assert (high - low) * sqrt(3000) == pytest.approx(320, abs=0.1 * sqrt(100))


CSAT = {
    "csat-formbricks-1": ({5: 1, 4: 1, 2: 1, 1: 1}, 50),
    "csat-formbricks-2": ({5: 2, 4: 1, 3: 1, 1: 1}, 60),
    "csat-simple-1": ({5: 150, 3: 100}, 60),
    "csat-delighted-2": ({5: 40, 4: 30, 3: 10, 2: 5, 1: 15}, 70),
}


@example(*CSAT)
def the_two_best_scores_of_five_are_satisfied(case: Case) -> None:
    counts, expected = CSAT[case.id]
    case.send(*responses("csat", counts))
    case.expect({"csat": expected})


@example("csat-pisano-mean")
def the_mean_score_is_another_convention_of_csat(case: Case) -> None:
    case.send(*responses("csat", {5: 10, 4: 4, 2: 2}))
    case.expect({"csat": 87.5})
    case.expect({"csat": 84.375}, **MONTH, convention="mean_over_range")


def effort(case: Case, survey: str, high: int, easy_is: str) -> str:
    case.service.put(f"/v1/surveys/{survey}", {"kind": "ces", "scale": {"min": 1, "max": high}, "easy_is": easy_is})
    return survey


@example("ces-delighted")
def agreement_on_a_scale_where_high_is_easy_means_easy(case: Case) -> None:
    survey = effort(case, "agreement-of-5", 5, easy_is="high")
    case.send(*responses(survey, {1: 2, 2: 3, 3: 5, 4: 4, 5: 6}))
    case.expect({"ces_easy_rate": 50})
    case.expect({"ces": 50}, **MONTH, convention="easy_rate")


@example("ces-formbricks-7")
def effort_is_the_mean_score_and_is_null_over_two_scales(case: Case) -> None:
    case.send(*responses(effort(case, "effort-of-7", 7, easy_is="high"), {7: 1, 6: 1, 1: 1}))
    case.expect({"ces": 4.67}, within=0.01)
    case.expect({"ces": 4.67}, within=0.01, **MONTH, convention="mean")
    case.send(*responses(effort(case, "effort-of-5", 5, easy_is="high"), {5: 1}))
    row = case.row("ces")
    assert (row["value"], row["reason"]) == (None, "mixed_scales")


@example("ces-direction-trap")
def the_survey_declares_whether_high_is_easy(case: Case) -> None:
    scale = {"kind": "ces", "scale": {"min": 1, "max": 7}}
    assert case.service.request("PUT", "/v1/surveys/directionless", json=scale).status_code == 422
    for easy_is, expected in (("low", 0), ("high", 100)):
        survey = effort(case, f"easy-is-{easy_is}", 7, easy_is=easy_is)
        case.send(*responses(survey, {7: 2, 6: 1}))
        case.expect({"ces_easy_rate": expected}, subject=survey, period="2026-02")
        case.expect_not({"ces_easy_rate": 100 - expected}, subject=survey, period="2026-02")


@example("survey-funnel")
def the_response_rate_is_responses_per_invitation(case: Case) -> None:
    case.send(*(event("survey.sent", at=FEBRUARY_10, survey="nps") for _ in range(10)), *responses("nps", {9: 2}))
    case.expect({"survey_response_rate": 20}, within=0.01)
