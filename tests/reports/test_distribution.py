"""The distribution of the scores of a survey."""

from collections import Counter
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.ledger.surveys import Survey
from tests.model.calendar import DAY
from tests.model.cohorts import split_range
from tests.model.generators import random_event, random_filter
from tests.model.pair import Pair
from tests.support.campaign import examples
from tests.support.service import Service, account_update, survey_responses

FEW_EXAMPLES = settings(deadline=None, max_examples=examples(8), suppress_health_check=list(HealthCheck))
SCALES = {"nps": (0, 10), "csat": (1, 5), "visit": (1, 10), "effort": (1, 7), "effort-low": (1, 7)}


def rows_of(service: Service, survey: str = "nps", **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a distribution, by default of March."""
    period = {} if "start" in parameters else {"period": "2026-03"}
    return service.get(f"/v1/surveys/{survey}/distribution", **(period | parameters))["rows"]


def counts(service: Service, survey: str = "nps", **parameters: Any) -> dict[Any, int]:
    """Return the number of responses by score or class, without those that have none."""
    rows = rows_of(service, survey, **parameters)
    return {row.get("score", row["class"]): row["count"] for row in rows if row["count"]}


def test_every_score_of_the_scale_has_its_share_and_its_cumulative_share(service: Service) -> None:
    service.send(*survey_responses("csat", [5, 5, 4, 2]), *survey_responses("nps", [5]))
    rows = rows_of(service, "csat")
    columns = ("score", "class", "count", "responses", "percent", "cumulative_percent")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (1, "unsatisfied", 0, 4, 0.0, 0.0),
        (2, "unsatisfied", 1, 4, 25.0, 25.0),
        (3, "unsatisfied", 0, 4, 0.0, 25.0),
        (4, "satisfied", 1, 4, 25.0, 50.0),
        (5, "satisfied", 2, 4, 50.0, 100.0),
    ]


def test_the_scores_of_a_class_are_one_row(service: Service) -> None:
    service.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "low"})
    service.send(*survey_responses("nps", [0, 6, 7, 8, 9, 10, 10]), *survey_responses("effort", [1, 3, 4, 5]))
    assert counts(service, by="class") == {"detractor": 2, "passive": 2, "promoter": 3}
    assert counts(service, "effort", by="class") == {"easy": 2, "neutral": 1, "difficult": 1}
    last = rows_of(service, by="class")[-1]
    assert (last["class"], last["percent"], last["cumulative_percent"]) == ("promoter", 42.857143, 100.0)


def test_a_distribution_may_be_by_channel_period_and_group(service: Service) -> None:
    service.send(
        account_update("acme", plan="pro"),
        *survey_responses("nps", [9, 9], channel="email"),
        *survey_responses("nps", [3], "globex", channel="chat"),
        *survey_responses("nps", [1], at="2026-02-10"),
    )
    by_channel = [row for row in rows_of(service, group_by="channel") if row["count"]]
    assert [(row["group"], row["score"], row["count"]) for row in by_channel] == [
        ({"channel": "chat"}, 3, 1),
        ({"channel": "email"}, 9, 2),
    ]
    assert counts(service, channel="chat") == {3: 1}
    assert counts(service, filter='plan = "pro"') == {9: 2}
    by_plan = [row for row in rows_of(service, group_by="plan") if row["count"]]
    assert [(row["group"]["plan"], row["score"]) for row in by_plan] == [(None, 3), ("pro", 9)]
    months = [row for row in rows_of(service, period="2026-Q1", totals="true") if row["count"]]
    assert [(row["period"], row["score"], row["responses"]) for row in months] == [
        ("2026-02", 1, 1),
        ("2026-03", 3, 3),
        ("2026-03", 9, 3),
        ("total", 1, 4),
        ("total", 3, 4),
        ("total", 9, 4),
    ]


def test_a_retracted_response_counts_as_of_an_earlier_day(service: Service) -> None:
    wrong = survey_responses("nps", [2])[0]
    service.send(wrong, *survey_responses("nps", [9]))
    service.on("2026-03-16").retract("acme", wrong["id"])
    assert counts(service) == {9: 1}
    assert counts(service, as_of="2026-03-15") == {2: 1, 9: 1}


def test_without_responses_there_are_no_shares(service: Service) -> None:
    assert [(row["count"], row["responses"], row["percent"]) for row in rows_of(service, by="class")] == [
        (0, 0, None)
    ] * 3


def test_a_survey_whose_name_ends_like_a_score_is_not_confused_with_another(service: Service) -> None:
    for name in ("a", "a 1"):
        service.put(f"/v1/surveys/{name}", {"kind": "csat", "scale": {"min": 0, "max": 11}})
    service.send(*survey_responses("a", [1, 11]), *survey_responses("a 1", [1, 1]))
    assert (counts(service, "a"), counts(service, "a 1")) == ({1: 1, 11: 1}, {1: 2})


def test_the_distribution_as_csv_is_tagged(service: Service) -> None:
    service.send(*survey_responses("nps", [9, 3], channel="email"))
    parameters = {"period": "2026-03", "by": "class", "group_by": "channel", "format": "csv"}
    answer = service.request("GET", "/v1/surveys/nps/distribution", params=parameters)
    assert answer.text.splitlines() == [
        "period,start,end,complete,channel,class,count,responses,percent,cumulative_percent",
        "2026-03,2026-03-01,2026-04-01,false,email,detractor,1,2,50.0,50.0",
        "2026-03,2026-03-01,2026-04-01,false,email,passive,0,2,0.0,50.0",
        "2026-03,2026-03-01,2026-04-01,false,email,promoter,1,2,50.0,100.0",
    ]
    headers = {"If-None-Match": answer.headers["etag"]}
    assert service.request("GET", "/v1/surveys/nps/distribution", params=parameters, headers=headers).status_code == 304


def test_the_answer_has_the_survey_and_pages(service: Service) -> None:
    first = service.get("/v1/surveys/csat/distribution", period="2026-03", limit=3)
    second = service.get("/v1/surveys/csat/distribution", period="2026-03", limit=3, cursor=first["next"])
    assert (first["survey"]["kind"], first["survey"]["satisfied_from"]) == ("csat", 4)
    assert [row["score"] for row in first["rows"] + second["rows"]] == [1, 2, 3, 4, 5]


def test_an_unknown_survey_is_not_found(service: Service) -> None:
    assert service.request("GET", "/v1/surveys/unheard/distribution").status_code == 404


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"group_by": "subject"}, "/query/group_by"),
        ({"subject": "nps"}, "/query/subject"),
        ({"by": "mood"}, "/query/by"),
        ({"granularity": "hour"}, "/query/granularity"),
        ({"group_by": "a,b,c,d"}, "/query/group_by"),
        ({"segment": "unheard"}, "/query/segment"),
    ],
)
def test_invalid_parameters_of_a_distribution_are_errors(service: Service, parameters: Any, pointer: str) -> None:
    answer = service.request("GET", "/v1/surveys/nps/distribution", params=parameters)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("survey", "classes"),
    [
        (Survey("", "nps", 1, 10, None, None, None, False), "ddddddppPP"),
        (Survey("", "csat", 1, 10, 7, None, None, False), "uuuuuussss"),
        (Survey("", "ces", 1, 7, None, "high", None, False), "dddneee"),
        (Survey("", "ces", 1, 10, None, "low", None, False), "eeeeeddddd"),
    ],
)
def test_the_class_of_a_score_follows_from_its_survey(survey: Survey, classes: str) -> None:
    letters = {"promoter": "P"}
    names = [survey.class_of(score) for score in survey.scores]
    assert "".join(letters.get(name, name[0]) for name in names) == classes


def check_distribution(random: Random, pair: Pair) -> None:
    """Compare a random distribution with a count of the responses in the model."""
    survey = random.choice(sorted(SCALES))
    low, high = SCALES[survey]
    granularity = random.choice(["day", "week", "month", "quarter", "year"])
    start, end = date(2026, 1, 10), date(2026, 3, 12) + DAY * random.randrange(20)
    as_of, where = random.choice([None, pair.today - DAY * 5]), random.choice([None, random_filter(random)])
    group_by = random.choice([(), ("channel",), ("plan",), ("channel", "vip")])
    recorded_by = as_of or pair.today
    expected: Counter[Any] = Counter()
    for history in pair.model.histories(recorded_by):
        for period in split_range(pair.model, start, end, granularity):
            if where is not None and not where.holds(lambda key, h=history, p=period: h.attribute(key, p.start)):
                continue
            for event in history.events:
                is_in_period = period.start <= event.day < min(period.end, recorded_by + DAY)
                if event.type == "survey.responded" and event.data["survey"] == survey and is_in_period:
                    dimensions = {"channel": event.data.get("channel")}
                    group = [
                        dimensions[key] if key in dimensions else history.attribute(key, period.start)
                        for key in group_by
                    ]
                    expected[period.name, repr(group), event.data["score"]] += 1
    options = {"as_of": as_of, "group_by": ",".join(group_by), "filter": where and where.text}
    parameters = {name: value for name, value in options.items() if value} | {"start": start, "end": end}
    parameters |= {"account": pair.accounts, "strict": "false"}
    rows = rows_of(pair.service, survey, granularity=granularity, **parameters)
    if not pair.is_known_on(as_of):
        assert {(row["count"], row["reason"]) for row in rows} <= {(None, "nothing_known_yet")}
        return
    responses = {(row["period"], repr([*row["group"].values()]), row["score"]): row["count"] for row in rows}
    assert {key: count for key, count in responses.items() if count} == expected
    assert {row["score"] for row in rows} <= set(range(low, high + 1))


def test_any_distribution_agrees_with_a_count_of_the_responses(service: Service) -> None:
    @FEW_EXAMPLES
    @given(st.builds(Random, st.integers(0, 2**32)))
    def run(random: Random) -> None:
        pair = Pair(service)
        for _ in range(3):
            pair.on(pair.today + DAY * random.randrange(9), hours=9)
            pair.send(*(random_event(random, pair) for _ in range(25)))
            responses = [key for key, event in pair.model.events.items() if event.type == "survey.responded"]
            for key in random.sample(responses, len(responses) // 4):
                pair.retract(*key)
        for _ in range(5):
            check_distribution(random, pair)
        assert pair.differences() == []

    run()
