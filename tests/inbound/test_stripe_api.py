"""What events of Stripe only name is read from its API with the key of the source. Only that API is faked."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.inbound.fetch import VendorApi
from tests.inbound.senders import STRIPE_SECRET, post, put_source, send, sign_stripe, to_bytes
from tests.inbound.stripe_events import created, item
from tests.support.service import Service

KEY = "rk_test_a-restricted-key-of-stripe"
TIERS = [
    {"up_to": 10, "unit_amount": 1_000, "flat_amount": None},
    {"up_to": 20, "unit_amount": None, "unit_amount_decimal": "800.5", "flat_amount": 500},
    {"up_to": None, "unit_amount": 500, "flat_amount": 0},
]


def tiered(quantity: int = 1, **more: Any) -> dict[str, Any]:
    return item(None, quantity=quantity, billing_scheme="tiered", **{"tiers_mode": "graduated"} | more)


def thin(type: str = "v1.customer.subscription.created", **more: Any) -> dict[str, Any]:
    return {
        "id": "evt_thin_1",
        "object": "v2.core.event",
        "type": type,
        "created": "2026-03-01T12:00:00Z",
        "livemode": False,
        "related_object": {"id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1"},
        **more,
    }


class Stripe:
    """The API of Stripe: the answers by path, and the requests that it got."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.requests = answers, list[httpx.Request]()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.get(request.url.path, 404)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer) if isinstance(answer, int) else httpx.Response(200, json=answer)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Stripe]:
    def open_api(answers: dict[str, Any]) -> Stripe:
        stripe = Stripe(answers)
        monkeypatch.setattr(VendorApi, "transport", httpx.MockTransport(stripe.answer))
        return stripe

    return open_api


@pytest.fixture
def stripe(service: Service) -> Iterator[Service]:
    put_source(service, "stripe", "stripe", STRIPE_SECRET, api_key=KEY)
    yield service


SNAPSHOT = created("03-01", item(10_000)) | {"id": "evt_1"}


def test_a_thin_event_is_the_same_event_as_its_snapshot(
    stripe: Service, api: Callable[[dict[str, Any]], Stripe]
) -> None:
    answers = {"/v2/core/events/evt_thin_1": thin(snapshot_event="evt_1"), "/v1/events/evt_1": SNAPSHOT}
    fake = api(answers)
    assert send(stripe, "stripe", thin(context="acct_1"), sign_stripe)["accepted"] > 0
    assert stripe.value("mrr") == 100
    assert [own.url.path for own in fake.requests] == list(answers)
    assert {own.headers["authorization"] for own in fake.requests} == {f"Bearer {KEY}"}
    assert {own.headers["stripe-context"] for own in fake.requests} == {"acct_1"}
    assert fake.requests[0].headers["stripe-version"] >= "2026-09-30"
    answer = send(stripe, "stripe", SNAPSHOT, sign_stripe)
    assert (answer["accepted"], answer["rejected"]) == (0, [])
    # A replay has what was read, and reads nothing.
    api({})
    assert stripe.request("POST", "/v1/sources/stripe/deliveries/evt_thin_1/replay").json()["status"] == "accepted"


def test_a_thin_event_that_names_its_snapshot_is_read_once(
    stripe: Service, api: Callable[[dict[str, Any]], Stripe]
) -> None:
    fake = api({"/v1/events/evt_1": SNAPSHOT})
    assert send(stripe, "stripe", thin(snapshot_event="evt_1"), sign_stripe)["status"] == "accepted"
    assert len(fake.requests) == 1


def test_thin_events_that_count_nothing_are_not_read(stripe: Service, api: Callable[[dict[str, Any]], Stripe]) -> None:
    fake = api({"/v2/core/events/evt_thin_1": thin(snapshot_event=None)})
    assert send(stripe, "stripe", thin("v1.charge.succeeded"), sign_stripe)["status"] == "ignored"
    assert fake.requests == []
    # One of the events that exist as thin ones only.
    answer = send(stripe, "stripe", thin("v1.customer.subscription.past_due") | {"id": "evt_thin_1"}, sign_stripe)
    assert (answer["status"], "has no snapshot" in answer["reasons"][0]["detail"]) == ("ignored", True)


