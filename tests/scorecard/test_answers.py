"""The answer of a scorecard: links, formats, pages, statuses, and few round trips."""

import csv
import io
from collections import Counter
from datetime import date
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlencode

import pytest

from app.database.connection import Connection
from app.metrics.define import METRICS
from app.metrics.offers import OFFERS
from tests.scorecard.cards import card, customers, follow, put, row, satisfaction, sessions
from tests.support.service import Service, account_update, event, session, survey_responses

STATUSES = ("met", "on_track", "behind", "missed", "no_data")


def load_targets(service: Service) -> None:
    """Put targets on many metrics, groups and granularities, with data for some of them."""
    service.send(account_update("acme", plan="pro"), account_update("globex", plan="free"))
    service.put("/v1/segments/pro", {"filter": 'plan = "pro"'})
    service.put("/v1/segments/free", {"filter": 'plan = "free"'})
    customers(service, "acme", "globex")
    sessions(service, 7)
    service.send(session("globex", at="2026-03-02"), *survey_responses("nps", [9, 3], channel="email"))
    satisfaction(service, 3, 1)
    put(service, "all", "sessions", 10)
    put(service, "pro", "sessions", 10, segment="pro")
    put(service, "free", "customers", 10, segment="free", since="2026-03-04")
    put(service, "filter", "csat", 60, filter="plan = 'pro'")
    put(service, "channel", "nps", 20, "quarter", channel="email", subject="nps")
    put(service, "campaign", "sessions", 30, "total", since="2026-03-05", until="2026-05-05")
    put(service, "convention", "average_resolution_hours", 10, convention="by_resolution")


def test_each_row_links_to_the_question_behind_it(service: Service) -> None:
    load_targets(service)
    service.on("2026-03-20")
    sessions(service, 2, at="2026-03-06")
    for parameters in ({}, {"as_of": "2026-03-15"}, {"period": "2026-02"}, {"as_of": "2026-03-20"}):
        rows = service.get("/v1/scorecard", **parameters)["rows"]
        for found in rows:
            [answer] = follow(service, found["question"])["rows"]
            names = ("value", "period", "start", "end", "complete", "interval", "sample_size", "convention")
            assert {name: answer[name] for name in names} == {name: found[name] for name in names}, found["question"]
    assert card(service).keys() == {"all", "pro", "free", "filter", "channel", "campaign", "convention"}


def test_every_metric_can_have_a_target(service: Service) -> None:
    load_targets(service)
    for name in METRICS:
        direction = {"direction": "up"} if METRICS[name].better not in ("up", "down") else {}
        put(service, f"year {name}", name, 50, "year", **direction)
    for found in card(service).values():
        [answer] = follow(service, found["question"])["rows"]
        assert (answer["value"], answer.get("amount")) == (found["value"], found.get("amount"))


def test_the_number_of_round_trips_does_not_depend_on_the_number_of_targets(service: Service) -> None:
    service.on("2026-03-10")
    load_targets(service)
    put(service, "margin", "clv", 100)  # one more, for all metrics that use the gross margin
    service.on("2026-03-15")
    few = count_round_trips(service)
    for number in range(40):
        name = [*METRICS][number]
        direction = {"direction": "up"} if METRICS[name].better not in ("up", "down") else {}
        put(service, f"t{number}", name, 50, "week", **direction)
        put(service, f"s{number}", name, 50, "week", segment="pro", **direction)
    many = count_round_trips(service)
    assert many == few
    assert count_round_trips(service, date(2026, 3, 14)) == few


def count_round_trips(service: Service, as_of: date | None = None) -> int:
    """Return how many round trips the standings take, once everything that is cached has been read."""
    counter = Counter[str]()

    def count_calls(name: str) -> Any:
        original = getattr(Connection, name)

        async def call(self: Connection, *arguments: Any, **more: Any) -> Any:
            counter[name] += 1
            return await original(self, *arguments, **more)

        return patch.object(Connection, name, call)

    async def load(connection: Connection) -> None:
        await OFFERS.target_standings(connection, service.books, as_of=as_of)
        with count_calls("execute"), count_calls("fetch_batch"):
            await OFFERS.target_standings(connection, service.books, as_of=as_of)

    service.run(service.books.database.ask(load))
    return counter.total()


