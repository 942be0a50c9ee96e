"""Companies, deals and contacts of HubSpot. Its SDK signs; only its API is faked."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.inbound.define import VENDORS
from app.inbound.fetch import VendorApi
from tests.inbound.senders import SECRET, post, put_source, send, sign_hubspot, to_bytes
from tests.support.service import Service

KEY = "pat-eu1-a-token-of-a-private-app"
OPTIONS = {"numbers": ["amount"], "deal_attributes": ["amount"], "contact_attributes": ["jobtitle"]}
[CHANGE] = VENDORS["hubspot"].example


def change(number: int, kind: str, id: int, name: str | None = None, value: str | None = None, **more: Any) -> Any:
    own = CHANGE | {"eventId": number, "subscriptionType": kind, "objectId": id, **more}
    return own | {"propertyName": name, "propertyValue": value}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """The requests that HubSpot got: path and ids. Deals and contacts below 100 belong to the company 7."""
    collected: list[tuple[str, list[str]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        ids = [own["id"] for own in json.loads(request.content)["inputs"]]
        collected.append((request.url.path, ids))
        assert request.headers["authorization"] == f"Bearer {KEY}"
        targets = [
            {"toObjectId": "8", "associationTypes": [{"typeId": 341}]},
            {"toObjectId": 7, "associationTypes": [{"typeId": 341}, {"typeId": 5}, {"typeId": 1}]},
        ]
        results = [{"from": {"id": id}, "to": targets} for id in ids if int(id) < 100]
        return httpx.Response(207, json={"status": "COMPLETE", "results": results})

    monkeypatch.setattr(VendorApi, "transport", httpx.MockTransport(answer))
    return collected


def test_numbers_are_numbers_where_the_source_says_so(service: Service) -> None:
    put_source(service, "hubspot", "hubspot", options={"numbers": ["numberofemployees"]})
    changes = [
        change(1, "company.propertyChange", 7, "numberofemployees", "120"),
        change(2, "company.propertyChange", 7, "name", "Acme"),
        change(3, "object.propertyChange", 7, "industry", "SOFTWARE", objectTypeId="0-2"),
        change(4, "company.propertyChange", 7, "city", ""),
        change(5, "company.creation", 7),
        change(6, "company.merge", 7, mergedObjectIds=[8], primaryObjectId=7),
        change(7, "object.propertyChange", 9, "subject", "x", objectTypeId="0-5"),
    ]
    answer = send(service, "hubspot", changes, sign_hubspot)
    assert (answer["accepted"], answer["status"], len(answer["reasons"])) == (4, "accepted", 3)
    account = service.get("/v1/accounts/7")
    assert account["attributes"] == {"name": "Acme", "numberofemployees": 120, "industry": "SOFTWARE"}


def test_a_deal_is_won_and_a_contact_has_a_title(service: Service, requests: list[tuple[str, list[str]]]) -> None:
    put_source(service, "hubspot", "hubspot", options=OPTIONS, api_key=KEY)
    changes = [
        change(1, "deal.creation", 61),
        change(2, "deal.propertyChange", 61, "dealstage", "closedwon"),
        change(3, "object.propertyChange", 61, "hs_is_closed_won", "true", objectTypeId="0-3"),
        change(4, "deal.propertyChange", 61, "amount", "1200.50"),
        change(5, "object.creation", 62, objectTypeId="0-3"),
        change(6, "deal.propertyChange", 62, "dealstage", "closedlost"),
        change(7, "contact.propertyChange", 63, "jobtitle", "CTO"),
        change(8, "contact.propertyChange", 64, "email", "ada@example.com"),
    ]
    answer = send(service, "hubspot", changes, sign_hubspot)
    assert (answer["accepted"], answer["rejected"], len(answer["reasons"])) == (6, [], 2)
    path = "/crm/associations/2026-03/{}/companies/batch/read"
    assert requests == [(path.format("deals"), ["61", "62"]), (path.format("contacts"), ["63"])]
    assert service.get("/v1/accounts/7")["attributes"] == {"deal_amount": 1200.5, "contact_jobtitle": "CTO"}
    [row] = service.rows("conversion_rate", group_by="subject", period="2026", granularity="total")
    assert (row["group"]["subject"], row["value"]) == ("deal", 50)
    # Sent again, or replayed with what was read, it is the same.
    again = send(service, "hubspot", changes, sign_hubspot)
    assert (again["accepted"], again["duplicates"]) == (0, 6)


def test_a_deal_without_a_company_is_listed(service: Service, requests: list[tuple[str, list[str]]]) -> None:
    put_source(service, "hubspot", "hubspot", api_key=KEY)
    answer = send(service, "hubspot", [change(1, "deal.creation", 900)], sign_hubspot)
    assert answer["status"] == "rejected" and answer["reasons"][0]["detail"] == "The deal has no company."
    put_source(service, "other", "hubspot")
    body = to_bytes([change(1, "deal.creation", 61)])
    answer = post(service, "other", body, sign_hubspot(body, service.now, "http://service/v1/inbound/other")).json()
    assert answer["status"] == "rejected" and "api_key" in answer["reasons"][0]["detail"]
    put_source(service, "other", "hubspot", api_key=KEY)
    answer = service.request("POST", f"/v1/sources/other/deliveries/{answer['delivery']}/replay").json()
    assert answer["accepted"] == 1


def test_the_signature_is_that_of_the_public_url(start_service: Callable[..., Service]) -> None:
    service = start_service(public_url="https://example.com/csm")
    put_source(service, "hubspot", "hubspot")
    body = to_bytes(VENDORS["hubspot"].example)
    headers = sign_hubspot(body, service.now, "https://example.com/csm/v1/inbound/hubspot", SECRET)
    assert post(service, "hubspot", body, headers).status_code == 200
    assert post(service, "hubspot", body, sign_hubspot(body, service.now)).status_code == 401
