"""Stories of Stripe's subscriptions end in the movements of MRR that docs/metrics.md defines, in any order of delivery."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inbound.senders import STRIPE_SECRET, post, put_source, send, sign_stripe, to_bytes
from tests.inbound.stripe_events import (
    YEARLY,
    at,
    created,
    deleted,
    event,
    item,
    rename,
    subscription,
    updated,
)
from tests.support.campaign import examples
from tests.support.service import Service

_names = (f"n{number}" for number in itertools.count())
MOVEMENTS = ("mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated")


class Story(NamedTuple):
    """Events of one customer, the movements by day that they end in, and the trials that were started and converted."""

    events: list[dict[str, Any]]
    movements: dict[tuple[str, str], float]
    trials: tuple[int, int] = (0, 0)


PRO, BASIC = item(10_000), item(4_000)
TRIAL = {"trial_start": at("01-01"), "trial_end": at("01-15")}
WAS_TRIAL = {"previous": {"status": "trialing"}}
STORIES = {
    "a trial becomes paid": Story(
        [
            created("01-01", PRO, "trialing", **TRIAL),
            event("01-12", "customer.subscription.trial_will_end", subscription(PRO, "trialing", **TRIAL)),
            updated("01-15", PRO, **TRIAL, **WAS_TRIAL),
        ],
        {("2026-01-15", "mrr_new"): 100},
        (1, 1),
    ),
    "a trial is canceled before its end": Story(
        [
            created("01-01", PRO, "trialing", **TRIAL),
            updated("01-05", PRO, "trialing", cancel_at_period_end=True, cancel_at=at("01-15"), **TRIAL),
            deleted("01-15", PRO, **TRIAL),
        ],
        {},
        (1, 0),
    ),
    "a trial ends without a card, is paused, and resumed a month later": Story(
        [
            created("01-01", PRO, "trialing", **TRIAL),
            updated("01-15", PRO, "paused", **TRIAL, **WAS_TRIAL),
            event("02-15", "customer.subscription.resumed", subscription(PRO, **TRIAL), status="paused"),
        ],
        {("2026-02-15", "mrr_new"): 100},
        (1, 1),
    ),
    "the payment after a trial fails, then succeeds": Story(
        [
            created("01-01", PRO, "trialing", **TRIAL),
            updated("01-15", PRO, "past_due", **TRIAL, **WAS_TRIAL),
            updated("01-18", PRO, **TRIAL, previous={"status": "past_due"}),
        ],
        {("2026-01-15", "mrr_new"): 100},
        (1, 1),
    ),
    "the first payment has to be confirmed": Story(
        [created("01-01", PRO, "incomplete"), updated("01-01", PRO, previous={"status": "incomplete"})],
        {("2026-01-01", "mrr_new"): 100},
    ),
    "the first payment never comes": Story(
        [created("01-01", PRO, "incomplete"), updated("01-02", PRO, "incomplete_expired")], {}
    ),
    "an upgrade with proration": Story(
        [
            created("01-01", BASIC),
            updated("01-10", PRO, previous={"items": {"data": [BASIC]}}),
            event(
                "01-10",
                "invoice.paid",
                {"id": "in_1", "customer": "cus_1", "parent": {"subscription_details": {"subscription": "sub_1"}}},
            ),
        ],
        {("2026-01-01", "mrr_new"): 40, ("2026-01-10", "mrr_expansion"): 60},
    ),
    "a downgrade at the end of the period, by a schedule": Story(
        [
            created("01-01", PRO),
            event("01-20", "subscription_schedule.created", {"id": "sub_sched_1", "customer": "cus_1"}),
            updated("01-20", PRO, schedule="sub_sched_1"),
            updated("02-01", BASIC, schedule="sub_sched_1"),
        ],
        {("2026-01-01", "mrr_new"): 100, ("2026-02-01", "mrr_contraction"): 60},
    ),
    "canceled at the end of the period, then resumed": Story(
        [
            created("01-01", PRO),
            updated("01-10", PRO, cancel_at_period_end=True, cancel_at=at("02-01")),
            updated("01-20", PRO),
        ],
        {("2026-01-01", "mrr_new"): 100},
    ),
    "canceled at the end of the period, and over": Story(
        [
            created("01-01", PRO),
            updated("01-10", PRO, cancel_at_period_end=True, cancel_at=at("02-01")),
            deleted("02-01", PRO, cancel_at_period_end=True),
        ],
        {("2026-01-01", "mrr_new"): 100, ("2026-02-01", "mrr_churned"): 100},
    ),
    "canceled at the end of the last period of two items": Story(
        [
            created("01-01", [item(10_000, period_end="02-01"), item(120_000, YEARLY, period_end="04-01")]),
            updated(
                "01-10",
                [item(10_000, period_end="02-01"), item(120_000, YEARLY, period_end="04-01")],
                cancel_at_period_end=True,
            ),
        ],
        {("2026-01-01", "mrr_new"): 200, ("2026-04-01", "mrr_churned"): 200},
    ),
    "collection is paused, and resumed": Story(
        [
            created("01-01", PRO),
            updated("02-01", PRO, pause_collection={"behavior": "void", "resumes_at": None}),
            updated("03-01", PRO),
        ],
        {("2026-01-01", "mrr_new"): 100, ("2026-02-01", "mrr_churned"): 100, ("2026-03-01", "mrr_reactivated"): 100},
    ),
    "collection is paused, but drafts are to be paid later": Story(
        [created("01-01", PRO), updated("02-01", PRO, pause_collection={"behavior": "keep_as_draft"})],
        {("2026-01-01", "mrr_new"): 100},
    ),
    "past due, then unpaid, then paid": Story(
        [
            created("01-01", PRO),
            updated("02-01", PRO, "past_due"),
            updated("02-20", PRO, "unpaid"),
            updated("03-10", PRO),
        ],
        {("2026-01-01", "mrr_new"): 100, ("2026-02-20", "mrr_churned"): 100, ("2026-03-10", "mrr_reactivated"): 100},
    ),
    "a change of quantity": Story(
        [
            created("01-01", item(1_000, quantity=10)),
            updated("02-01", item(1_000, quantity=15)),
            updated("03-01", item(1_000, quantity=4)),
        ],
        {("2026-01-01", "mrr_new"): 100, ("2026-02-01", "mrr_expansion"): 50, ("2026-03-01", "mrr_contraction"): 110},
    ),
    "yearly to monthly": Story(
        [created("01-01", item(100_000, YEARLY)), updated("02-01", item(10_000))],
        {("2026-01-01", "mrr_new"): 83.333333, ("2026-02-01", "mrr_expansion"): 16.666667},
    ),
    "monthly to yearly": Story(
        [created("01-01", item(10_000)), updated("02-01", item(108_000, YEARLY))],
        {("2026-01-01", "mrr_new"): 100, ("2026-02-01", "mrr_contraction"): 10},
    ),
    "several items of different intervals, of which one is removed": Story(
        [
            created("01-01", [item(10_000), item(60_000, YEARLY), item(1_200, "week"), item(30_000, interval_count=3)]),
            updated("02-01", [item(10_000), item(60_000, YEARLY)]),
        ],
        {("2026-01-01", "mrr_new"): 302, ("2026-02-01", "mrr_contraction"): 152},
    ),
    "canceled at once for a reason": Story(
        [created("01-01", PRO), deleted("01-20", PRO, cancellation_details={"feedback": "too_expensive"})],
        {("2026-01-01", "mrr_new"): 100, ("2026-01-20", "mrr_churned"): 100},
    ),
    "a metered item beside a licensed one": Story(
        [created("01-01", [PRO, item(None, usage_type="metered")])], {("2026-01-01", "mrr_new"): 100}
    ),
    "a discount for ever, and one that ends": Story(
        [
            created("01-01", PRO, discounts=[{"coupon": {"percent_off": 25, "duration": "forever"}}]),
            updated("02-01", PRO, discounts=[{"source": {"coupon": {"percent_off": 50, "duration": "repeating"}}}]),
            updated("03-01", PRO, discounts=[], discount={"coupon": {"amount_off": 1_000, "duration": "forever"}}),
        ],
        {("2026-01-01", "mrr_new"): 75, ("2026-02-01", "mrr_expansion"): 25, ("2026-03-01", "mrr_contraction"): 10},
    ),
    "packages, and a price of fractions of a cent": Story(
        [
            created(
                "01-01",
                item(None, quantity=11, unit_amount_decimal="1000", transform_quantity={"divide_by": 5, "round": "up"}),
            ),
            updated("02-01", item(None, quantity=1000, unit_amount_decimal="0.5")),
        ],
        {("2026-01-01", "mrr_new"): 30, ("2026-02-01", "mrr_contraction"): 25},
    ),
}


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
