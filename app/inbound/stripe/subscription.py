"""Subscriptions of Stripe and their trials. Each event has the whole subscription, and says all of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from app.inbound.define import Context, Part, Remark
from app.inbound.stripe.order import CREATED, DELETED
from app.inbound.stripe.terms import StripeTerms, find_customer, format_amount, read_terms
from app.ingest.payload import Fields, Ignored, Untranslatable, format_moment

_RUNNING = ("active", "past_due")
# Without a first payment there is no subscription yet.
_NOT_BEGUN = ("incomplete", "incomplete_expired")
# Why a subscription that is not canceled has no MRR.
_PAUSE_REASONS = {"trialing": "trial", "unpaid": "unpaid", "paused": "paused"}
# Within a second, in microseconds: of a change that was not placed, and of the deletion.
_POSITION, _LAST_POSITION = 400_000, 999_999


def translate_subscription(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
    """Yield the whole state of a subscription from the time of the event on."""
    status = item.text("status")
    if status in _NOT_BEGUN:
        yield Ignored("The first payment is outstanding, so the subscription has not begun.")
        return
    account = context.account(event, item, find_customer(item))
    write = _Writer(context, account, item.text("id"), event.text("id"), _time_of(event, context))
    is_paying = status in _RUNNING and not _is_pause(item)
    terms = read_terms(item) if status in _RUNNING else None
    yield from _translate_trial(event, item, write, is_paying=is_paying and terms is not None and terms.amount > 0)
    yield from _translate_state(item, write, terms, is_paying=is_paying)


def repeat_subscription(event: Fields, later_event: Fields, context: Context) -> Iterator[Part]:
    """Yield the state of a later event of the same second again, after that of an event that came when it was stored."""
    item = later_event.object("data", "object")
    status = item.text("status")
    if status in _NOT_BEGUN:
        return
    account = context.account(later_event, item, find_customer(item))
    id, at = f"{event.text('id')}:{later_event.text('id')}", _time_of(event, context) + timedelta(microseconds=1)
    terms = read_terms(item) if status in _RUNNING else None
    is_paying = status in _RUNNING and not _is_pause(item)
    yield from _translate_state(item, _Writer(context, account, item.text("id"), id, at), terms, is_paying=is_paying)


def _translate_state(item: Fields, write: "_Writer", terms: StripeTerms | None, *, is_paying: bool) -> Iterator[Part]:
    status = item.text("status")
    if status == "canceled":
        ended_at = item.find_time("ended_at") or item.find_time("canceled_at") or write.at
        yield write("subscription.canceled", ends_at=format_moment(ended_at), reason=_reason(item))
        return
    if terms is not None:
        yield write(
            "subscription.changed",
            amount=format_amount(terms.amount),
            interval="year",
            currency=terms.currency,
            plan=terms.plan,
            seats=terms.seats,
        )
        yield from map(Remark, terms.remarks)
    yield write("subscription.resumed")
    if not is_paying:
        yield write("subscription.paused", reason=_PAUSE_REASONS.get(status, "paused"))
    if (ends_at := _find_end(item)) is not None:
        yield write("subscription.canceled", ends_at=format_moment(ends_at), reason=_reason(item))


def _time_of(event: Fields, context: Context) -> datetime:
    """Return when an event happened. Stripe's times are whole seconds.

    Within one, a creation comes before all changes and a deletion after them.
    """
    type = event.text("type")
    position = 0 if type == CREATED else _LAST_POSITION if type == DELETED else context.position
    return event.time("created") + timedelta(microseconds=_POSITION if position is None else position)


class _Writer:
    """Makes the events of one event about a subscription. id: of that event. at: when it happened."""

    def __init__(self, context: Context, account: str, subscription: str, id: str, at: datetime) -> None:
        self._context, self._account, self._subscription = context, account, subscription
        self._id, self.at = id, at

    def __call__(self, type: str, *, at: datetime | None = None, **data: Any) -> Part:
        subject = "trial_id" if type.startswith("trial.") else "subscription_id"
        return self._context.event(
            type,
            id=f"{self._id}:{type}",
            account=self._account,
            at=at or self.at,
            data={subject: self._subscription, **data},
        )


def _is_pause(item: Fields) -> bool:
    """Return whether nothing is to be paid for the time of a pause. Drafts are to be paid later."""
    return item.find("pause_collection", "behavior") in ("void", "mark_uncollectible")


def _reason(item: Fields) -> str | None:
    return item.find_text("cancellation_details", "feedback") or item.find_text("cancellation_details", "reason")


def _find_end(item: Fields) -> datetime | None:
    """Return the end of a subscription that is canceled for later. Each item has its own period."""
    if (cancel_at := item.find_time("cancel_at")) is not None:
        return cancel_at
    if item.find("cancel_at_period_end") is not True:
        return None
    ends = [row.find_time("current_period_end") for row in item.objects("items", "data")]
    known_ends = [end for end in [*ends, item.find_time("current_period_end")] if end is not None]
    if not known_ends:
        raise Untranslatable("The subscription is canceled for the end of its period, which the payload does not say.")
    return max(known_ends)


def _translate_trial(event: Fields, item: Fields, write: _Writer, *, is_paying: bool) -> Iterator[Part]:
    """Yield what a subscription says about its trial: while it lasts, and when its status changes."""
    started_at, ends_at = item.find_time("trial_start"), item.find_time("trial_end")
    if started_at is None or ends_at is None:
        return
    status = item.text("status")
    changes_status = isinstance(event.find("data", "previous_attributes", "status"), str)
    if status == "trialing":
        yield write("trial.started", at=started_at)
    elif status == "active" and is_paying and changes_status:
        yield write("trial.started", at=started_at)
        yield write("trial.converted")
    elif status == "canceled" and (item.find_time("ended_at") or write.at) <= ends_at:
        yield write("trial.started", at=started_at)
        yield write("trial.expired")
    elif status in ("past_due", "unpaid", "paused") and changes_status:
        # It may still convert: then the conversion counts.
        yield write("trial.started", at=started_at)
        yield write("trial.expired", at=min(ends_at, write.at))