def test_a_thin_event_waits_for_a_key(service: Service, api: Callable[[dict[str, Any]], Stripe]) -> None:
    put_source(service, "stripe", "stripe", STRIPE_SECRET)
    answer = send(service, "stripe", thin(), sign_stripe)
    assert (answer["status"], "api_key" in answer["reasons"][0]["detail"]) == ("rejected", True)
    put_source(service, "stripe", "stripe", STRIPE_SECRET, api_key=KEY)
    api({"/v2/core/events/evt_thin_1": thin(snapshot_event="evt_1"), "/v1/events/evt_1": SNAPSHOT})
    answer = service.request("POST", "/v1/sources/stripe/replay?status=rejected").json()
    assert answer["deliveries"]["accepted"] == 1 and service.value("mrr") == 100


@pytest.mark.parametrize("failure", [500, 429, httpx.ConnectError("no"), httpx.ReadTimeout("slow")])
def test_while_stripe_does_not_answer_the_delivery_is_kept_and_sent_again(
    failure: Any, stripe: Service, api: Callable[[dict[str, Any]], Stripe]
) -> None:
    api({"/v2/core/events/evt_thin_1": failure})
    body = to_bytes(thin())
    answer = post(stripe, "stripe", body, sign_stripe(body, stripe.now))
    assert (answer.status_code, answer.json()["code"]) == (503, "vendor_unavailable")
    assert "retry-after" in answer.headers
    [kept] = stripe.get("/v1/sources/stripe/deliveries", status="rejected")["deliveries"]
    assert kept["reasons"][0]["code"] == "vendor_unavailable"
    api({"/v2/core/events/evt_thin_1": thin(snapshot_event="evt_1"), "/v1/events/evt_1": SNAPSHOT})
    assert send(stripe, "stripe", thin(), sign_stripe)["status"] == "accepted"
    assert stripe.get("/v1/sources/stripe/deliveries", status="rejected")["deliveries"] == []


@pytest.mark.parametrize("status, word", [(401, "refuses"), (403, "refuses"), (404, "404"), (302, "302")])
def test_what_stripe_refuses_is_listed_with_the_reason(
    status: int, word: str, stripe: Service, api: Callable[[dict[str, Any]], Stripe]
) -> None:
    api({"/v2/core/events/evt_thin_1": status})
    answer = send(stripe, "stripe", thin(), sign_stripe)
    assert (answer["code"], answer["status"]) == (202, "rejected") and word in answer["reasons"][0]["detail"]
    assert KEY not in str(answer)


@pytest.mark.parametrize("id", ["../accounts", "evt_1?x=1", "evt_%2e", "", None, 7.5, "e" * 300])
def test_an_id_never_leads_to_another_path(id: Any, stripe: Service, api: Callable[[dict[str, Any]], Stripe]) -> None:
    fake = api({})
    answer = send(stripe, "stripe", thin() | {"id": id}, sign_stripe)
    assert answer["status"] == "rejected" and fake.requests == []


@pytest.mark.parametrize(
    "mode, quantity, mrr",
    [
        ("graduated", 5, 50),
        ("graduated", 10, 100),
        ("graduated", 11, 113.005),
        ("graduated", 25, 210.05),
        ("volume", 10, 100),
        ("volume", 11, 93.055),
        ("volume", 100, 500),
    ],
)
def test_a_price_with_tiers_is_that_of_its_quantity(
    mode: str, quantity: int, mrr: float, stripe: Service, api: Callable[[dict[str, Any]], Stripe]
) -> None:
    own_item = tiered(quantity, tiers_mode=mode)
    fake = api({"/v1/prices/price_None_month": own_item["price"] | {"tiers": TIERS}})
    assert send(stripe, "stripe", created("03-01", own_item), sign_stripe)["status"] == "accepted"
    assert stripe.value("mrr") == pytest.approx(mrr)
    assert fake.requests[0].url.params["expand[]"] == "tiers"


def items(*amounts: int, has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "has_more": has_more, "data": [item(amount) for amount in amounts]}


