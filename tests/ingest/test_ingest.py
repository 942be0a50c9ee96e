"""Ingest: events are accepted once, retracted, and read by surveys and exchange rates that are frozen on first use."""

import asyncio
import gzip
import json

import psycopg
import pytest
import zstandard

from tests.support.service import Service, account_update, event, session, survey_responses


def test_an_accepted_event_is_in_the_next_answer(service: Service) -> None:
    assert service.send(session()) == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert service.value("sessions") == 1


def test_the_same_event_again_is_a_duplicate_however_it_is_spelled(service: Service) -> None:
    sent = event("cost.recorded", category="retention", amount="12.50", id="cost-1")
    service.send(sent)
    respelled = sent | {"occurred_at": "2026-03-10T13:00:00+01:00", "data": {"amount": 12.5, "category": "retention"}}
    assert service.send(sent, respelled) == {"accepted": 0, "duplicates": 2, "rejected": []}


def test_different_content_under_the_same_id_is_a_conflict_and_changes_nothing(service: Service) -> None:
    service.send(session(id="one", seconds=60))
    answer = service.send(session(id="one", seconds=90), session(id="two"))
    assert answer["accepted"] == 1
    assert [(r["index"], r["id"], r["code"], r["pointer"]) for r in answer["rejected"]] == [
        (0, "one", "conflict", "/id")
    ]
    assert service.value("average_session_minutes") == (1 + 10) / 2


def test_duplicates_and_conflicts_within_a_batch_are_distinguished(service: Service) -> None:
    first, other = session(id="one", seconds=60), session(id="one", seconds=90)
    answer = service.send(first, other, first)
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert [r["index"] for r in answer["rejected"]] == [1]


def test_a_conflict_does_not_hide_a_duplicate_after_it(service: Service) -> None:
    stored, other = session(id="one", seconds=60), session(id="one", seconds=90)
    service.send(stored)
    answer = service.send(other, stored)
    assert (answer["duplicates"], [r["index"] for r in answer["rejected"]]) == (1, [0])


def test_an_event_id_is_unique_within_its_account_only(service: Service) -> None:
    assert service.send(session(id="one"), session("globex", id="one"))["accepted"] == 2


def test_an_invalid_event_does_not_affect_the_others(service: Service) -> None:
    answer = service.send(session(), session(seconds=-1), event("unknown.type"), session())
    assert answer["accepted"] == 2
    assert [(r["index"], r["code"], r["pointer"]) for r in answer["rejected"]] == [
        (1, "greater_than_equal", "/data/duration_seconds"),
        (2, "unknown_type", "/type"),
    ]


def test_a_request_whose_events_are_all_rejected_is_answered_with_422(service: Service) -> None:
    answer = service.request("POST", "/v1/events", json=[session(seconds=-1)])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["rejected"][0]["code"] == "greater_than_equal"


def test_events_are_accepted_alone_wrapped_as_ndjson_and_compressed(service: Service) -> None:
    def post(content: bytes, **headers: str) -> int:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        answer = service.request("POST", "/v1/events", content=content, headers=named)
        assert answer.status_code == 200, answer.text
        return answer.json()["accepted"]

    js, lines = "application/json", "application/x-ndjson"
    assert post(json.dumps(session()).encode(), content_type=js) == 1
    assert post(json.dumps({"events": [session(), session()]}).encode(), content_type=js) == 2
    ndjson = "\n".join(json.dumps(session()) for _ in range(3)).encode()
    assert post(ndjson, content_type=lines) == 3
    packed = b"\n".join([json.dumps(session()).encode() for _ in range(2)])
    assert post(gzip.compress(packed), content_type=lines, content_encoding="gzip") == 2
    again = json.dumps([session()]).encode()
    assert post(zstandard.compress(again), content_type=js, content_encoding="zstd") == 1
    assert service.value("sessions") == 9