def test_a_scorecard_as_csv(service: Service) -> None:
    load_targets(service)
    answer = service.request("GET", "/v1/scorecard", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = {line["id"]: line for line in csv.DictReader(io.StringIO(answer.text))}
    for id, found in card(service).items():
        line = rows[id]
        assert line["target_attainment"] == ("" if found["attainment"] is None else str(found["attainment"]))
        assert line["status"] == found["status"] and line["question"] == found["question"]
        assert {name: line[name] for name in found["group"]} == found["group"]
    assert (rows["filter"]["low"], rows["filter"]["filter"]) == (
        str(row(service, "filter")["interval"][0]),
        'plan = "pro"',
    )


def test_a_history_as_csv(service: Service) -> None:
    put(service, "goal", "sessions", 3, since="2026-02-01")
    text = service.request("GET", "/v1/targets/goal/history", params={"format": "csv"}).text
    [line] = csv.DictReader(io.StringIO(text))
    assert (line["status_at_end"], line["status_now"], line["target_now"], line["changed"]) == (
        "no_data",
        "missed",
        "3.0",
        "true",
    )


def test_a_scorecard_has_pages_and_a_tag(service: Service) -> None:
    load_targets(service)
    everything = service.get("/v1/scorecard")
    rows, cursor = [], {}
    while True:
        page = service.get("/v1/scorecard", limit=2, **cursor)
        assert page["summary"] == everything["summary"]
        rows += page["rows"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert rows == everything["rows"] == sorted(rows, key=lambda found: found["id"])
    tag = service.request("GET", "/v1/scorecard").headers["etag"]
    assert service.request("GET", "/v1/scorecard", headers={"If-None-Match": tag}).status_code == 304
    sessions(service, 1)
    assert service.request("GET", "/v1/scorecard", headers={"If-None-Match": tag}).status_code == 200


def test_a_scorecard_of_some_statuses(service: Service) -> None:
    load_targets(service)
    everything = service.get("/v1/scorecard")
    assert everything["summary"] == {
        status: Counter(r["status"] for r in everything["rows"])[status] for status in STATUSES
    }
    for chosen in (["behind"], ["no_data", "on_track"], ["met"]):
        page = service.run(service.client.get(f"/v1/scorecard?{urlencode({'status': chosen}, doseq=True)}")).json()
        assert page["rows"] == [found for found in everything["rows"] if found["status"] in chosen]
        assert page["summary"] == everything["summary"]


def test_as_of_a_day_on_which_nothing_was_known_there_is_no_data(service: Service) -> None:
    put(service, "goal", "sessions", 10, since="2026-03-01")
    service.on("2026-03-20")
    sessions(service, 1)
    assert row(service, "goal", as_of="2026-03-16")["reason"] == "nothing_known_yet"
    assert card(service, as_of="2026-03-14") == {}


def test_an_empty_scorecard(service: Service) -> None:
    body = service.get("/v1/scorecard")
    assert (body["rows"], body["summary"]) == ([], dict.fromkeys(STATUSES, 0))
    assert body["closed_loop"]["open_detractors"]["count"] == 0


# Open detractors.


def detractor(id: str, *, at: str = "2026-03-10", score: int = 3, account: str = "acme", **data: Any) -> dict[str, Any]:
    return event("survey.responded", account, id=id, at=at, survey="nps", score=score, **{"comment": "Slow.", **data})


def update(comment: str, status: str | None, *, at: str, account: str = "acme") -> dict[str, Any]:
    return event(
        "feedback.updated", account, at=at, feedback=comment, **({"status": status} if status else {"note": "Called."})
    )


def open_detractors(service: Service, **parameters: Any) -> Any:
    return service.get("/v1/scorecard", **parameters)["closed_loop"]["open_detractors"]


def test_the_scorecard_names_the_detractors_whom_nobody_has_answered(service: Service) -> None:
    service.send(
        detractor("old", at="2026-03-01", account="globex"),
        detractor("new"),
        detractor("resolved"),
        detractor("in progress"),
        detractor("with a note"),
        detractor("reopened"),
        detractor("a promoter", score=10),
        detractor("without a comment", comment=" "),
        event("feedback.received", comment="No score."),
        event("survey.responded", survey="csat", score=1, comment="Another survey."),
        update("resolved", "resolved", at="2026-03-11"),
        update("in progress", "in_progress", at="2026-03-11"),
        update("with a note", None, at="2026-03-11"),
        update("reopened", "open", at="2026-03-12"),
        update("reopened", "resolved", at="2026-03-11"),
    )
    found = open_detractors(service)
    assert (found["count"], found["oldest"]["account_id"], found["oldest"]["days"]) == (4, "globex", 14)
    listed = follow(service, found["link"])["feedback"]
    assert {comment["event_id"] for comment in listed} == {"old", "new", "with a note", "reopened"}
    assert listed[-1]["id"] == found["oldest"]["id"]
    assert follow(service, service.get("/v1/scorecard", period="2026-03")["closed_loop"]["themes"])["classes"]


def test_detractors_are_open_as_of_a_day_as_they_were_known_then(service: Service) -> None:
    service.on("2026-03-10").send(detractor("one"), detractor("two"), detractor("three"))
    service.on("2026-03-12").send(update("one", "resolved", at="2026-03-11"))  # known a day later
    service.on("2026-03-14").retract("acme", "two")
    service.on("2026-03-16").send(detractor("late", at="2026-03-09"))
    counts = {
        day: open_detractors(service, as_of=f"2026-03-{day}")["count"]
        for day in (9, 10, 11, 12, 13, 14, 15, 16)
        if day > 9
    }
    assert counts == {10: 3, 11: 3, 12: 2, 13: 2, 14: 1, 15: 1, 16: 2}
    assert open_detractors(service, as_of="2026-03-10")["link"] is None
    assert (open_detractors(service)["count"], open_detractors(service)["oldest"]["days"]) == (2, 7)


def test_an_update_that_was_retracted_answers_nobody(service: Service) -> None:
    service.send(detractor("one"), answered := update("one", "resolved", at="2026-03-11"))
    assert open_detractors(service)["count"] == 0
    service.on("2026-03-17").retract("acme", answered["id"])
    assert open_detractors(service)["count"] == 1
    assert open_detractors(service, as_of="2026-03-16")["count"] == 0


def test_an_erased_comment_of_a_detractor_is_still_open(service: Service) -> None:
    service.send(detractor("one"))
    [comment] = service.get("/v1/feedback")["feedback"]
    service.request("DELETE", f"/v1/feedback/{comment['id']}")
    assert open_detractors(service)["count"] == 1
    assert open_detractors(service, as_of="2026-03-15")["count"] == 1


def test_other_features_get_the_same_from_the_catalogue_of_offers(service: Service) -> None:
    load_targets(service)
    service.send(detractor("one"))

    async def load(connection: Connection) -> Any:
        return await OFFERS.target_standings(connection, service.books), await OFFERS.open_detractors(
            connection, service.books
        )

    standings, detractors = service.run(service.books.database.ask(load))
    rows = card(service)
    assert {own.id: (own.status, own.value, own.gap, own.question) for own in standings} == {
        id: tuple(found[name] for name in ("status", "value", "gap", "question")) for id, found in rows.items()
    }
    assert detractors.count == open_detractors(service)["count"] == 1


@pytest.mark.parametrize("id", ["a/b", "ä", "a b", "%2F", "x" * 128])
def test_ids_of_targets_may_have_any_characters(id: str, service: Service) -> None:
    path = f"/v1/targets/{quote(id, safe='')}"
    body = {"metric": "nps", "granularity": "month", "value": 40}
    assert service.request("PUT", path, json=body).json()["id"] == id
    assert service.get(path)["id"] == id
    assert card(service).keys() == {id}
    assert service.request("DELETE", path).status_code == 204