def test_items_that_an_event_does_not_hold_are_read(stripe: Service, api: Callable[[dict[str, Any]], Stripe]) -> None:
    fake = api({"/v1/subscription_items": items(10_000, 2_000, 500)})
    payload = created("03-01", item(10_000))
    payload["data"]["object"]["items"]["has_more"] = True
    assert send(stripe, "stripe", payload, sign_stripe)["status"] == "accepted"
    assert stripe.value("mrr") == 125
    assert dict(fake.requests[0].url.params) == {"subscription": "sub_1", "limit": "100"}


def test_items_are_read_page_by_page(
    stripe: Service, monkeypatch: pytest.MonkeyPatch, api: Callable[[dict[str, Any]], Stripe]
) -> None:
    pages = {None: items(10_000, 2_000, has_more=True), "si_2000": items(500)}
    answer = lambda request: httpx.Response(200, json=pages[request.url.params.get("starting_after")])  # noqa: E731
    monkeypatch.setattr(VendorApi, "transport", httpx.MockTransport(answer))
    payload = created("03-01", item(10_000))
    payload["data"]["object"]["items"]["has_more"] = True
    assert send(stripe, "stripe", payload, sign_stripe)["status"] == "accepted"
    assert stripe.value("mrr") == 125


def test_items_that_have_changed_since_do_not_count(stripe: Service, api: Callable[[dict[str, Any]], Stripe]) -> None:
    payload = created("03-01", item(10_000, quantity=2))
    payload["data"]["object"]["items"]["has_more"] = True
    for answer in (items(10_000, 500), items(500), items(), {"data": 7}, {"data": [7]}, [], {}):
        api({"/v1/subscription_items": answer})
        result = send(stripe, "stripe", payload, sign_stripe)
        assert result["status"] == "rejected" and result["reasons"][0]["code"] == "untranslatable", answer


def test_without_a_key_items_that_are_missing_say_what_to_do(service: Service) -> None:
    put_source(service, "stripe", "stripe", STRIPE_SECRET)
    payload = created("03-01", item(10_000))
    payload["data"]["object"]["items"]["has_more"] = True
    answer = send(service, "stripe", payload, sign_stripe)
    assert answer["status"] == "rejected" and "`api_key`" in answer["reasons"][0]["detail"]


def test_a_number_that_json_cannot_have_does_not_lose_what_is_read(
    stripe: Service, api: Callable[[dict[str, Any]], Stripe]
) -> None:
    api({"/v1/events/evt_1": SNAPSHOT})
    own_item = tiered(5)
    api({"/v1/prices/price_None_month": own_item["price"] | {"tiers": TIERS}})
    body = to_bytes(created("03-01", own_item)).replace(b'"livemode": false', b'"livemode": 1e400')
    answer = post(stripe, "stripe", body, sign_stripe(body, stripe.now)).json()
    assert answer["status"] == "accepted", answer


def test_tiers_that_end_too_early_are_listed(stripe: Service, api: Callable[[dict[str, Any]], Stripe]) -> None:
    own_item = tiered(11)
    api({"/v1/prices/price_None_month": own_item["price"] | {"tiers": TIERS[:1]}})
    answer = send(stripe, "stripe", created("03-01", own_item), sign_stripe)
    assert answer["status"] == "rejected" and "end before" in answer["reasons"][0]["detail"]


def test_the_key_is_never_shown_and_kept_until_it_is_removed(stripe: Service) -> None:
    assert stripe.get("/v1/sources/stripe")["api_key"] == "…ripe"
    body: dict[str, Any] = {"vendor": "stripe"}
    assert stripe.put("/v1/sources/stripe", body).json()["api_key"] == "…ripe"
    assert stripe.put("/v1/sources/stripe", body | {"api_key": None}).json()["api_key"] is None
    answer = stripe.request("PUT", "/v1/sources/other", json={"vendor": "zendesk", "secrets": [KEY], "api_key": KEY})
    assert [(own["pointer"], own["code"]) for own in answer.json()["errors"]] == [("/api_key", "api_key")]