def test_a_line_that_is_not_json_is_rejected_at_its_position(service: Service) -> None:
    lines = "\n".join([json.dumps(session()), "{not json", json.dumps(session())])
    answer = service.request(
        "POST", "/v1/events", content=lines.encode(), headers={"content-type": "application/x-ndjson"}
    ).json()
    assert answer["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(1, "malformed")]


def test_cloudevents_are_accepted_in_all_three_modes(service: Service) -> None:
    def cloudevent(id: str) -> dict[str, object]:
        return {
            "specversion": "1.0",
            "id": id,
            "source": "/billing",
            "type": "session.ended",
            "subject": "acme",
            "time": "2026-03-10T12:00:00Z",
            "userid": "ada",
            "traceparent": "left out",
            "data": {"duration_seconds": 60},
        }

    def post(body: object, kind: str, **headers: str) -> dict[str, object]:
        named = {"content-type": kind} | {name.replace("_", "-"): text for name, text in headers.items()}
        return service.request("POST", "/v1/events", content=json.dumps(body).encode(), headers=named).json()

    assert post(cloudevent("1"), "application/cloudevents+json")["accepted"] == 1
    assert post([cloudevent("1"), cloudevent("2")], "application/cloudevents-batch+json") == {
        "accepted": 1,
        "duplicates": 1,
        "rejected": [],
    }
    attributes = {
        f"ce_{name}": str(value) for name, value in cloudevent("3").items() if name not in ("data", "traceparent")
    }
    assert post({"duration_seconds": 60}, "application/json", **attributes)["accepted"] == 1
    assert service.value("sessions") == 3


def test_survey_responses_are_survey_responded_events(service: Service) -> None:
    answer = {
        "id": "answer-1",
        "survey": "nps",
        "account_id": "acme",
        "score": 9,
        "responded_at": "2026-03-10T12:00:00Z",
    }
    posted = service.request("POST", "/v1/survey-responses", json=[answer, answer | {"id": "answer-2", "score": 11}])
    assert posted.json()["accepted"] == 1
    assert posted.json()["rejected"][0]["pointer"] == "/score"
    assert service.send(event("survey.responded", survey="nps", score=9, id="answer-1"))["duplicates"] == 1
    assert service.value("nps") == 100


def test_a_missing_field_is_named_as_the_endpoint_names_it(service: Service) -> None:
    response = {"id": "answer-1", "survey": "nps", "account_id": "acme", "score": 9}
    [rejection] = service.request("POST", "/v1/survey-responses", json=response).json()["rejected"]
    assert (rejection["code"], rejection["pointer"]) == ("missing", "/responded_at")
    assert rejection["detail"] == 'Field "responded_at" is required.'


@pytest.mark.parametrize("bad", [{"survey": "unheard"}, {"survey": "nps", "score": 11}, {"survey": "csat", "score": 0}])
def test_a_response_off_the_scale_or_to_an_unknown_survey_is_rejected(service: Service, bad: dict[str, object]) -> None:
    answer = service.request("POST", "/v1/events", json=event("survey.responded", **({"score": 5} | bad)))
    assert answer.json()["rejected"][0]["code"] in ("unknown_survey", "score_out_of_range")


def test_a_survey_with_responses_cannot_be_changed(service: Service) -> None:
    body = {"kind": "csat", "scale": {"min": 1, "max": 7}}
    service.put("/v1/surveys/review", body)
    service.put("/v1/surveys/review", body | {"satisfied_from": 7})
    service.send(*survey_responses("review", [6, 7]))
    assert service.value("csat") == 50
    service.put("/v1/surveys/review", body | {"satisfied_from": 7})
    changed = service.request("PUT", "/v1/surveys/review", json=body)
    assert (changed.status_code, changed.json()["code"]) == (409, "survey_answered")


def test_a_ces_survey_must_say_which_end_is_easy(service: Service) -> None:
    body = {"kind": "ces", "scale": {"min": 1, "max": 7}}
    assert service.request("PUT", "/v1/surveys/effort", json=body).status_code == 422
    service.put("/v1/surveys/low", body | {"easy_is": "low"})
    service.put("/v1/surveys/high", body | {"easy_is": "high"})
    service.send(*survey_responses("low", [1, 2, 4]), *survey_responses("high", [7, 1, 4]))
    assert service.value("ces_easy_rate", subject="low") == pytest.approx(200 / 3, abs=1e-6)
    assert service.value("ces_easy_rate", subject="high") == pytest.approx(100 / 3, abs=1e-6)
    assert service.row("ces")["reason"] == "mixed_scales"
    assert service.value("ces", subject="high") == 4


def test_a_retracted_event_no_longer_counts_even_when_sent_again(service: Service) -> None:
    service.send(session(id="one"), session())
    service.retract("acme", "one")
    service.retract("acme", "one")
    assert service.value("sessions") == 1
    assert service.send(session(id="one"))["duplicates"] == 1
    assert service.value("sessions") == 1
    assert service.request("DELETE", "/v1/accounts/acme/events/unheard").status_code == 404
    assert service.differences() == []


def test_a_cost_without_an_account_can_be_retracted(service: Service) -> None:
    assert service.send(event("cost.recorded", None, category="acquisition", amount="10", id="ads"))["accepted"] == 1
    assert service.request("DELETE", "/v1/events/ads").status_code == 204
    assert service.get("/v1/accounts")["accounts"] == []


def test_money_in_another_currency_needs_a_rate_for_its_day_which_is_then_frozen(service: Service) -> None:
    cost = event("cost.recorded", category="retention", amount="10", currency="EUR")
    answer = service.request("POST", "/v1/events", json=cost).json()
    assert answer["rejected"][0]["code"] == "no_exchange_rate"
    rates = {"2026-01-01": "1.05", "2026-03-01": "1.08"}
    service.put("/v1/exchange-rates", {"currency": "EUR", "rates": rates})
    assert service.send(cost)["accepted"] == 1
    service.put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "1.06", "2026-03-01": "1.0800"}})
    used = service.request("PUT", "/v1/exchange-rates", json={"currency": "EUR", "rates": {"2026-03-01": "1.1"}})
    assert (used.status_code, used.json()["code"]) == (409, "rate_used")


