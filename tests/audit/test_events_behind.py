"""The events behind a number: without them it is empty, and without all others it is the same."""

from collections.abc import Callable, Set
from datetime import date
from functools import cache
from random import Random
from typing import Any

import pytest

from app.audit.origins import origins_of
from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from app.ledger.measures import POSTING_RULES, EventView, activities_of, lines_of
from app.ledger.surveys import Survey
from app.metrics.define import METRICS as DEFINITIONS
from tests.model.calendar import DAY
from tests.model.formulas import METRICS
from tests.model.generators import random_event
from tests.model.pair import Pair, checked_fields
from tests.support.hostile import is_problem
from tests.support.service import Service, account_update, event, session, survey_responses

MARCH = {"start": date(2026, 3, 2), "end": date(2026, 3, 21), "granularity": "total"}


def get_events(service: Service, metric: str, **params: Any) -> list[dict[str, Any]]:
    params = params if "start" in params else {"period": "2026-03"} | params
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = service.get(f"/v1/metrics/{metric}/events", **params, **cursor)
        rows += page["rows"]
        if page["next"] is None:
            return rows
        cursor = {"cursor": page["next"]}


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


@pytest.fixture(scope="module")
def history(shared: Service) -> Callable[[int], Pair]:
    """Histories of some weeks of two accounts, by seed. Tests must not add events to them."""

    @cache
    def build_pair(seed: int) -> Pair:
        random = Random(seed)
        pair = Pair(shared, accounts=2).on(date(2026, 3, 24), hours=12)
        pair.send(*(random_event(random, pair) for _ in range(70)))
        return pair

    return lambda seed: build_pair(seed).at(build_pair(seed).now)


def send_again(pair: Pair, event_ids: Set[tuple[str, str]]) -> Pair:
    """Send some events of a history again, for two new accounts that have no others."""
    other = Pair(pair.service, accounts=2).at(pair.now)
    names = dict(zip(pair.accounts, other.accounts, strict=True))
    events = [sent.body | {"account_id": names[key[0]]} for key, sent in pair.model.events.items() if key in event_ids]
    if events:
        assert other.send(*events)["rejected"] == []
    return other


@pytest.mark.parametrize("name", METRICS)
def test_a_number_is_the_same_without_all_other_events(
    shared: Service, history: Callable[[int], Pair], name: str
) -> None:
    pair = history(len(name))
    side = "subject" if "subject" in METRICS[name].sides else None
    narrow: dict[str, Any] = {side: [pair_subject(pair, name)]} if side else {}
    before = [checked_fields(row) for row in pair.ask(name, **MARCH, **narrow)]
    event_ids = {
        (row["account_id"], row["id"]) for row in get_events(shared, name, **MARCH, **narrow, account=pair.accounts)
    }
    alone = send_again(pair, event_ids)
    assert [checked_fields(row) for row in alone.ask(name, **MARCH, **narrow)] == before


def pair_subject(pair: Pair, name: str) -> str:
    """Return a subject with data, if there is one."""
    rows = pair.ask(name, **MARCH, group_by=["subject"])
    return next((row["group"]["subject"] for row in rows if row["value"] and row["group"]["subject"]), "export")


@pytest.mark.parametrize("name", METRICS)
def test_a_number_is_empty_without_its_events(shared: Service, history: Callable[[int], Pair], name: str) -> None:
    pair = history(3 * len(name))
    event_ids = {(row["account_id"], row["id"]) for row in get_events(shared, name, **MARCH, account=pair.accounts)}
    (row,) = send_again(pair, pair.model.events.keys() - event_ids).ask(name, **MARCH)
    assert not row["denominator"] and not row["sample_size"] and row["value"] in (0, None)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_the_origins_of_a_metric_include_all_types_that_post_to_it(name: str) -> None:
    surveys = [Survey(kind, kind, 0, 10, 7, "high", None, answered=True) for kind in ("nps", "csat", "ces")]
    for survey in surveys:
        fact = EventView(name, "ada", example_event(name)["data"], survey)
        posted = {line.measure.name for line in lines_of(fact)} | {seen.presence.name for seen in activities_of(fact)}
        for metric in DEFINITIONS.values():
            origins = origins_of(metric.operands)
            if posted & frozenset().union(*(source.postings for source in origins.sources)):
                assert name in origins.event_types
    assert name in POSTING_RULES


def test_a_flow_has_exactly_its_events_of_the_period(service: Service) -> None:
    service.send(
        session() | {"id": "in"},
        session(at="2026-02-28") | {"id": "before"},
        event("feature.used", user="ada", feature="x"),
    )
    service.send(session("globex", at="2026-03-01T00:00:00Z", id="first"), account_update(plan="pro"))
    assert ids(get_events(service, "sessions")) == ["first", "in"]
    assert ids(get_events(service, "sessions", account="globex")) == ["first"]
    assert ids(get_events(service, "sessions", filter='plan = "pro"')) == ["in"]


