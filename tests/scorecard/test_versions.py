"""Targets have versions with both time axes: what held in a period, and what was known on a day."""

from datetime import date
from typing import Any

from app.ledger.redate import count_later, redate
from tests.scorecard.cards import cancel, card, customers, history, put, row, sessions
from tests.support.service import Service, account_update


def versions(service: Service, id: str, **parameters: Any) -> list[tuple[Any, ...]]:
    target = service.get(f"/v1/targets/{id}", **parameters)
    return [tuple(own[name] for name in ("holds_from", "holds_until", "value")) for own in target["versions"]]


def test_a_change_holds_from_the_current_period_on(service: Service) -> None:
    put(service, "goal", "sessions", 10, since="2026-01-01")
    put(service, "goal", "sessions", 20)
    assert versions(service, "goal") == [("2026-01-01", "2026-03-01", 10), ("2026-03-01", None, 20)]
    assert [row(service, "goal", period=period)["target"] for period in ("2026-02", "2026-03")] == [10.0, 20.0]


def test_a_version_takes_the_place_of_all_from_its_first_day_on(service: Service) -> None:
    put(service, "goal", "sessions", 10, since="2026-01-01")
    put(service, "goal", "sessions", 30, since="2026-06-01")
    put(service, "goal", "sessions", 20, since="2026-04-01", until="2026-05-01")
    assert versions(service, "goal") == [("2026-01-01", "2026-04-01", 10), ("2026-04-01", "2026-05-01", 20)]


def test_what_was_known_on_a_day_stays(service: Service) -> None:
    service.on("2026-03-10")
    sessions(service, 4, at="2026-03-05")
    put(service, "goal", "sessions", 10)
    before = service.get("/v1/scorecard", as_of="2026-03-10")
    service.on("2026-03-20")
    sessions(service, 3, at="2026-03-06")  # late
    put(service, "goal", "sessions", 5, since="2026-03-01")
    put(service, "other", "customers", 5, since="2026-03-01")
    assert service.get("/v1/scorecard", as_of="2026-03-10") == before
    assert (row(service, "goal")["value"], row(service, "goal")["target"]) == (7, 5.0)
    service.request("DELETE", "/v1/targets/goal")
    assert service.get("/v1/scorecard", as_of="2026-03-10") == before
    assert {target["id"] for target in service.get("/v1/targets")["targets"]} == {"other"}
    assert {target["id"] for target in service.get("/v1/targets", as_of="2026-03-10")["targets"]} == {"goal"}


def test_the_scorecard_of_last_quarter_is_the_scorecard_as_it_was(service: Service) -> None:
    service.on("2026-03-31")
    customers(service, "a", "b")
    put(service, "goal", "customers", 2, "quarter")
    service.on("2026-05-10")
    cancel(service, "a", at="2026-03-20")
    put(service, "goal", "customers", 4, "quarter")
    quarter = row(service, "goal", period="2026-Q1")
    assert (quarter["target"], quarter["value"], quarter["status"]) == (2.0, 1, "missed")
    quarter = row(service, "goal", period="2026-Q1", as_of="2026-03-31")
    assert (quarter["target"], quarter["value"], quarter["status"]) == (2.0, 2, "on_track")
    assert row(service, "goal")["target"] == 4.0


def test_the_history_shows_what_was_known_at_the_end_and_what_is_known_now(service: Service) -> None:
    service.on("2026-01-10")
    put(service, "goal", "sessions", 3)
    sessions(service, 2, at="2026-01-10")
    service.on("2026-02-05")
    sessions(service, 2, at="2026-01-20")  # late: at the end of January there were 2
    put(service, "goal", "sessions", 5)
    service.on("2026-03-15")
    put(service, "goal", "sessions", 1, since="2026-02-01")
    february, january = history(service, "goal")
    names = ("value", "target", "status")
    assert [january["at_end"][name] for name in names] == [2, 3.0, "missed"]
    assert [january["now"][name] for name in names] == [4, 3.0, "met"]
    assert [february["at_end"][name] for name in names] == [0, 5.0, "missed"]
    assert [february["now"][name] for name in names] == [0, 1.0, "missed"]
    assert (january["changed"], february["changed"], january["period"]) == (True, True, "2026-01")


def test_the_history_says_where_there_was_no_target_yet(service: Service) -> None:
    put(service, "goal", "sessions", 3, since="2026-02-01")
    [february] = history(service, "goal")
    assert (february["at_end"]["status"], february["at_end"]["reason"]) == ("no_data", "no_target")
    assert february["now"]["status"] == "missed"
    # Of another metric then.
    put(service, "goal", "customers", 3, since="2026-02-01")
    service.on("2026-04-02")
    put(service, "goal", "nps", 3, since="2026-03-01")
    march, february = history(service, "goal")
    assert (march["metric"], february["metric"]) == ("nps", "customers")
    assert march["at_end"]["reason"] == "no_target"


