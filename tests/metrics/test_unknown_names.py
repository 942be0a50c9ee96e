"""Names that were never recorded are is_problem, with the nearest ones; with strict=false they count as empty."""

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.campaign import examples
from tests.support.hostile import is_problem, post, without_deadline
from tests.support.service import Service, account_update, event, session, survey_responses

ACCOUNTS = ["acme", "globex", "initech-eu"]


@pytest.fixture(scope="module", autouse=True)
def content(shared: Service) -> None:
    shared.send(
        account_update("acme", plan="pro", region="emea", seats=40, account_tier="gold"),
        account_update("globex", plan="free"),
        account_update("initech-eu", **{"Zip code": "10115"}),
        *(session(account) for account in ACCOUNTS),
        event("feature.used", user="ada", feature="export"),
        event("feature.used", user="ada", feature="dark-mode"),
        event("ticket.opened", ticket_id="1", channel="email"),
        *survey_responses("nps", [9, 3], channel="in-app", comment="Good."),
    )
    shared.put("/v1/segments/core", {"filter": 'plan = "pro"'})
    shared.put("/v1/segments/misspelt?strict=false", {"filter": 'plann = "pro"'})


def faults(answer: httpx.Response, status: int = 422) -> list[tuple[str, str, str, list[str]]]:
    """Return pointer, code, name and suggestions of each fault of an error."""
    assert is_problem(answer, status), answer.text
    return [(f["pointer"], f["code"], f["name"], f["did_you_mean"]) for f in answer.json()["errors"]]


def ask(service: Service, metric: str = "sessions", **params: Any) -> httpx.Response:
    return service.request("GET", f"/v1/metrics/{metric}", params={"period": "2026-03"} | params)


UNKNOWN: list[tuple[str, dict[str, Any], tuple[str, str, str, list[str]]]] = [
    ("sessions", {"filter": 'plann = "pro"'}, ("/query/filter", "unrecorded_attribute", "plann", ["plan"])),
    ("sessions", {"filter": "Plan is null"}, ("/query/filter", "unrecorded_attribute", "Plan", ["plan"])),
    ("sessions", {"filter": "not industry = 1"}, ("/query/filter", "unrecorded_attribute", "industry", [])),
    ("sessions", {"group_by": "reigon"}, ("/query/group_by", "unrecorded_attribute", "reigon", ["region"])),
    ("sessions", {"group_by": "zip_code"}, ("/query/group_by", "unrecorded_attribute", "zip_code", ["Zip code"])),
    ("sessions", {"segment": "misspelt"}, ("/query/segment", "unrecorded_attribute", "plann", ["plan"])),
    ("sessions", {"group_by": "segment"}, ("/query/group_by", "unrecorded_attribute", "plann", ["plan"])),
    ("sessions", {"account": "Acme"}, ("/query/account", "unknown_account", "Acme", ["acme"])),
    ("sessions", {"account": "acmee"}, ("/query/account", "unknown_account", "acmee", ["acme"])),
    ("sessions", {"account": "gloebx"}, ("/query/account", "unknown_account", "gloebx", ["globex"])),
    ("sessions", {"account": "initech"}, ("/query/account", "unknown_account", "initech", ["initech-eu"])),
    ("feature_uses", {"subject": "exprot"}, ("/query/subject", "unknown_subject", "exprot", ["export"])),
    ("feature_uses", {"subject": "dark mode"}, ("/query/subject", "unknown_subject", "dark mode", ["dark-mode"])),
    # Labels of other measures: a channel is no feature, a feature no survey.
    ("feature_uses", {"subject": "email"}, ("/query/subject", "unknown_subject", "email", [])),
    ("nps", {"subject": "export"}, ("/query/subject", "unknown_subject", "export", [])),
    ("nps", {"channel": "email"}, ("/query/channel", "unknown_channel", "email", [])),
    ("support_tickets", {"channel": "emial"}, ("/query/channel", "unknown_channel", "emial", ["email"])),
    ("nps", {"subject": "npss"}, ("/query/subject", "unknown_subject", "npss", ["nps"])),
]


