"""The stream of one contract: the days on which it was due for renewal, and the decision on each.

Everything counts on the day on which the contract was due, whenever the decision arrives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams.define import DatedLine, StreamEvent, stream

DUE, COMPLETED, DECLINED = "renewal.due", "renewal.completed", "renewal.declined"
_30_DAYS = timedelta(days=30)

contracts_due = measure("contracts_due", "Contracts that were due for renewal.")
contracts_renewed = measure("contracts_renewed", "Contracts that were renewed, counted on the day they were due.")
contracts_renewed_within_30_days = measure(
    "contracts_renewed_within_30_days",
    "Contracts that were renewed at most 30 days after the day they were due, counted on that day.",
)
contracts_valued = measure("contracts_valued", "Contracts that were due for renewal with a known amount.")
renewal_value_due = measure("renewal_value_due", "Amounts of contracts that were due for renewal.")
renewal_value_renewed = measure(
    "renewal_value_renewed",
    "Amounts of renewed contracts, up to the amount due for each, counted on the day the contract was due.",
)


def stream_name(event: EventView) -> str:
    """Return the name of the stream of a contract's event."""
    return f"renewal {event.data['contract_id']}"


@dataclass(slots=True)
class _DueRenewal:
    """A day on which the contract was due. due: the event that counts for the amount; decision: the latest so far."""

    day: date
    due: StreamEvent
    decision: StreamEvent | None

    @property
    def completion(self) -> StreamEvent | None:
        return self.decision if self.decision is not None and self.decision.type == COMPLETED else None


@stream(
    "renewal",
    posts=[
        contracts_due,
        contracts_renewed,
        contracts_renewed_within_30_days,
        contracts_valued,
        renewal_value_due,
        renewal_value_renewed,
    ],
)
def renewals(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield what was due, and what of it was renewed. A contract that was due without an amount has no part in amounts."""
    for renewal in _due_renewals(events, calendar):
        yield renewal.day, Line(contracts_due, 1)
        if renewal.completion:
            yield renewal.day, Line(contracts_renewed, 1)
            if calendar.day(renewal.completion.at) <= renewal.day + _30_DAYS:
                yield renewal.day, Line(contracts_renewed_within_30_days, 1)
        if "amount" in renewal.due.data:
            amount_due = in_base_currency(renewal.due.data["amount"], renewal.due.rate)
            yield renewal.day, Line(contracts_valued, 1)
            yield renewal.day, Line(renewal_value_due, amount_due)
            if renewal.completion:
                amount_renewed = _renewed_amount(renewal.due, renewal.completion)
                yield renewal.day, Line(renewal_value_renewed, min(amount_renewed, amount_due))


def _due_renewals(events: Sequence[StreamEvent], calendar: Calendar) -> list[_DueRenewal]:
    """Return each day on which the contract was due, with its decision.

    A decision belongs to the latest due day until that is renewed, so a declined contract can still be won back. A decision
    after that, or before the first due day, belongs to the next due day; the last one counts. Two due events on one day are
    one due day, with the last amount.
    """
    renewals: list[_DueRenewal] = []
    early_decision: StreamEvent | None = None
    for event in events:
        if event.type != DUE:
            if renewals and not renewals[-1].completion:
                renewals[-1].decision = event
            else:
                early_decision = event
        elif renewals and renewals[-1].day == calendar.day(event.at):
            if "amount" in event.data:
                renewals[-1].due = event
        else:
            renewals.append(_DueRenewal(calendar.day(event.at), event, early_decision))
            early_decision = None
    return renewals


def _renewed_amount(due: StreamEvent, completion: StreamEvent) -> int:
    """Return the amount of a renewal: the amount due unless the completion names another.

    An amount in the currency in which the contract was due is converted at the rate of the due day, so that exchange rates
    cause no loss.
    """
    if "amount" not in completion.data:
        return in_base_currency(due.data["amount"], due.rate)
    is_same_currency = completion.data.get("currency") == due.data.get("currency")
    return in_base_currency(completion.data["amount"], due.rate if is_same_currency else completion.rate)