def test_the_history_of_a_target_that_has_ended_is_there(service: Service) -> None:
    put(service, "goal", "sessions", 3, since="2026-01-01")
    assert service.request("DELETE", "/v1/targets/goal").status_code == 204
    assert [found["period"] for found in history(service, "goal")] == ["2026-02", "2026-01"]
    target = service.get("/v1/targets/goal")
    assert (target["state"], target["holds_until"]) == ("ended", "2026-03-01")
    again = service.request("DELETE", "/v1/targets/goal")
    assert (again.status_code, again.json()["code"]) == (404, "target_ended")
    assert row(service, "goal", period="2026-02")["status"] == "missed"
    put(service, "goal", "sessions", 3)
    assert [found["period"] for found in history(service, "goal")] == ["2026-02", "2026-01"]


def test_a_target_that_ended_in_its_first_period_holds_on_no_day(service: Service) -> None:
    put(service, "goal", "sessions", 3)
    service.request("DELETE", "/v1/targets/goal")
    answer = service.request("GET", "/v1/targets/goal")
    assert (answer.status_code, answer.json()["code"]) == (404, "target_ended")
    assert history(service, "goal") == []


def test_a_history_has_pages(service: Service) -> None:
    put(service, "goal", "sessions", 3, "week", since="2025-01-06")
    pages, cursor = [], {}
    while True:
        page = service.get("/v1/targets/goal/history", limit=25, **cursor)
        pages += [found["start"] for found in page["rows"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert pages == sorted(set(pages), reverse=True)
    assert (pages[0], pages[-1], len(pages)) == ("2026-03-02", "2025-01-06", 61)


def test_the_same_target_again_makes_no_version(service: Service) -> None:
    first = put(service, "goal", "sessions", 10)
    assert put(service, "goal", "sessions", "10.0") == first
    service.on("2026-04-02")
    assert put(service, "goal", "sessions", 10)["version"] == 1
    service.request("DELETE", "/v1/targets/goal")
    assert put(service, "goal", "sessions", 10)["version"] == 3


def test_a_target_can_be_sent_as_it_was_answered(service: Service) -> None:
    service.send(account_update(plan="pro"))
    service.put("/v1/segments/pro", {"filter": 'plan = "pro"'})
    path = [{"until": "2026-05-01", "value": "12.25"}]
    more = {"segment": "pro", "filter": "plan is not null", "subject": "basic", "baseline": 1, "path": path}
    days = {"from": "2026-01-01", "until": "2026-12-01"}
    body = {"metric": "mrr", "granularity": "month", "value": "15.5"} | days | more
    target = service.request("PUT", "/v1/targets/goal?strict=false", json=body).json()
    others = ("id", "state", "version", "recorded_on", "holds_from", "holds_until", "versions")
    again = {name: value for name, value in target.items() if name not in others}
    answer = service.request("PUT", "/v1/targets/goal?strict=false", json=again)
    assert answer.json() == target
    assert (target["value"], target["path"]) == ("15.5", path)


def test_the_repair_of_a_wrong_clock_redates_targets(service: Service) -> None:
    service.on("2028-03-01")
    put(service, "goal", "sessions", 10, since="2026-01-01")
    service.on("2026-03-20")
    day = date(2026, 3, 20)

    async def repair() -> Any:
        later = await service.books.database.read(lambda connection: count_later(connection, day))
        async for _ in redate(service.books, day=day):
            pass
        return later.last, later.targets

    assert service.run(repair()) == (date(2028, 3, 1), 1)
    assert service.get("/v1/targets/goal")["recorded_on"] == "2026-03-20"
    assert card(service, as_of="2026-03-20").keys() == {"goal"}


def preview(service: Service, id: str, body: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
    answer = service.request("POST", f"/v1/targets/{id}/preview", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_preview_is_what_a_put_makes_and_stores_nothing(service: Service) -> None:
    sessions(service, 4, at="2026-02-10")
    sessions(service, 6)
    first = {"metric": "sessions", "granularity": "month", "value": 5}
    new = preview(service, "use", first)
    assert (new["before"], new["changes"], new["periods"]) == (None, True, [])
    assert service.get("/v1/targets")["targets"] == []
    before = put(service, "use", "sessions", 5)
    for change in ({"value": 9}, {"value": 3, "from": "2026-01-01"}, {"value": 7, "from": "2026-05-01"}, first):
        found = preview(service, "use", first | change)
        assert service.get("/v1/targets/use") == before
        assert found["before"] == row(service, "use")
        assert put(service, "use", **(first | change)) == found["target"]  # type: ignore[arg-type]
        assert found["after"] == row(service, "use")
        ended = [
            {**own["now"], **{name: own[name] for name in ("period", "start", "end")}}
            for own in history(service, "use")
        ]
        assert found["periods"] == ended
        assert found["changes"] == (found["target"] != before)
        before = service.get("/v1/targets/use")
    assert [own["status"] for own in preview(service, "use", first | {"from": "2026-01-01"})["periods"]] == [
        "missed"
    ] * 2


def test_a_preview_finds_the_faults_of_a_put(service: Service) -> None:
    put(service, "use", "sessions", 5)
    for id, body in (
        ("use", {"metric": "nps", "granularity": "month", "value": 101, "segment": "none"}),
        ("other", {"metric": "sessions", "granularity": "month", "value": 5}),
        ("use", {"granularity": "minute"}),
    ):
        stored = service.request("PUT", f"/v1/targets/{id}", json=body)
        found = preview(service, id, body, status=stored.status_code)
        assert stored.status_code == 422
        assert found["errors"] == stored.json()["errors"]