def test_a_response_to_another_kind_of_survey_is_not_behind_a_score(service: Service) -> None:
    service.send(*survey_responses("nps", [9], id="nps"), *survey_responses("csat", [4], id="csat", channel="email"))
    assert ids(get_events(service, "nps")) == ["nps"]
    assert ids(get_events(service, "survey_responses")) == ["csat", "nps"]
    assert ids(get_events(service, "survey_responses", channel="email")) == ["csat"]
    assert ids(get_events(service, "survey_responses", subject="nps")) == ["nps"]


def test_a_balance_has_all_events_up_to_the_end_of_the_period(service: Service) -> None:
    for id, at, mrr in (("new", "2026-01-10", "10"), ("grew", "2026-03-05", "20"), ("later", "2026-04-02", "30")):
        service.on("2026-04-10").send(event("subscription.changed", at=at, subscription_id="one", mrr=mrr, id=id))
    assert ids(get_events(service, "mrr")) == ["new", "grew"]
    assert ids(get_events(service, "mrr", period="2026-01")) == ["new"]
    assert ids(get_events(service, "mrr", period="2025")) == []


def test_a_ticket_comes_with_all_its_events(service: Service) -> None:
    service.on("2026-04-10").send(
        event("ticket.opened", ticket_id="one", at="2026-03-10", id="opened"),
        event("ticket.resolved", ticket_id="one", at="2026-04-02", id="resolved"),
        event("ticket.opened", ticket_id="other", at="2026-02-10", id="earlier"),
    )
    assert ids(get_events(service, "average_resolution_hours")) == ["opened", "resolved"]
    assert ids(get_events(service, "ticket_backlog")) == ["earlier", "opened"]


def test_an_event_is_listed_as_it_is_stored(service: Service) -> None:
    service.send(session("acme", id="visit", at="2026-03-10T09:30:00Z"))
    service.on("2026-03-20").retract("acme", "visit")
    assert get_events(service, "sessions") == []
    assert get_events(service, "sessions", as_of="2026-03-19") == [
        {
            "id": "visit",
            "type": "session.ended",
            "account_id": "acme",
            "user_id": "ada",
            "occurred_at": "2026-03-10T09:30:00Z",
            "recorded_on": "2026-03-15",
            "retracted_on": "2026-03-20",
            "data": {"duration_seconds": 600},
        }
    ]
    assert get_events(service, "sessions", as_of="2026-03-14") == []


def test_pages_together_have_all_events_in_order_of_time(service: Service) -> None:
    days = [date(2026, 3, 1) + DAY * (n % 5) for n in range(12)]
    service.send(*(session(f"a{n % 3}", at=str(day), id=f"s{n}") for n, day in enumerate(days)))
    rows = get_events(service, "sessions")
    assert [row["occurred_at"] for row in rows] == sorted(f"{day}T12:00:00Z" for day in days)
    assert get_events(service, "sessions", limit=5) == rows == get_events(service, "sessions", limit=1)
    table = service.request("GET", "/v1/metrics/sessions/events?period=2026-03&format=csv&limit=1").text.splitlines()
    first = rows[0]
    line = f"{first['id']},session.ended,{first['account_id']},ada,2026-03-01T12:00:00Z,2026-03-15,,"
    assert table[1] == line + '"{""duration_seconds"": 600}"'


def test_an_invalid_question_is_an_error(service: Service) -> None:
    path = "/v1/metrics/feature_uses/events"
    assert is_problem(service.request("GET", path, params={"group_by": "subject"}), 422, "not_grouped")
    assert is_problem(service.request("GET", path, params={"cursor": "bm9uZQ"}), 422, "invalid_cursor")
    assert is_problem(service.request("GET", "/v1/metrics/cheer/events"), 404, "unknown_metric")


def test_an_unchanged_answer_is_not_sent_again(service: Service) -> None:
    path = "/v1/metrics/sessions/events"
    tag = service.request("GET", path).headers["etag"]
    assert service.request("GET", path, headers={"If-None-Match": tag}).status_code == 304


def test_an_event_that_counts_by_itself_and_in_its_stream_is_listed_once(service: Service) -> None:
    for month in ("01", "03"):
        service.send(event("feedback.received", at=f"2026-{month}-10", id=month, comment="Hm."))
    service.send(event("feedback.updated", at="2026-03-11", id="u", feedback="03", status="resolved"))
    params = {"start": "2026-01-01", "end": "2026-04-01"}
    rows = service.get("/v1/metrics/feedback_closed_rate/events", **params)["rows"]
    assert [row["id"] for row in rows] == ["01", "03", "u"]


@pytest.mark.parametrize("parameter", ["compare", "min_sample", "totals"])
def test_parameters_of_presentation_are_errors(shared: Service, parameter: str) -> None:
    for endpoint in ("events", "restatements"):
        answer = shared.request("GET", f"/v1/metrics/nps/{endpoint}", params={parameter: "1"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "extra_forbidden")