@pytest.mark.parametrize(("metric", "params", "fault"), UNKNOWN, ids=repr)
def test_a_name_that_was_never_recorded_is_refused(
    metric: str, params: dict[str, Any], fault: tuple[str, str, str, list[str]], shared: Service
) -> None:
    answer = ask(shared, metric, **params)
    assert faults(answer) == [fault]
    assert answer.json()["code"] == fault[1]
    assert f'"{fault[2]}"' in answer.json()["detail"]


@pytest.mark.parametrize(("metric", "params", "fault"), UNKNOWN, ids=repr)
def test_a_name_that_was_never_recorded_is_empty_if_the_question_is_not_strict(
    metric: str, params: dict[str, Any], fault: Any, shared: Service
) -> None:
    answer = ask(shared, metric, **params, strict="false").json()
    assert answer["question"]["strict"] is False
    assert all(not row["value"] or row["group"] for row in answer["rows"]) or fault[0] == "/query/filter"


def test_a_question_without_unknown_names_does_not_say_that_it_is_strict(shared: Service) -> None:
    assert "strict" not in ask(shared).json()["question"]


def test_all_unknown_names_of_a_question_are_listed_with_its_other_faults(shared: Service) -> None:
    params = {"metrics": "sessions,npss", "filter": 'plann = "x" and industry = 1', "group_by": "reigon,acount"}
    answer = shared.request("GET", "/v1/query", params=params | {"account": ["nobody", "acme", "globexx"]})
    assert {(pointer, name) for pointer, _, name, _ in faults(answer)} == {
        ("/query/metrics", "npss"),
        ("/query/filter", "plann"),
        ("/query/filter", "industry"),
        ("/query/group_by", "reigon"),
        ("/query/group_by", "acount"),
        ("/query/account", "nobody"),
        ("/query/account", "globexx"),
    }
    assert answer.json()["code"] == "invalid"
    body = {
        "metrics": ["sessions"],
        "account": ["nobody"],
        "convention": "none",
        "period": "never",
        "as_of": "2027-01-01",
    }
    answer = post(shared, body, path="/v1/query")
    codes = [fault["code"] for fault in answer.json()["errors"]]
    assert codes == ["unknown_convention", "invalid_as_of", "invalid_period", "unknown_account"]


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"segment": "cor"}, ("/query/segment", "unknown_segment", "cor", ["core"])),
        ({"convention": "defualt"}, ("/query/convention", "unknown_convention", "defualt", ["default"])),
        ({"fliter": "plan = 1"}, ("/query/fliter", "extra_forbidden", "fliter", ["filter"])),
        ({"GroupBy": "plan"}, ("/query/GroupBy", "extra_forbidden", "GroupBy", ["group_by"])),
    ],
    ids=repr,
)
@pytest.mark.parametrize("strict", ["true", "false"])
def test_a_definition_or_parameter_that_does_not_exist_is_always_refused(
    params: dict[str, str], fault: Any, strict: str, shared: Service
) -> None:
    assert faults(ask(shared, **params, strict=strict)) == [fault]


def test_an_unknown_name_in_a_path_is_not_found(shared: Service) -> None:
    paths = {
        "/v1/metrics/sesions": ("/path/metric", "unknown_metric", "sesions", ["sessions"]),
        "/v1/metrics/sesions/contributors": ("/path/metric", "unknown_metric", "sesions", ["sessions"]),
        "/v1/accounts/acmee": ("/path/account_id", "unknown_account", "acmee", ["acme"]),
        "/v1/accounts/acmee/overview": ("/path/account_id", "unknown_account", "acmee", ["acme"]),
        "/v1/surveys/npss/distribution": ("/path/survey_id", "unknown_survey", "npss", ["nps"]),
    }
    for path, fault in paths.items():
        assert faults(shared.request("GET", path), 404) == [fault]
    assert faults(shared.request("DELETE", "/v1/segments/cor"), 404) == [
        ("/path/name", "unknown_segment", "cor", ["core"])
    ]
    answer = shared.request("DELETE", "/v1/accounts/acmee/users/ada/personal-data")
    assert faults(answer, 404) == [("/path/account_id", "unknown_account", "acmee", ["acme"])]
    # Whoever may only send events does not learn which accounts there are.
    answer = shared.request("DELETE", "/v1/accounts/acmee/events/one")
    assert faults(answer, 404) == [("/path/account_id", "unknown_account", "acmee", [])]


