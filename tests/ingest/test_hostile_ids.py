"""Ids: a valid id is stored unchanged and works in every endpoint; an invalid one is rejected by every endpoint."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.campaign import examples
from tests.support.hostile import in_path, is_id, is_problem, normalize, post, serial_numbers, without_deadline
from tests.support.naughty import INVALID_IDS, VALID_IDS
from tests.support.service import Service, event, session


def test_every_valid_id_is_stored_unchanged(service: Service) -> None:
    ids = list(VALID_IDS.values())
    batch = [session(id, user=id, id=id) for id in ids] + [event("feature.used", id, user=id, feature=id) for id in ids]
    batch += [event("account.updated", id, name=id, attributes={id: id, "n": number}) for number, id in enumerate(ids)]
    assert service.send(*batch) == {"accepted": len(batch), "duplicates": 0, "rejected": []}
    forms = {normalize(id) for id in ids}
    assert len(forms) == len(ids)
    assert {account["id"] for account in service.get("/v1/accounts", limit=1000)["accounts"]} == forms
    rows = service.rows("sessions", period="2026-03", group_by="account")
    assert {row["group"]["account"] for row in rows} == forms
    rows = service.rows("feature_uses", period="2026-03", group_by="subject,name")
    assert {row["group"]["subject"] for row in rows} == forms == {row["group"]["name"] for row in rows}
    table = service.request("GET", "/v1/metrics/sessions", params={"group_by": "account", "format": "csv"})
    assert table.status_code == 200


@pytest.mark.parametrize("case", VALID_IDS)
def test_a_valid_id_works_in_every_endpoint(case: str, shared: Service) -> None:
    id = VALID_IDS[case]
    shared.send(update_named_by_id(id), session(id, id=id, user=id), event("feature.used", id, user=id, feature=id))
    account = shared.get(f"/v1/accounts/{in_path(id)}")
    assert account["id"] == account["name"] == account["attributes"]["twin"] == normalize(id)
    assert shared.value("sessions", account=id) == 1
    assert shared.value("feature_uses", subject=id) == 1
    question = {"metrics": ["sessions"], "account": [id], "period": "2026-03", "group_by": ["account"]}
    rows = post(shared, question, path="/v1/query").json()["rows"]
    assert [row["group"] for row in rows] == [{"account": normalize(id)}]
    narrowed = shared.get("/v1/accounts", filter=f"twin = {json.dumps(normalize(id))}")
    assert [account["id"] for account in narrowed["accounts"]] == [normalize(id)]
    for _ in range(2):
        assert shared.request("DELETE", f"/v1/accounts/{in_path(id)}/events/{in_path(id)}").status_code == 204
    assert shared.value("sessions", account=id) == 0


@pytest.mark.parametrize("case", VALID_IDS)
def test_a_valid_id_can_name_an_account_a_survey_and_a_segment(case: str, shared: Service) -> None:
    id = in_path(VALID_IDS[case])
    assert shared.put(f"/v1/accounts/{id}", {"attributes": {"put": True}}).json()["id"] == normalize(VALID_IDS[case])
    assert shared.put(f"/v1/surveys/{id}", {"kind": "nps", "scale": {"min": 0, "max": 10}}).json()["id"] == normalize(
        VALID_IDS[case]
    )
    shared.put(f"/v1/segments/{id}", {"filter": "put = true"})
    names = [segment["name"] for segment in shared.get("/v1/segments")["segments"]]
    assert normalize(VALID_IDS[case]) in names
    (row,) = shared.rows("sessions", segment=VALID_IDS[case], period="2026-03")
    assert row["group"] == {"segment": normalize(VALID_IDS[case])}
    assert shared.request("DELETE", f"/v1/segments/{id}").status_code == 204


@pytest.mark.parametrize("case", INVALID_IDS)
def test_an_invalid_id_is_rejected_by_every_endpoint(case: str, shared: Service) -> None:
    id = INVALID_IDS[case]
    for field in ("id", "account_id", "user_id"):
        assert is_problem(post(shared, session() | {field: id}), 422, "all_rejected")
    feature = event("feature.used", user="ada", feature="x")
    feature["data"]["feature"] = id
    assert is_problem(post(shared, feature), 422, "all_rejected")
    assert is_problem(post(shared, event("account.updated", attributes={id: 1})), 422, "all_rejected")
    assert is_problem(post(shared, event("feedback.received", comment="a", tags=[id])), 422, "all_rejected")
    for name in ("account", "segment", "subject", "channel", "group_by"):
        reply = shared.request("GET", "/v1/metrics/feature_uses", params={name: id})
        assert reply.status_code == 422 or (name, id) == ("group_by", ""), name
    if len(id) < 1000:
        for method, path, body in (
            ("GET", "/v1/accounts/{}", None),
            ("PUT", "/v1/accounts/{}", {}),
            ("PUT", "/v1/surveys/{}", {"kind": "nps", "scale": {"min": 0, "max": 10}}),
            ("PUT", "/v1/segments/{}", {"filter": "a = 1"}),
            ("DELETE", "/v1/segments/{}", None),
            ("DELETE", "/v1/events/{}", None),
            ("DELETE", "/v1/accounts/{}/events/a", None),
            ("DELETE", "/v1/accounts/a/events/{}", None),
            ("DELETE", "/v1/keys/{}", None),
        ):
            answer = post(shared, body, path=path.format(in_path(id)), method=method)
            assert is_problem(answer, 422) or id == "", path


def test_an_address_that_is_not_utf_8_is_rejected(shared: Service) -> None:
    for text in ("%FF", "a%C3", "%C0%80", "%ED%A0%80", "%F5%80%80%80", "%E2%82"):
        assert is_problem(post(shared, {}, path=f"/v1/accounts/{text}", method="PUT"), 400, "malformed_address")
        for parameter in ("account", "filter", "cursor", "period", text):
            reply = shared.request("GET", f"/v1/metrics/nps?{parameter}={text}")
            assert is_problem(reply, 400, "malformed_address")


def test_ids_that_are_equal_after_unicode_normalization_are_the_same_id(shared: Service) -> None:
    composed, apart = "\u00e9\u1e69", "e\u0301s\u0323\u0307"
    shared.send(session(composed, id=composed, user=composed))
    assert shared.send(session(apart, id=apart, user=apart))["duplicates"] == 1
    assert shared.get(f"/v1/accounts/{in_path(apart)}")["id"] == composed
    assert shared.value("sessions", account=apart) == 1
    answer = post(shared, event("account.updated", attributes={composed: 1, apart: 2}))
    assert answer.json()["rejected"][0]["code"] == "duplicate_key"
    answer = post(shared, {"attributes": {composed: 1, apart: 2}}, path="/v1/accounts/acme", method="PUT")
    assert is_problem(answer, 422)


@settings(without_deadline, max_examples=examples(25))
@given(st.text(max_size=140), st.text(max_size=140))
def test_a_text_is_accepted_as_an_id_exactly_when_it_is_valid(shared: Service, id: str, value: str) -> None:
    account = f"account-{next(serial_numbers)}"
    sent = event("account.updated", account, id=f"e{next(serial_numbers)}", attributes={"key": value})
    sent["id"] = id
    answer = post(shared, sent)
    if is_id(id) and "\0" not in value:
        assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
        assert shared.get(f"/v1/accounts/{account}")["attributes"] == {"key": normalize(value)}
        if id not in (".", ".."):  # which clients take for a step up, however they are encoded
            assert shared.request("DELETE", f"/v1/accounts/{account}/events/{in_path(id)}").status_code == 204
    else:
        assert is_problem(answer, 422, "all_rejected")
        assert shared.request("GET", f"/v1/accounts/{account}").status_code == 404


def update_named_by_id(id: str) -> dict[str, Any]:
    return event("account.updated", id, name=id, attributes={"twin": id})