def test_history_is_recorded_on_the_day_that_the_sender_sets(service: Service) -> None:
    service.send(session(at="2026-01-05", recorded_on="2026-01-07"), session(at="2026-01-05", recorded_on="2026-02-01"))
    assert service.row("sessions", period="2026-01", as_of="2026-01-06")["reason"] == "nothing_known_yet"
    assert service.value("sessions", period="2026-01", as_of="2026-01-07") == 1
    assert service.value("sessions", period="2026-01", as_of="2026-02-01") == 2
    late = service.send(session(at="2026-01-05", recorded_on="2026-01-08"), session(at="2026-01-05"))
    assert late["accepted"] == 1
    assert [r["code"] for r in late["rejected"]] == ["recorded_before_last"]


def test_the_first_event_with_an_id_that_can_be_recorded_is_stored(service: Service) -> None:
    service.send(session(at="2026-01-05", recorded_on="2026-02-01", seconds=60))
    versions = [(120, "2026-01-20"), (180, "2026-02-03"), (240, "2026-02-02"), (180, "2026-02-04")]
    reply = service.send(
        *(session(id="one", at="2026-01-06", seconds=seconds, recorded_on=day) for seconds, day in versions)
    )
    assert (reply["accepted"], reply["duplicates"]) == (1, 1)
    assert [(r["index"], r["code"]) for r in reply["rejected"]] == [(0, "conflict"), (2, "conflict")]
    minutes = {
        day: service.row("average_session_minutes", period="2026-01", as_of=f"2026-02-{day}")["numerator"]
        for day in ("01", "02", "03")
    }
    assert minutes == {"01": 1, "02": 1, "03": 4}
    assert service.differences() == []