def test_a_segment_is_not_defined_by_an_attribute_that_no_account_has_ever_had(shared: Service) -> None:
    answer = post(shared, {"filter": 'plann = "pro" and seat > 3'}, path="/v1/segments/new", method="PUT")
    assert faults(answer) == [
        ("/filter", "unrecorded_attribute", "plann", ["plan"]),
        ("/filter", "unrecorded_attribute", "seat", ["seats"]),
    ]
    assert "new" not in [segment["name"] for segment in shared.get("/v1/segments")["segments"]]


# Every endpoint that has a parameter for such names, whatever else it is about.
NAMES = {
    "filter": ('plann = "pro"', "unrecorded_attribute"),
    "group_by": ("plann", "unrecorded_attribute"),
    "segment": ("misspelt", "unrecorded_attribute"),
    "account": ("acmee", "unknown_account"),
    "subject": ("exprot", "unknown_subject"),
    "channel": ("emial", "unknown_channel"),
}
REQUIRED: dict[str, dict[str, Any]] = {
    "/v1/query": {"metrics": "nps"},
    "/v1/cohorts/accounts": {"period": "2026-02", "cohort": "2026-02", "number": 0},
}
IN_PATHS = {"metric": "nps", "survey_id": "nps", "account_id": "acme"}


def endpoints(service: Service) -> Iterator[tuple[str, str]]:
    """Yield the path of every GET with a parameter for names that only data can bring, and the parameter."""
    for path, operations in service.app.openapi()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query" and parameter["name"] in NAMES:
                yield path, parameter["name"]


def test_every_endpoint_refuses_unknown_names_in_every_parameter(shared: Service) -> None:
    checked = list(endpoints(shared))
    assert len(checked) >= 45
    assert {path for path, _ in checked} >= {"/v1/cohorts", "/v1/onboarding/funnel", "/v1/feedback", "/v1/accounts"}
    for path, name in checked:
        filled = re.sub(r"\{(\w+)\}", lambda match: IN_PATHS[match[1]], path)
        value, code = NAMES[name]
        params = {name: value} | REQUIRED.get(path, {})
        answer = shared.request("GET", filled, params=params)
        # The events behind a number have no groups at all.
        codes = {fault["code"] for fault in answer.json().get("errors", ())}
        assert answer.status_code == 422 and codes in ({code}, {"not_grouped"}), (path, name, answer.text)
        answer = shared.request("GET", filled, params=params | {"strict": "false"})
        assert answer.status_code == 200 or answer.json()["code"] == "not_grouped", (path, name, answer.text)


def test_a_name_that_arrives_is_known_in_the_next_question(shared: Service) -> None:
    assert ask(shared, group_by="industry").status_code == 422
    assert ask(shared, account="hooli").status_code == 422
    assert ask(shared, "feature_uses", subject="share").status_code == 422
    shared.send(account_update("hooli", industry="media"), event("feature.used", "hooli", user="eve", feature="share"))
    for metric, params in (
        ("sessions", {"group_by": "industry"}),
        ("sessions", {"account": "hooli"}),
        ("feature_uses", {"subject": "share"}),
    ):
        assert ask(shared, metric, **params).status_code == 200


def test_what_was_recorded_once_stays_a_name(shared: Service) -> None:
    """Also on a day before it was recorded, and after it was retracted: answers as of other days have it."""
    shared.send(event("feature.used", "umbrella", user="eve", feature="fax", id="gone"))
    shared.retract("umbrella", "gone")
    assert ask(shared, "feature_uses", subject="fax").json()["rows"][0]["value"] == 0
    assert ask(shared, account="umbrella").json()["rows"][0]["value"] == 0
    assert ask(shared, group_by="plan", as_of="2026-03-14").status_code == 200


