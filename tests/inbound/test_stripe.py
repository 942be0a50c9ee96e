"""Stories of Stripe's subscriptions end in the movements of MRR that docs/metrics.md defines, in any order of delivery."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inbound.senders import STRIPE_SECRET, post, put_source, send, sign_stripe, to_bytes
from tests.inbound.stripe_events import created, event, item, rename, subscription
from tests.inbound.stripe_stories import PRO, STORIES
from tests.support.campaign import examples
from tests.support.service import Service

_names = (f"n{number}" for number in itertools.count())
MOVEMENTS = ("mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated")


@pytest.fixture(scope="module")
def stripe(shared: Service) -> Iterator[Service]:
    """A service with a source of Stripe, whose clock stands behind all stories."""
    put_source(shared.on("2026-07-01"), "stripe", "stripe", STRIPE_SECRET)
    for currency in ("JPY", "KWD", "ISK", "EUR"):
        shared.put("/v1/exchange-rates", {"currency": currency, "rates": {"2026-01-01": "2"}})
    yield shared


def movements(service: Service, account: str) -> dict[tuple[str, str], float]:
    rows = service.get(
        "/v1/query",
        metrics=",".join(MOVEMENTS),
        account=account,
        granularity="day",
        start="2026-01-01",
        end="2026-07-01",
        strict="false",
    )["rows"]
    return {(row["start"], row["metric"]): row["value"] for row in rows if row["value"]}


def tell(service: Service, events: list[dict[str, Any]]) -> None:
    for payload in events:
        body = to_bytes(payload)
        answer = post(service, "stripe", body, sign_stripe(body, service.now))
        assert answer.status_code in (200, 202) and answer.json()["status"] != "rejected", answer.text


@pytest.mark.parametrize("title", STORIES)
def test_a_story_ends_in_its_movements_in_any_order_with_repeats(title: str, stripe: Service) -> None:
    story = STORIES[title]
    repeats = st.lists(st.sampled_from(story.events), max_size=2)
    orders = repeats.flatmap(lambda more: st.permutations([*story.events, *more]))

    @settings(max_examples=examples(2), deadline=None, suppress_health_check=list(HealthCheck))
    @given(orders)
    def holds(order: list[dict[str, Any]]) -> None:
        name = next(_names)
        tell(stripe, [rename(payload, name) for payload in order])
        assert movements(stripe, f"cus_{name}") == pytest.approx(story.movements, abs=1e-6)
        rows = stripe.rows(
            "trial_conversion_rate", account=f"cus_{name}", period="2026", granularity="total", strict="false"
        )
        [row] = [row for row in rows if row["metric"] == "trial_conversion_rate"]
        assert (row["denominator"], row["numerator"]) == story.trials

    holds()


def test_the_reason_of_a_cancellation_is_the_feedback_of_the_customer(stripe: Service) -> None:
    name = next(_names)
    tell(stripe, [rename(own, name) for own in STORIES["canceled at once for a reason"].events])
    rows = stripe.rows("mrr_churned", account=f"cus_{name}", period="2026-01", group_by="subject")
    assert {row["group"]["subject"]: row["value"] for row in rows} == {"too_expensive": 100}


@pytest.mark.parametrize(
    "currency, amount, mrr", [("jpy", 12_000, 24_000), ("kwd", 12_000, 24), ("isk", 12_000, 240), ("eur", 12_000, 240)]
)
def test_a_currency_may_have_other_digits(currency: str, amount: int, mrr: float, stripe: Service) -> None:
    name = next(_names)
    tell(stripe, [rename(created("01-01", item(amount, currency=currency)), name)])
    assert movements(stripe, f"cus_{name}") == {("2026-01-01", "mrr_new"): mrr}


def test_an_amount_without_an_exchange_rate_waits_for_it(stripe: Service) -> None:
    name = next(_names)
    answer = send(stripe, "stripe", rename(created("01-01", item(100, currency="chf")), name), sign_stripe)
    assert (answer["code"], answer["status"], answer["reasons"][0]["code"]) == (200, "rejected", "no_exchange_rate")
    stripe.put("/v1/exchange-rates", {"currency": "CHF", "rates": {"2026-01-01": "1.5"}})
    answer = stripe.request("POST", f"/v1/sources/stripe/deliveries/{answer['delivery']}/replay").json()
    assert answer["status"] == "accepted"
    assert movements(stripe, f"cus_{name}") == {("2026-01-01", "mrr_new"): 1.5}


def test_the_mapping_says_which_account_it_is(service: Service) -> None:
    account = "item.metadata.account || item.customer"
    put_source(service, "stripe", "stripe", STRIPE_SECRET, mapping={"account_id": account})
    tell(service, [created("03-01", PRO, metadata={"account": "acme"}), created("03-01", PRO, id="sub_2")])
    assert {own["id"] for own in service.get("/v1/accounts")["accounts"]} == {"acme", "cus_1"}


def test_a_customer_has_a_name_and_an_invoice_of_its_own_is_a_purchase(service: Service) -> None:
    put_source(service, "stripe", "stripe", STRIPE_SECRET)
    customer = {"id": "cus_1", "object": "customer", "name": "Acme", "address": {"country": "DE"}}
    invoice = {
        "id": "in_1",
        "customer": "cus_1",
        "currency": "usd",
        "amount_paid": 11_900,
        "total_excluding_tax": 10_000,
    }
    note = {"id": "cn_1", "invoice": "in_1", "customer": "cus_1", "currency": "usd", "amount": 2_500}
    tell(
        service,
        [
            event("03-01", "customer.created", customer),
            event("03-03", "credit_note.created", note),
            event("03-02", "invoice.paid", invoice | {"parent": None}),
        ],
    )
    assert service.get("/v1/accounts/cus_1")["name"] == "Acme"
    assert service.value("revenue") == 75


@pytest.mark.parametrize(
    "payload, reason",
    [
        (
            {
                "object": "v2.core.event",
                "id": "evt_2",
                "type": "v1.customer.subscription.updated",
                "related_object": {"id": "sub_1"},
            },
            "thin event",
        ),
        (created("03-01", item(None, billing_scheme="tiered")), "has tiers"),
        (created("03-01", []), "no items"),
        (created("03-01", [item(1), item(1, currency="eur")]), "several currencies"),
        (created("03-01", item(1, interval="aeon")), "day, week, month or year"),
        (created("03-01", item(None)), "unit_amount"),
        (created("03-01", PRO) | {"data": {"object": subscription(PRO) | {"items": {"has_more": True}}}}, "more items"),
        (created("03-01", PRO, customer=None), "no account"),
        ({"id": "evt_3", "type": "customer.subscription.created", "data": {"object": []}}, "must be a JSON object"),
        ([], "must be a JSON object"),
    ],
)
def test_what_stripe_does_not_say_is_listed_with_the_reason(payload: Any, reason: str, stripe: Service) -> None:
    answer = send(stripe, "stripe", payload, sign_stripe)
    assert (answer["code"], answer["status"]) == (202, "rejected")
    assert reason in answer["reasons"][0]["detail"]


def test_a_discount_that_is_not_in_the_payload_is_remarked(stripe: Service) -> None:
    payload = rename(created("01-01", PRO, discounts=["di_1"]), next(_names))
    answer = send(stripe, "stripe", payload, sign_stripe)
    assert answer["status"] == "accepted" and "discount" in answer["reasons"][0]["detail"]


def test_other_events_are_kept_as_ignored(stripe: Service) -> None:
    answer = send(stripe, "stripe", event("03-01", "charge.succeeded", {"id": "ch_1"}), sign_stripe)
    assert (answer["code"], answer["status"]) == (202, "ignored")
