"""Stories of subscriptions, as Stripe's test clocks tell them, each with the movements of MRR that it ends in."""

from typing import Any, NamedTuple

from tests.inbound.stripe_events import YEARLY, at, created, deleted, event, item, subscription, updated


class Story(NamedTuple):
    """Events of one customer, the movements by day that they end in, and the trials that were started and converted."""

    events: list[dict[str, Any]]
    movements: dict[tuple[str, str], float]
    trials: tuple[int, int] = (0, 0)


PRO, BASIC = item(10_000), item(4_000)
TRIAL = {"trial_start": at("01-01"), "trial_end": at("01-15")}
OPEN_INVOICE = {
    "id": "in_2",
    "customer": "cus_1",
    "status": "open",
    "currency": "usd",
    "parent": {"subscription_details": {"subscription": "sub_1"}},
}
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
    "a schedule begins the subscription later, and ends it": Story(
        [
            event("01-01", "subscription_schedule.created", {"id": "sub_sched_1", "customer": "cus_1"}),
            created("02-01", PRO, schedule="sub_sched_1"),
            event("03-01", "subscription_schedule.completed", {"id": "sub_sched_1", "customer": "cus_1"}),
            deleted("03-01", PRO, schedule="sub_sched_1"),
        ],
        {("2026-02-01", "mrr_new"): 100, ("2026-03-01", "mrr_churned"): 100},
    ),
    "a schedule is released before its next phase": Story(
        [
            created("01-01", PRO, schedule="sub_sched_1"),
            event("01-10", "subscription_schedule.released", {"id": "sub_sched_1", "customer": "cus_1"}),
            updated("01-10", PRO, previous={"schedule": "sub_sched_1"}),
        ],
        {("2026-01-01", "mrr_new"): 100},
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
    "invoices fail until the subscription is unpaid, and are written off": Story(
        [
            created("01-01", PRO),
            event("02-01", "invoice.payment_failed", OPEN_INVOICE | {"attempt_count": 1}),
            updated("02-01", PRO, "past_due", previous={"status": "active"}),
            event("02-20", "invoice.payment_failed", OPEN_INVOICE | {"attempt_count": 4}),
            updated("02-20", PRO, "unpaid", previous={"status": "past_due"}),
            event("02-25", "invoice.marked_uncollectible", OPEN_INVOICE | {"status": "uncollectible"}),
            deleted("03-20", PRO, cancellation_details={"reason": "payment_failed"}),
        ],
        {("2026-01-01", "mrr_new"): 100, ("2026-02-20", "mrr_churned"): 100},
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