def test_a_declared_survey_needs_no_responses_to_be_known(shared: Service) -> None:
    shared.put("/v1/surveys/onboarded", {"kind": "csat", "scale": {"min": 1, "max": 5}})
    assert ask(shared, "csat", subject="onboarded").json()["rows"][0]["reason"] == "no_responses"
    assert ask(shared, "survey_responses", subject="onboarded").json()["rows"][0]["value"] == 0


def test_a_channel_is_known_before_the_metric_has_counted_anything_with_it(service: Service) -> None:
    service.send(
        event("ticket.opened", ticket_id="1", channel="phone"), event("survey.sent", survey="csat", channel="sms")
    )
    # Nothing is resolved or answered yet, and that is an answer.
    for metric in ("ticket_backlog", "tickets_resolved", "average_first_response_hours", "average_resolution_hours"):
        assert service.row(metric, channel="phone")["value"] in (0, 1, None)
    for metric in ("nps", "csat", "survey_responses", "survey_response_rate", "feedback_comments"):
        assert service.row(metric, channel="sms")["value"] in (0, None)
    assert service.get("/v1/feedback", channel="sms")["feedback"] == []
    assert faults(ask(service, "csat", channel="phone")) == [("/query/channel", "unknown_channel", "phone", [])]
    assert faults(ask(service, "tickets_resolved", channel="sms")) == [("/query/channel", "unknown_channel", "sms", [])]


def test_a_dimension_that_no_metric_has_is_one_fault(shared: Service) -> None:
    for metric, params in (
        ("mrr", {"channel": "email"}),
        ("onboarding_completion_rate", {"subject": "invite"}),
        ("sessions", {"subject": "export"}),
    ):
        (fault,) = ask(shared, metric, **params).json()["errors"]
        assert fault["code"] == "unknown_dimension"


def test_suggested_attributes_are_found_among_very_many(service: Service) -> None:
    keys = [f"key_{number:04}" for number in range(2_500)]
    for start in range(0, len(keys), 100):
        service.send(
            account_update(f"a{start}", **dict.fromkeys(keys[start : start + 100], 1)),
            account_update(f"b{start}", zone="x"),
        )
    for name, nearest in {"key_1": "key_0001", "key_02444": "key_2444", "key_24444": "key_2444", "zon": "zone"}.items():
        [(_, _, _, similar)] = faults(ask(service, group_by=name))
        assert nearest in similar or len(similar) == 3, (name, similar)


WORDS = ["export", "exports", "search", "email", "chat", "plan", "plans", "seats", "acme", "globex", "nps"]


@settings(without_deadline, max_examples=examples(25))
@given(st.integers(0, 2**32))
def test_a_question_is_refused_if_and_only_if_one_of_its_names_was_never_recorded(shared: Service, seed: int) -> None:
    random = Random(seed)
    prefix = f"{seed}-"
    recorded: dict[str, set[str]] = {name: set() for name in ("filter", "account", "subject", "channel")}
    events = []
    for _ in range(random.randrange(6)):
        account, word = prefix + random.choice(WORDS), prefix + random.choice(WORDS)
        recorded["account"].add(account)
        kind = random.choice(["subject", "channel", "filter"])
        recorded[kind].add(word)
        if kind == "subject":
            events.append(event("feature.used", account, user="ada", feature=word))
        elif kind == "channel":
            events.append(event("ticket.opened", account, ticket_id=word, channel=word))
        else:
            events.append(account_update(account, **{word: 1}))
    if events:
        shared.send(*events)
    name = random.choice([*recorded])
    words = [prefix + word for word in random.sample(WORDS, random.randint(1, 3))]
    metric = {"subject": "feature_uses", "channel": "support_tickets"}.get(name, "sessions")
    value: Any = " or ".join(f"`{word}` = 1" for word in words) if name == "filter" else words
    answer = ask(shared, metric, **{name: value})
    unknown = sorted(set(words) - recorded[name])
    if unknown:
        assert sorted(fault_name for _, _, fault_name, _ in faults(answer)) == unknown
    else:
        assert answer.status_code == 200
