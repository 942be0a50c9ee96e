"""What ingest causes: messages about feedback and MRR, written in the transaction of the events.

Everything that they need is read with one round trip for all events of the transaction, and only if somebody subscribes.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, NamedTuple
from urllib.parse import quote

from app.accounts.cards import load_cards, overview_link
from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.ingest.reactions import REACTIONS, LedgerChange, Reaction
from app.ingest.stages import DatedEvent
from app.ledger.money import MONEY_SCALE, per_month
from app.ledger.streams import subscriptions
from app.ledger.streams.feedback import comment_id, has_comment
from app.ledger.sums.balances_today import load_balances
from app.metrics.currencies import format_amount
from app.metrics.offers import Message
from app.webhooks.outbox import load_subscribed_topics, publish_messages

FEEDBACK_TOPIC, MRR_TOPIC = "feedback.received", "mrr.moved"
_FEEDBACK_TYPES = {"survey.responded", "feedback.received"}
_MAX_EVENTS = 20
# In the order in which a message has them.
_MOVEMENTS = {
    subscriptions.mrr_new.name: "new",
    subscriptions.mrr_reactivated.name: "reactivated",
    subscriptions.mrr_expansion.name: "expansion",
    subscriptions.mrr_contraction.name: "contraction",
    subscriptions.mrr_churned.name: "churned",
}
_KINDS = tuple(_MOVEMENTS.values())


class _MovementKey(NamedTuple):
    effective_on: date
    kind: str
    reason: str


class _MrrChange:
    """What a transaction does to the MRR of an account. Amounts are in ledger units per year.

    today: the difference of the MRR of today.
    """

    def __init__(self) -> None:
        self.today = 0
        self.movements: dict[_MovementKey, int] = defaultdict(int)

    def is_news(self, oldest: date) -> bool:
        """Return whether anything moves on this day or later."""
        return any(value and key.effective_on >= oldest for key, value in self.movements.items())


async def publish_ingested(connection: Connection, books: Books, topics: Collection[str], change: LedgerChange) -> None:
    """Write the messages about a change of the ledger. topics: those that somebody subscribes to."""
    oldest = change.today - timedelta(days=books.webhook_event_days)
    answers = _find_feedback(change, oldest, books) if FEEDBACK_TOPIC in topics else []
    moves = _find_moves(change, oldest) if MRR_TOPIC in topics else {}
    if not answers and not moves:
        return
    accounts = {answer.incoming.account_id for answer in answers} | moves.keys()
    measure = books.database.labels.get(subscriptions.mrr.name)
    plans: list[QueryPlan[Any]] = [
        load_cards(accounts, today=change.today),
        load_balances(moves, measure=measure, day=change.today),
    ]
    cards, balances = await run_plan(connection, merge_plans(plans))
    messages = [_feedback_message(answer, cards, books.public_url) for answer in answers]
    events = _subscription_events(change) if moves else {}
    messages += [
        _mrr_message(cards[account], balances.get(account, 0), own, events.get(account, []), change.today, books)
        for account, own in moves.items()
    ]
    await publish_messages(connection, messages, at=books.now())


def _find_feedback(change: LedgerChange, oldest: date, books: Books) -> list[DatedEvent]:
    """Return the new responses and comments that are no history."""
    return [
        event
        for event in change.events
        if event.incoming.type in _FEEDBACK_TYPES
        and event.recorded_on >= change.today
        and event.posting.effective_on >= oldest
        and (event.survey is not None or has_comment(event.incoming.data))
    ]


def _find_moves(change: LedgerChange, oldest: date) -> dict[int, _MrrChange]:
    """Return what happens to the MRR of accounts, unless all of it is history."""
    moves: dict[int, _MrrChange] = defaultdict(_MrrChange)
    for key, value in change.entries.items():
        if key.recorded_on < change.today or not value:
            continue
        if (kind := _MOVEMENTS.get(key.measure)) is not None:
            moves[key.account_id].movements[_MovementKey(key.effective_on, kind, key.subject)] += value
        elif key.measure == subscriptions.mrr.name and key.effective_on <= change.today:
            moves[key.account_id].today += value
    return {account: own for account, own in sorted(moves.items()) if own.is_news(oldest)}


def _subscription_events(change: LedgerChange) -> dict[int, list[str]]:
    """Return the ids of the events about subscriptions by account, of each account only a few."""
    ids: dict[int, list[str]] = defaultdict(list)
    for event in change.events:
        if event.posting.stream is not None and event.posting.stream == subscriptions.KIND:
            ids[event.incoming.account_id].append(event.incoming.id)
    for account_id, id in change.retracted_ids:
        ids[account_id].append(id)
    return {account: own[:_MAX_EVENTS] for account, own in ids.items()}


def _feedback_message(event: DatedEvent, cards: Mapping[int, dict[str, Any]], public_url: str) -> Message:
    incoming, survey = event.incoming, event.survey
    score = incoming.data.get("score")
    id = comment_id(incoming.account, incoming.id)
    links = {"account": overview_link(public_url, incoming.account)}
    if has_comment(incoming.data):
        links["feedback"] = f"{public_url}/v1/feedback/{id}"
    data = {
        "id": id,
        "event_id": incoming.id,
        "account": cards[incoming.account_id],
        "user_id": incoming.user_id,
        "survey": incoming.data.get("survey"),
        "score": score,
        "class": None if survey is None or score is None else survey.class_of(score),
        "comment": incoming.data["comment"] if has_comment(incoming.data) else None,
        "tags": incoming.data.get("tags", []),
        "channel": incoming.data.get("channel"),
        "occurred_at": incoming.occurred_at,
        "links": links,
    }
    return Message(FEEDBACK_TOPIC, data, incoming.account_id, incoming.id)


def _mrr_message(
    card: dict[str, Any], before: int, change: _MrrChange, event_ids: list[str], today: date, books: Books
) -> Message:
    """Return the message about the MRR of an account. before: the MRR of today without the change, per year."""
    after = before + change.today
    movements = sorted(
        (key.effective_on, _KINDS.index(key.kind), key.reason, value)
        for key, value in change.movements.items()
        if value
    )
    question = f"/v1/metrics/mrr?account={quote(card['id'], safe='')}&period={today:%Y-%m}"
    data = {
        "account": card,
        "metric": "mrr",
        "currency": books.currency,
        "value": _number(after),
        "previous": _number(before),
        "change": _number(change.today),
        "amount": format_amount(per_month(after), books.currency),
        "on": today,
        "movements": [
            {"kind": _KINDS[kind], "effective_on": day, "scheduled": day > today}
            | {"amount": format_amount(per_month(value), books.currency)}
            | ({"reason": reason} if reason else {})
            for day, kind, reason, value in movements
        ],
        "events": event_ids,
        "links": {
            "account": overview_link(books.public_url, card["id"]),
            "question": f"{books.public_url}{question}",
        },
    }
    return Message(MRR_TOPIC, data)


def _number(per_year: int) -> int | float:
    """Return an amount per year as a number per month, as answers have it."""
    number = Fraction(per_month(per_year)) / MONEY_SCALE
    return int(number) if number.denominator == 1 else round(float(number), 6)


REACTIONS.append(Reaction(load_subscribed_topics, publish_ingested))