def test_importing_the_same_history_again_changes_nothing(service: Service) -> None:
    history = [session(at="2026-01-05", recorded_on=f"2026-01-{day:02}", id=f"s{day}") for day in (7, 9, 30)]
    assert service.send(*history)["accepted"] == 3
    assert service.send(*history) == {"accepted": 0, "duplicates": 3, "rejected": []}


def test_an_account_is_described_by_put_and_by_events(service: Service) -> None:
    service.put(
        "/v1/accounts/acme", {"name": "Acme", "attributes": {"plan": "pro"}, "effective_at": "2026-01-01T00:00:00Z"}
    )
    service.put(
        "/v1/accounts/acme", {"attributes": {"plan": "team", "seats": 5}, "effective_at": "2026-01-01T00:00:00Z"}
    )
    service.send(account_update(region="emea"))
    account = service.get("/v1/accounts/acme")
    assert account["attributes"] == {"plan": "team", "seats": 5, "region": "emea"}
    assert account["name"] is None
    assert service.differences() == []


def test_accounts_are_listed_by_filter_and_page(service: Service) -> None:
    service.send(*(account_update(f"a{number}", plan="pro" if number % 2 else "free") for number in range(5)))
    assert [a["id"] for a in service.get("/v1/accounts", filter='plan = "pro"')["accounts"]] == ["a1", "a3"]
    first = service.get("/v1/accounts", limit=3)
    rest = service.get("/v1/accounts", limit=3, cursor=first["next"])
    assert [a["id"] for page in (first, rest) for a in page["accounts"]] == [f"a{n}" for n in range(5)]
    assert rest["next"] is None


def test_an_account_without_a_live_event_is_not_listed(service: Service) -> None:
    service.send(session(id="one"))
    service.retract("acme", "one")
    assert service.get("/v1/accounts")["accounts"] == []
    assert service.request("GET", "/v1/accounts/acme").status_code == 404


def test_a_duplicate_does_not_advance_the_last_recorded_day(service: Service) -> None:
    first = session(id="one", at="2025-01-01", recorded_on="2025-01-01")
    service.send(first)
    assert service.send({name: value for name, value in first.items() if name != "recorded_on"})["duplicates"] == 1
    assert service.send(session(at="2025-02-01", recorded_on="2025-02-01"))["accepted"] == 1


def test_an_event_recorded_too_early_does_not_block_its_repetition_without_recorded_on(service: Service) -> None:
    service.send(session())
    late = session(id="one", at="2026-03-01")
    assert service.send(late | {"recorded_on": "2026-03-02"}, late)["accepted"] == 1


def test_a_put_of_an_account_replaces_earlier_puts_only(service: Service) -> None:
    at = "2026-01-01T00:00:00+00:00"
    service.send(account_update(at=at, region="emea") | {"id": "put-mine"})
    service.put("/v1/accounts/acme", {"attributes": {"plan": "pro"}, "effective_at": at})
    assert service.get("/v1/accounts/acme")["attributes"] == {"plan": "pro", "region": "emea"}
    reserved = service.request("POST", "/v1/events", json=account_update(plan="free") | {"id": "PUT mine"})
    assert reserved.json()["rejected"][0]["code"] == "reserved"


@pytest.mark.parametrize("table", ["account", "grand_total"])
def test_an_event_that_waits_past_midnight_is_recorded_on_the_new_day(
    service: Service, database: str, table: str
) -> None:
    service.send(session())
    service.now = service.now.replace(hour=23, minute=59)

    async def post_while_rows_are_held() -> None:
        address = database.replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(address) as holder:
            await holder.execute(f"SELECT FROM {table} FOR UPDATE")
            posted = asyncio.create_task(service.client.post("/v1/events", json=session(at="2026-03-14")))
            await asyncio.sleep(0.3)
            service.later(minutes=2)
            await holder.rollback()
        assert (await posted).json()["accepted"] == 1

    service.run(post_while_rows_are_held())
    assert service.value("sessions") == 2
    assert service.value("sessions", as_of="2026-03-15") == 1
