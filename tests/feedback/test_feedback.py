"""Feedback: the list of comments and its filters, the status of each comment, and the themes of many."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import product
from typing import Any

import pytest

from app.database.tables import BLANKS
from app.ledger.rebuild import rebuild
from tests.support.naughty import VALID_IDS
from tests.support.service import Service, account_update, event, survey_responses

MARCH = {"period": "2026-03"}


def feedback(id: str, comment: str, account: str = "acme", **rest: Any) -> dict[str, Any]:
    return event("feedback.received", account, id=id, comment=comment, **rest)


def response(id: str, score: int, comment: str = "So so.", survey: str = "nps", **rest: Any) -> dict[str, Any]:
    return event("survey.responded", id=id, survey=survey, score=score, comment=comment, **rest)


@pytest.fixture
def with_comments(service: Service) -> Service:
    """Return a service with a few comments of two accounts."""
    service.send(
        account_update("acme", plan="pro"),
        account_update("globex", plan="free"),
        feedback("dark", "Please add a dark mode.", at="2026-03-01", tags=["ui"], channel="email"),
        feedback("slow", "The export is slow.", "globex", at="2026-03-02", tags=["export", "speed"], user="bob"),
        response("glad", 10, "The export is great!", at="2026-03-03", user="ada", channel="in_app"),
        response("cross", 2, "Crashes, again and again.", at="2026-03-04", tags=["stability"]),
        response("silent", 3, "", at="2026-03-05"),
        *survey_responses("nps", [7], at="2026-03-05"),
    )
    return service


def listed_ids(service: Service, **parameters: Any) -> list[str]:
    """Return the event ids of the comments in the list."""
    return [item["event_id"] for item in service.get("/v1/feedback", **parameters)["feedback"]]


def id_of(service: Service, event_id: str, account: str = "acme") -> str:
    comments = service.get("/v1/feedback", account=account)["feedback"]
    return next(item["id"] for item in comments if item["event_id"] == event_id)


def patch(service: Service, event_id: str, account: str = "acme", **body: Any) -> dict[str, Any]:
    """Update a comment and return it."""
    answer = service.request("PATCH", f"/v1/feedback/{id_of(service, event_id, account)}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("blank", ["", " ", "\r\n", "\t \u00a0\u2003\u3000"])
def test_a_blank_comment_of_a_response_is_no_comment(service: Service, blank: str) -> None:
    service.send(response("blank", 3, blank), response("said", 9, "Fast help."))
    assert service.value("feedback_comments") == 1
    assert service.value("nps") == 0
    assert listed_ids(service) == ["said"]
    assert service.differences() == []


def test_blank_feedback_counts_nothing_and_cannot_be_resolved(service: Service) -> None:
    service.send(feedback("blank", " \r\n"), feedback("said", "Please add dark mode."))
    service.send(event("feedback.updated", feedback="blank", status="resolved"))
    assert service.value("feedback_comments") == 1
    assert service.row("feedback_closed_rate")["numerator"] == 0
    assert listed_ids(service) == ["said"]
    assert service.differences() == []


def test_a_blank_comment_stays_none_when_its_author_is_erased(service: Service) -> None:
    service.send(response("blank", 3, " ", user="ada"), response("said", 9, "Fast help.", user="ada"))
    assert service.request("DELETE", "/v1/accounts/acme/users/ada/personal-data").status_code == 204
    assert service.value("feedback_comments") == 1
    assert service.differences() == []


def test_blanks_are_the_characters_that_python_takes_for_spaces(query_database: Callable[[str], list[Any]]) -> None:
    spaces = [number for number in range(1, 0x3100) if chr(number).isspace()]
    assert not any(chr(number).isspace() for number in range(0x3100, 0x110000))
    [(all_spaces,)] = query_database(f"SELECT array_agg(ascii(c)) FROM regexp_split_to_table(E'{BLANKS}', '') AS c")
    assert sorted(all_spaces) == spaces


def test_comments_that_an_earlier_version_counted_are_dropped_by_a_rebuild(
    service: Service, execute_in: Callable[[str], None]
) -> None:
    service.send(
        response("was", 9, "x"), feedback("too", "x"), event("feedback.updated", feedback="was", status="resolved")
    )
    execute_in("""UPDATE event SET data = data || '{"comment": " "}' WHERE data ? 'comment'""")
    assert service.value("feedback_comments") == 2
    service.run(consume(rebuild(service.books)))
    assert service.value("feedback_comments") == 0
    assert service.differences() == []


async def consume(steps: AsyncIterator[Any]) -> None:
    async for _ in steps:
        pass


def test_a_comment_is_listed_with_all_its_members(with_comments: Service) -> None:
    (item,) = with_comments.get("/v1/feedback", **{"class": "promoter"})["feedback"]
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
    assert with_comments.get(f"/v1/feedback/{id}") == item | {"id": id}


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
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


@pytest.mark.parametrize(("parameters", "expected"), FILTERS, ids=lambda parameters: "&".join(map(str, parameters)))
def test_the_list_has_the_comments_that_satisfy_all_parameters(
    parameters: dict[str, Any], expected: list[str], with_comments: Service
) -> None:
    assert listed_ids(with_comments, **parameters) == expected


@pytest.mark.parametrize("text", VALID_IDS.values(), ids=VALID_IDS)
def test_no_search_text_causes_an_error(shared: Service, text: str) -> None:
    shared.send(feedback("naughty", "Some words."))
    for name in ("q", "tag", "channel", "survey", "cursor", "filter", "class", "period"):
        answer = shared.request("GET", "/v1/feedback", params={name: text[:200]})
        assert answer.status_code in (200, 422), (name, answer.text)
    for operators in ("( & | !", "!!! <-> :*", "a:*B & 'x", "-", '"', "or or or", "\\", "%", "a" * 200):
        assert shared.request("GET", "/v1/feedback", params={"q": operators + text[:50]}).status_code in (200, 422)


@pytest.mark.parametrize("cursor", ["x", "é", "====", "AAAA", "MTIzADEyMwAxMjM", "MjAyNi0wMy0wMQAxAHg"])
def test_an_invalid_cursor_is_an_error(shared: Service, cursor: str) -> None:
    answer = shared.request("GET", "/v1/feedback", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/cursor")


def test_pages_are_stable_while_comments_arrive(service: Service) -> None:
    service.send(
        *(feedback(f"{n:02}", "One of many.", f"account-{n % 3}", at=f"2026-03-{1 + n // 4:02}") for n in range(20))
    )
    all_ids = [item["id"] for item in service.get("/v1/feedback")["feedback"]]
    assert len(all_ids) == 20
    pages, parameters = [], {"limit": 3}
    while True:
        page = service.get("/v1/feedback", **parameters)
        pages += [item["id"] for item in page["feedback"]]
        service.send(feedback(f"new-{len(pages)}", "A newer one.", at="2026-03-14"))
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    assert pages == all_ids


def test_the_class_of_every_score_agrees_with_the_metrics(service: Service) -> None:
    service.put("/v1/surveys/high", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"})
    service.put("/v1/surveys/low", {"kind": "ces", "scale": {"min": 1, "max": 4}, "easy_is": "low"})
    scales = {"nps": (0, 10), "csat": (1, 5), "high": (1, 7), "low": (1, 4)}
    for survey, (low, high) in scales.items():
        service.send(*(response(f"{survey}-{n}", n, survey=survey) for n in range(low, high + 1)))

    def count(survey: str, name: str) -> int:
        return len(listed_ids(service, survey=survey, **{"class": name}))

    assert [count("nps", name) for name in ("promoter", "passive", "detractor")] == [2, 2, 7]
    assert count("nps", "promoter") - count("nps", "detractor") == service.row("nps")["numerator"]
    assert count("csat", "satisfied") == service.row("csat")["numerator"] == 2
    assert count("csat", "unsatisfied") == 3
    for survey, neutral in (("high", 1), ("low", 0)):
        easy = service.row("ces_easy_rate", subject=survey)["numerator"]
        assert [count(survey, name) for name in ("easy", "neutral", "difficult")] == [easy, neutral, easy]
    assert listed_ids(service, **{"class": "easy"}) == ["low-2", "low-1", "high-7", "high-6", "high-5"]


def test_a_resolved_comment_counts_on_the_day_of_the_comment(with_comments: Service) -> None:
    assert with_comments.row("feedback_closed_rate", **MARCH)["numerator"] == 0
    item = patch(with_comments.on("2026-04-02"), "cross", status="resolved", note="Fixed in 4.2.")
    assert (item["status"], item["note"], item["updated_at"]) == ("resolved", "Fixed in 4.2.", "2026-04-02T12:00:00Z")
    row = with_comments.row("feedback_closed_rate", **MARCH)
    assert (row["value"], row["numerator"], row["denominator"], row["sample_size"]) == (25, 1, 4, 4)
    assert row["interval"][0] < 25 < row["interval"][1]
    assert with_comments.row("feedback_closed_rate", period="2026-04")["reason"] == "no_comments"
    by_survey = with_comments.rows("feedback_closed_rate", **MARCH, group_by="subject")
    assert {row["group"]["subject"]: row["value"] for row in by_survey} == {"nps": 50, None: 0}
    assert listed_ids(with_comments, status="resolved") == ["cross"]
    assert listed_ids(with_comments, status="open") == ["glad", "slow", "dark"]
    assert with_comments.differences() == []


def test_the_closed_rate_as_of_a_day_is_what_was_recorded_by_then(with_comments: Service) -> None:
    patch(with_comments.on("2026-03-16"), "dark", status="resolved")
    patch(with_comments.on("2026-03-18"), "dark", status="in_progress")
    patch(with_comments.on("2026-03-20"), "dark", status="resolved")
    with_comments.on("2026-03-22").retract("acme", "dark")
    with_comments.on("2026-03-24")
    counts_by_day = {"15": (0, 4), "16": (1, 4), "17": (1, 4), "18": (0, 4), "20": (1, 4), "21": (1, 4), "22": (0, 3)}
    for day, counts in counts_by_day.items():
        row = with_comments.row("feedback_closed_rate", **MARCH, as_of=f"2026-03-{day}")
        assert (row["numerator"], row["denominator"]) == counts, day
    assert "dark" not in listed_ids(with_comments)
    assert with_comments.differences() == []


def test_an_update_changes_only_the_members_it_has(with_comments: Service) -> None:
    patch(with_comments, "dark", note="Asked the team.")
    patch(with_comments, "dark", status="in_progress")
    item = patch(with_comments, "dark", status="in_progress", note="Asked the team.")
    assert (item["status"], item["note"]) == ("in_progress", "Asked the team.")
    assert patch(with_comments, "dark", note="")["note"] is None
    assert patch(with_comments, "dark", status="resolved", note="Done.")["status"] == "resolved"
    stored = with_comments.request("GET", "/v1/feedback", params={"tag": "ui"}).json()["feedback"][0]
    assert (stored["status"], stored["note"]) == ("resolved", "Done.")
    assert with_comments.value("feedback_closed_rate", **MARCH) == 25


def test_updates_in_any_order_have_the_same_result(service: Service) -> None:
    about = {"feedback": "one"}
    events = [
        feedback("one", "Words.", at="2026-03-01"),
        event("feedback.updated", at="2026-03-02", id="a", status="resolved", **about),
        event("feedback.updated", at="2026-03-03", id="b", status="open", **about),
        event("feedback.updated", at="2026-03-03", id="c", status="resolved", note="Done.", **about),
    ]
    for number, order in enumerate(product(range(4), repeat=2)):
        first = [events[index] for index in dict.fromkeys(order)]
        account = f"account-{number}"
        for update in [*first, *reversed(events)]:
            service.send(update, account_id=account)
        assert service.value("feedback_closed_rate", **MARCH, account=account) == 100
    service.retract("account-0", "c")
    assert service.value("feedback_closed_rate", **MARCH, account="account-0") == 0
    assert service.get("/v1/feedback", account="account-0")["feedback"][0]["note"] is None
    assert service.differences() == []


def test_the_same_event_id_in_two_accounts_is_two_comments(service: Service) -> None:
    service.send(feedback("same", "Of one."), feedback("same", "Of another.", "globex"))
    patch(service, "same", "globex", status="resolved")
    statuses = {item["account_id"]: item["status"] for item in service.get("/v1/feedback")["feedback"]}
    assert statuses == {"acme": "open", "globex": "resolved"}


INVALID_UPDATES: dict[str, tuple[Any, int, str | None]] = {
    "nothing": ({}, 422, ""),
    "another status": ({"status": "closed"}, 422, "/status"),
    "no status": ({"status": None}, 422, ""),
    "a number": ({"note": 7}, 422, "/note"),
    "an unknown field": ({"status": "open", "by": "me"}, 422, "/by"),
    "a long note": ({"note": "x" * 10_001}, 422, "/note"),
}


@pytest.mark.parametrize("case", INVALID_UPDATES)
def test_an_invalid_update_is_an_error(case: str, with_comments: Service) -> None:
    body, status, pointer = INVALID_UPDATES[case]
    answer = with_comments.request("PATCH", f"/v1/feedback/{id_of(with_comments, 'dark')}", json=body)
    assert answer.status_code == status
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]


def test_an_unknown_comment_is_not_found(with_comments: Service) -> None:
    retracted = id_of(with_comments, "dark")
    with_comments.retract("acme", "dark")
    for id in (retracted, "x", "é", "AAAA", "YWNtZQBub25l", "YQBiAGM", retracted + "A", "%2F", "themes2"):
        for method, body in (("GET", None), ("PATCH", {"status": "open"})):
            answer = with_comments.request(method, f"/v1/feedback/{id}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, id)


def new_keys(service: Service) -> Iterator[tuple[str, str]]:
    """Yield scopes with a new key that has them."""
    for scope in ("read", "ingest", "ingest read"):
        key = service.request("POST", "/v1/keys", json={"name": scope, "scopes": scope.split()}).json()
        yield scope, key["key"]


def test_reading_needs_scope_read_and_updating_needs_scope_ingest_as_well(with_comments: Service) -> None:
    path = f"/v1/feedback/{id_of(with_comments, 'dark')}"
    for scope, key in new_keys(with_comments):
        headers = {"Authorization": f"Bearer {key}"}
        codes = [
            with_comments.request("GET", "/v1/feedback", headers=headers).status_code,
            with_comments.request("GET", path, headers=headers).status_code,
            with_comments.request("PATCH", path, json={"status": "open"}, headers=headers).status_code,
        ]
        # An update answers the comment, so it needs the scope to read it.
        assert codes == {"read": [200, 200, 403], "ingest": [403, 403, 403], "ingest read": [200, 200, 200]}[scope]


def test_an_unchanged_list_is_answered_304(with_comments: Service) -> None:
    tag = with_comments.request("GET", "/v1/feedback").headers["ETag"]
    assert with_comments.request("GET", "/v1/feedback", headers={"If-None-Match": tag}).status_code == 304
    patch(with_comments, "dark", note="New.")
    assert with_comments.request("GET", "/v1/feedback", headers={"If-None-Match": tag}).status_code == 200


def test_themes_are_tags_and_words_by_class_compared_with_the_previous_period(service: Service) -> None:
    service.send(
        response("a", 2, "The exports crash. Crashes, always the exports!", at="2026-03-02", tags=["export", "export"]),
        response("b", 0, "An export crashed", at="2026-03-03", tags=["export", "stability"]),
        response("c", 3, "It is the price, 100 times", at="2026-03-04"),
        response("d", 9, "I love the export", at="2026-03-05", tags=["export"]),
        response("e", 1, "The exports are slow", at="2026-02-10", tags=["export"]),
        response("f", 1, "Slow exports of mail@acme.example", at="2026-02-27", tags=["export"]),
        feedback("g", "Dark mode", at="2026-03-06", tags=["ui"]),
        feedback("h", "Dark colours", at="2026-02-06"),
    )
    themes = service.get("/v1/feedback/themes", period="2026-03")
    # 15 days of the month have passed.
    assert themes["period"] == {"start": "2026-03-01", "end": "2026-04-01", "complete": False}
    assert themes["previous"] == {"start": "2026-02-01", "end": "2026-02-16"}
    assert [tuple(row.values()) for row in themes["classes"]] == [
        ("detractor", 3, 1, 2),
        (None, 1, 1, 0),
        ("promoter", 1, 0, 1),
    ]
    assert [tuple(row.values()) for row in themes["tags"]] == [
        ("detractor", "export", 66.666667, 2, 1, 1),
        ("detractor", "stability", 33.333333, 1, 0, 1),
        ("promoter", "export", 100, 1, 0, 1),
        (None, "ui", 100, 1, 0, 1),
    ]
    assert [(row["class"], row["word"], row["comments"], row["previous"]) for row in themes["words"]] == [
        ("detractor", "exports", 2, 1),
        ("detractor", "crash", 2, 0),
        (None, "dark", 1, 1),
    ]
    february = service.get("/v1/feedback/themes", start="2026-02-01", end="2026-03-01")
    assert february["previous"] == {"start": "2026-01-01", "end": "2026-02-01"}
    assert [row["word"] for row in february["words"]] == ["exports", "slow"]
    limited = service.get("/v1/feedback/themes", period="2026-03", limit=1)
    assert [row["tag"] for row in limited["tags"]] == ["export", "export", "ui"]
    assert service.get("/v1/feedback/themes", period="2026-03", **{"class": "promoter"})["words"] == []


RANGES = [
    ({}, "2026-02-14", "2026-03-16", "2026-01-15", "2026-02-14"),
    ({"start": "2026-03-10"}, "2026-03-10", "2026-03-16", "2026-03-04", "2026-03-10"),
    ({"end": "2026-03-01"}, "2026-01-30", "2026-03-01", "2025-12-31", "2026-01-30"),
    ({"period": "2026-Q1"}, "2026-01-01", "2026-04-01", "2025-10-01", "2025-12-14"),
    ({"start": "1970-01-05", "end": "1970-01-20"}, "1970-01-05", "1970-01-20", "1970-01-05", "1970-01-05"),
    ({"start": "1970-01-01", "end": "9999-01-01"}, "1970-01-01", "9999-01-01", "1970-01-01", "1970-01-01"),
    ({"period": "2027"}, "2027-01-01", "2028-01-01", "2027-01-01", "2027-01-01"),
    ({"start": "2026-01-01", "end": "2026-02-01"}, "2026-01-01", "2026-02-01", "2025-12-01", "2026-01-01"),
    ({"period": "quarter_to_date"}, "2026-01-01", "2026-03-16", "2025-10-01", "2025-12-14"),
]


@pytest.mark.parametrize("parameters, start, end, previous_start, previous_end", RANGES)
def test_themes_cover_a_range_and_the_previous_one(
    shared: Service, parameters: dict[str, str], start: str, end: str, previous_start: str, previous_end: str
) -> None:
    themes = shared.get("/v1/feedback/themes", **parameters)
    assert (themes["period"]["start"], themes["period"]["end"]) == (start, end)
    assert themes["previous"] == {"start": previous_start, "end": previous_end}


@pytest.mark.parametrize(
    "parameters", [{"start": "0001-01-01"}, {"end": "0001-01-01"}, {"period": "2026", "end": "2026-01-01"}]
)
def test_an_invalid_range_is_an_error(shared: Service, parameters: dict[str, str]) -> None:
    for path in ("/v1/feedback", "/v1/feedback/themes"):
        assert shared.request("GET", path, params=parameters).status_code == 422


def test_the_list_as_csv_has_the_tags_in_one_column(with_comments: Service) -> None:
    head, *rows = with_comments.request("GET", "/v1/feedback?format=csv&tag=speed").text.splitlines()
    assert head.startswith("id,event_id,occurred_at,account_id,user_id,survey,score,class,comment,")
    assert [row.endswith(',"export,speed"') for row in rows] == [True]
    (comment,) = with_comments.get("/v1/feedback", tag="speed")["feedback"]
    assert rows[0].split(",")[2] == comment["occurred_at"]
