"""Comments: found by what they say and by whose they are, and the closed loop about each of them."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.support.naughty import IDS
from tests.support.service import Service, answers, event, moved

MARCH = {"period": "2026-03"}


def said(id: str, comment: str, account: str = "acme", **rest: Any) -> dict[str, Any]:
    return event("feedback.received", account, id=id, comment=comment, **rest)


def answered(id: str, score: int, comment: str = "So so.", survey: str = "nps", **rest: Any) -> dict[str, Any]:
    return event("survey.responded", id=id, survey=survey, score=score, comment=comment, **rest)


@pytest.fixture
def told(service: Service) -> Service:
    """A few comments of two accounts."""
    service.send(
        moved("acme", plan="pro"),
        moved("globex", plan="free"),
        said("dark", "Please add a dark mode.", at="2026-03-01", tags=["ui"], channel="email"),
        said("slow", "The export is slow.", "globex", at="2026-03-02", tags=["export", "speed"], user="bob"),
        answered("glad", 10, "The export is great!", at="2026-03-03", user="ada", channel="in_app"),
        answered("cross", 2, "Crashes, again and again.", at="2026-03-04", tags=["stability"]),
        answered("silent", 3, "", at="2026-03-05"),
        *answers("nps", [7], at="2026-03-05"),
    )
    return service


def listed(service: Service, **asked: Any) -> list[str]:
    return [item["event_id"] for item in service.get("/v1/feedback", **asked)["feedback"]]


def id_of(service: Service, event_id: str, account: str = "acme") -> str:
    found = service.get("/v1/feedback", account=account)["feedback"]
    return next(item["id"] for item in found if item["event_id"] == event_id)


def patch(service: Service, event_id: str, account: str = "acme", **body: Any) -> dict[str, Any]:
    answer = service.request("PATCH", f"/v1/feedback/{id_of(service, event_id, account)}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_comment_is_listed_with_all_that_is_known_of_it(told: Service) -> None:
    (item,) = told.get("/v1/feedback", **{"class": "promoter"})["feedback"]
    id = item.pop("id")
    assert item == {
        "event_id": "glad",
        "account_id": "acme",
        "user_id": "ada",
        "survey": "nps",
        "score": 10,
        "class": "promoter",
        "comment": "The export is great!",
        "tags": [],
        "channel": "in_app",
        "occurred_at": "2026-03-03T12:00:00Z",
        "status": "open",
        "note": None,
        "updated_at": None,
    }
    assert told.get(f"/v1/feedback/{id}") == item | {"id": id}


FOUND: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["cross", "glad", "slow", "dark"]),
    ({"q": "export"}, ["glad", "slow"]),
    ({"q": "EXPORT -great"}, ["slow"]),
    ({"q": '"dark mode"'}, ["dark"]),
    ({"q": '"mode dark"'}, []),
    ({"q": "slow or crashes"}, ["cross", "slow"]),
    ({"q": "..."}, []),
    ({"q": ""}, ["cross", "glad", "slow", "dark"]),
    ({"tag": "speed"}, ["slow"]),
    ({"survey": "nps"}, ["cross", "glad"]),
    ({"class": "detractor"}, ["cross"]),
    ({"class": "easy"}, []),
    ({"channel": "email"}, ["dark"]),
    ({"account": "globex"}, ["slow"]),
    ({"account": ["globex", "acme"], "q": "is"}, ["glad", "slow"]),
    ({"filter": 'plan = "pro"'}, ["cross", "glad", "dark"]),
    ({"filter": "not plan is null", "tag": "ui"}, ["dark"]),
    ({"start": "2026-03-03"}, ["cross", "glad"]),
    ({"end": "2026-03-03"}, ["slow", "dark"]),
    ({"period": "2026-03-02"}, ["slow"]),
    ({"status": "open", "period": "2026-02"}, []),
]


@pytest.mark.parametrize(("asked", "expected"), FOUND, ids=lambda asked: "&".join(map(str, asked)))
def test_comments_are_found_by(asked: dict[str, Any], expected: list[str], told: Service) -> None:
    assert listed(told, **asked) == expected


@pytest.mark.parametrize("text", IDS.values(), ids=IDS)
def test_no_search_can_fail(shared: Service, text: str) -> None:
    shared.send(said("naughty", "Some words."))
    for name in ("q", "tag", "channel", "survey", "cursor", "filter", "class", "period"):
        answer = shared.request("GET", "/v1/feedback", params={name: text[:200]})
        assert answer.status_code in (200, 422), (name, answer.text)
    for operators in ("( & | !", "!!! <-> :*", "a:*B & 'x", "-", '"', "or or or", "\\", "%", "a" * 200):
        assert shared.request("GET", "/v1/feedback", params={"q": operators + text[:50]}).status_code in (200, 422)


@pytest.mark.parametrize("cursor", ["x", "é", "====", "AAAA", "MTIzADEyMwAxMjM", "MjAyNi0wMy0wMQAxAHg"])
def test_what_is_no_cursor_is_refused(shared: Service, cursor: str) -> None:
    answer = shared.request("GET", "/v1/feedback", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/cursor")


def test_pages_are_stable_while_comments_come(service: Service) -> None:
    service.send(
        *(said(f"{n:02}", "One of many.", f"account-{n % 3}", at=f"2026-03-{1 + n // 4:02}") for n in range(20))
    )
    whole = [item["id"] for item in service.get("/v1/feedback")["feedback"]]
    assert len(whole) == 20
    pages, asked = [], {"limit": 3}
    while True:
        page = service.get("/v1/feedback", **asked)
        pages += [item["id"] for item in page["feedback"]]
        service.send(said(f"new-{len(pages)}", "A newer one.", at="2026-03-14"))
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert pages == whole


def test_the_classes_of_all_scores_are_those_that_are_counted(service: Service) -> None:
    service.put("/v1/surveys/high", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"})
    service.put("/v1/surveys/low", {"kind": "ces", "scale": {"min": 1, "max": 4}, "easy_is": "low"})
    scales = {"nps": (0, 10), "csat": (1, 5), "high": (1, 7), "low": (1, 4)}
    for survey, (low, high) in scales.items():
        service.send(*(answered(f"{survey}-{n}", n, survey=survey) for n in range(low, high + 1)))

    def many(survey: str, name: str) -> int:
        return len(listed(service, survey=survey, **{"class": name}))

    assert [many("nps", name) for name in ("promoter", "passive", "detractor")] == [2, 2, 7]
    assert many("nps", "promoter") - many("nps", "detractor") == service.row("nps")["numerator"]
    assert many("csat", "satisfied") == service.row("csat")["numerator"] == 2
    assert many("csat", "unsatisfied") == 3
    for survey, neutral in (("high", 1), ("low", 0)):
        easy = service.row("ces_easy_rate", subject=survey)["numerator"]
        assert [many(survey, name) for name in ("easy", "neutral", "difficult")] == [easy, neutral, easy]
    assert listed(service, **{"class": "easy"}) == ["low-2", "low-1", "high-7", "high-6", "high-5"]


def test_what_is_resolved_counts_on_the_day_of_its_comment(told: Service) -> None:
    assert told.row("feedback_closed_rate", **MARCH)["numerator"] == 0
    item = patch(told.on("2026-04-02"), "cross", status="resolved", note="Mended in 4.2.")
    assert (item["status"], item["note"], item["updated_at"]) == ("resolved", "Mended in 4.2.", "2026-04-02T12:00:00Z")
    row = told.row("feedback_closed_rate", **MARCH)
    assert (row["value"], row["numerator"], row["denominator"], row["sample_size"]) == (25, 1, 4, 4)
    assert row["interval"][0] < 25 < row["interval"][1]
    assert told.row("feedback_closed_rate", period="2026-04")["reason"] == "no_comments"
    by_survey = told.rows("feedback_closed_rate", **MARCH, group_by="subject")
    assert {row["group"]["subject"]: row["value"] for row in by_survey} == {"nps": 50, None: 0}
    assert listed(told, status="resolved") == ["cross"]
    assert listed(told, status="open") == ["glad", "slow", "dark"]
    assert told.differences() == []


def test_what_was_known_of_the_loop_on_a_day_is_answered_again(told: Service) -> None:
    patch(told.on("2026-03-16"), "dark", status="resolved")
    patch(told.on("2026-03-18"), "dark", status="in_progress")
    patch(told.on("2026-03-20"), "dark", status="resolved")
    told.on("2026-03-22").retract("acme", "dark")
    told.on("2026-03-24")
    known = {"15": (0, 4), "16": (1, 4), "17": (1, 4), "18": (0, 4), "20": (1, 4), "21": (1, 4), "22": (0, 3)}
    for day, counts in known.items():
        row = told.row("feedback_closed_rate", **MARCH, as_of=f"2026-03-{day}")
        assert (row["numerator"], row["denominator"]) == counts, day
    assert "dark" not in listed(told)
    assert told.differences() == []


def test_an_update_says_only_what_is_new(told: Service) -> None:
    patch(told, "dark", note="Asked the team.")
    patch(told, "dark", status="in_progress")
    item = patch(told, "dark", status="in_progress", note="Asked the team.")
    assert (item["status"], item["note"]) == ("in_progress", "Asked the team.")
    assert patch(told, "dark", note="")["note"] is None
    assert patch(told, "dark", status="resolved", note="Done.")["status"] == "resolved"
    kept = told.request("GET", "/v1/feedback", params={"tag": "ui"}).json()["feedback"][0]
    assert (kept["status"], kept["note"]) == ("resolved", "Done.")
    assert told.value("feedback_closed_rate", **MARCH) == 25


def test_updates_in_any_order_come_to_the_same(service: Service) -> None:
    about = {"feedback": "one"}
    events = [
        said("one", "Words.", at="2026-03-01"),
        event("feedback.updated", at="2026-03-02", id="a", status="resolved", **about),
        event("feedback.updated", at="2026-03-03", id="b", status="open", **about),
        event("feedback.updated", at="2026-03-03", id="c", status="resolved", note="Done.", **about),
    ]
    for number, order in enumerate(product(range(4), repeat=2)):
        first = [events[place] for place in dict.fromkeys(order)]
        account = f"account-{number}"
        for one in [*first, *reversed(events)]:
            service.send(one, account_id=account)
        assert service.value("feedback_closed_rate", **MARCH, account=account) == 100
    service.retract("account-0", "c")
    assert service.value("feedback_closed_rate", **MARCH, account="account-0") == 0
    assert service.get("/v1/feedback", account="account-0")["feedback"][0]["note"] is None
    assert service.differences() == []


def test_an_event_id_of_two_accounts_is_two_comments(service: Service) -> None:
    service.send(said("same", "Of one."), said("same", "Of another.", "globex"))
    patch(service, "same", "globex", status="resolved")
    found = {item["account_id"]: item["status"] for item in service.get("/v1/feedback")["feedback"]}
    assert found == {"acme": "open", "globex": "resolved"}


REFUSED: dict[str, tuple[Any, int, str | None]] = {
    "nothing": ({}, 422, ""),
    "another status": ({"status": "closed"}, 422, "/status"),
    "no status": ({"status": None}, 422, ""),
    "a number": ({"note": 7}, 422, "/note"),
    "an unknown field": ({"status": "open", "by": "me"}, 422, "/by"),
    "a long note": ({"note": "x" * 10_001}, 422, "/note"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_update_is_refused_that_is(case: str, told: Service) -> None:
    body, status, pointer = REFUSED[case]
    answer = told.request("PATCH", f"/v1/feedback/{id_of(told, 'dark')}", json=body)
    assert answer.status_code == status
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]


def test_a_comment_that_is_not_there_is_not_found(told: Service) -> None:
    gone = id_of(told, "dark")
    told.retract("acme", "dark")
    for id in (gone, "x", "é", "AAAA", "YWNtZQBub25l", "YQBiAGM", gone + "A", "%2F", "themes2"):
        for method, body in (("GET", None), ("PATCH", {"status": "open"})):
            answer = told.request(method, f"/v1/feedback/{id}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, id)


def keys(service: Service) -> Iterator[tuple[str, str]]:
    for scope in ("read", "ingest", "ingest read"):
        made = service.request("POST", "/v1/keys", json={"name": scope, "scopes": scope.split()}).json()
        yield scope, made["key"]


def test_comments_are_read_with_scope_read_and_updated_with_scope_ingest_too(told: Service) -> None:
    path = f"/v1/feedback/{id_of(told, 'dark')}"
    for scope, key in keys(told):
        headers = {"Authorization": f"Bearer {key}"}
        codes = [
            told.request("GET", "/v1/feedback", headers=headers).status_code,
            told.request("GET", path, headers=headers).status_code,
            told.request("PATCH", path, json={"status": "open"}, headers=headers).status_code,
        ]
        # What a key may not read, an update does not show it either.
        assert codes == {"read": [200, 200, 403], "ingest": [403, 403, 403], "ingest read": [200, 200, 200]}[scope]


def test_a_list_that_has_not_changed_is_not_sent_again(told: Service) -> None:
    tag = told.request("GET", "/v1/feedback").headers["ETag"]
    assert told.request("GET", "/v1/feedback", headers={"If-None-Match": tag}).status_code == 304
    patch(told, "dark", note="New.")
    assert told.request("GET", "/v1/feedback", headers={"If-None-Match": tag}).status_code == 200


def test_themes_are_tags_and_words_by_class_against_the_period_before(service: Service) -> None:
    service.send(
        answered("a", 2, "The exports crash. Crashes, always the exports!", at="2026-03-02", tags=["export", "export"]),
        answered("b", 0, "An export crashed", at="2026-03-03", tags=["export", "stability"]),
        answered("c", 3, "It is the price, 100 times", at="2026-03-04"),
        answered("d", 9, "I love the export", at="2026-03-05", tags=["export"]),
        answered("e", 1, "The exports are slow", at="2026-02-10", tags=["export"]),
        answered("f", 1, "Slow exports of mail@acme.example", at="2026-02-27", tags=["export"]),
        said("g", "Dark mode", at="2026-03-06", tags=["ui"]),
        said("h", "Dark colours", at="2026-02-06"),
    )
    found = service.get("/v1/feedback/themes", period="2026-03")
    # The month has had 15 days.
    assert found["period"] == {"start": "2026-03-01", "end": "2026-04-01", "complete": False}
    assert found["previous"] == {"start": "2026-02-01", "end": "2026-02-16"}
    assert [tuple(row.values()) for row in found["classes"]] == [
        ("detractor", 3, 1, 2),
        (None, 1, 1, 0),
        ("promoter", 1, 0, 1),
    ]
    assert [tuple(row.values()) for row in found["tags"]] == [
        ("detractor", "export", 66.666667, 2, 1, 1),
        ("detractor", "stability", 33.333333, 1, 0, 1),
        ("promoter", "export", 100, 1, 0, 1),
        (None, "ui", 100, 1, 0, 1),
    ]
    assert [(row["class"], row["word"], row["comments"], row["previous"]) for row in found["words"]] == [
        ("detractor", "exports", 2, 1),
        ("detractor", "crash", 2, 0),
        (None, "dark", 1, 1),
    ]
    unlike = service.get("/v1/feedback/themes", start="2026-02-01", end="2026-03-01")
    assert unlike["previous"] == {"start": "2026-01-01", "end": "2026-02-01"}
    assert [row["word"] for row in unlike["words"]] == ["exports", "slow"]
    few = service.get("/v1/feedback/themes", period="2026-03", limit=1)
    assert [row["tag"] for row in few["tags"]] == ["export", "export", "ui"]
    assert service.get("/v1/feedback/themes", period="2026-03", **{"class": "promoter"})["words"] == []


RANGES = [
    ({}, "2026-02-14", "2026-03-16", "2026-01-15", "2026-02-14"),
    ({"start": "2026-03-10"}, "2026-03-10", "2026-03-16", "2026-03-04", "2026-03-10"),
    ({"end": "2026-03-01"}, "2026-01-30", "2026-03-01", "2025-12-31", "2026-01-30"),
    ({"period": "2026-Q1"}, "2026-01-01", "2026-04-01", "2025-10-01", "2025-12-14"),
    ({"start": "1970-01-05", "end": "1970-01-20"}, "1970-01-05", "1970-01-20", "1970-01-01", "1970-01-05"),
    ({"start": "1970-01-01", "end": "9999-01-01"}, "1970-01-01", "9999-01-01", "1970-01-01", "1970-01-01"),
    ({"period": "2027"}, "2027-01-01", "2028-01-01", "2026-01-01", "2026-01-01"),
]


@pytest.mark.parametrize("asked, start, end, first, last", RANGES)
def test_themes_are_of_a_range_and_the_one_before_it(
    shared: Service, asked: dict[str, str], start: str, end: str, first: str, last: str
) -> None:
    found = shared.get("/v1/feedback/themes", **asked)
    assert (found["period"]["start"], found["period"]["end"]) == (start, end)
    assert found["previous"] == {"start": first, "end": last}


@pytest.mark.parametrize(
    "asked", [{"start": "0001-01-01"}, {"end": "0001-01-01"}, {"period": "2026", "end": "2026-01-01"}]
)
def test_a_range_that_is_none_is_refused(shared: Service, asked: dict[str, str]) -> None:
    for path in ("/v1/feedback", "/v1/feedback/themes"):
        assert shared.request("GET", path, params=asked).status_code == 422


def test_the_list_as_a_table_has_the_tags_in_one_column(told: Service) -> None:
    head, *rows = told.request("GET", "/v1/feedback?format=csv&tag=speed").text.splitlines()
    assert head.startswith("id,event_id,occurred_at,account_id,user_id,survey,score,class,comment,")
    assert [row.endswith(',"export,speed"') for row in rows] == [True]
    (comment,) = told.get("/v1/feedback", tag="speed")["feedback"]
    assert rows[0].split(",")[2] == comment["occurred_at"]
