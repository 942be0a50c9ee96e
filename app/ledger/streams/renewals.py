"""One contract: the days on which it was due for renewal, and what was decided.

Everything counts on the day on which it was due, whenever the decision came.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams.define import DatedLine, StreamEvent, stream

DUE, COMPLETED, DECLINED = "renewal.due", "renewal.completed", "renewal.declined"

contracts_due = measure("contracts_due", "Contracts that were due for renewal.")
contracts_renewed = measure("contracts_renewed", "Of the contracts due on a day, those that were renewed.")
contracts_valued = measure("contracts_valued", "Of the contracts due on a day, those whose amount is known.")
renewal_value_due = measure("renewal_value_due", "Amounts of contracts that were due, in ten-thousandths.")
renewal_value_renewed = measure(
    "renewal_value_renewed", "What of the amounts due on a day was renewed: of each contract at most all of it."
)


def name(fact: EventView) -> str:
    """The name of the stream that an event of a contract belongs to."""
    return f"renewal {fact.data['contract_id']}"


@dataclass(slots=True)
class _Due:
    """That a contract was due. said: the event that says for what amount; decision: what came of it so far."""

    day: date
    said: StreamEvent
    decision: StreamEvent | None

    @property
    def renewed(self) -> StreamEvent | None:
        return self.decision if self.decision is not None and self.decision.type == COMPLETED else None


@stream("renewal")
def renewals(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """What was due, and what of it was renewed. What was due without an amount takes no part in the amounts."""
    for due in _dues(happenings, calendar):
        yield due.day, Line(contracts_due, 1)
        if due.renewed:
            yield due.day, Line(contracts_renewed, 1)
        if "amount" in due.said.data:
            amount = in_base_currency(due.said.data["amount"], due.said.rate)
            yield due.day, Line(contracts_valued, 1)
            yield due.day, Line(renewal_value_due, amount)
            if due.renewed:
                yield due.day, Line(renewal_value_renewed, min(_renewed(due.said, due.renewed), amount))


def _dues(happenings: Sequence[StreamEvent], calendar: Calendar) -> list[_Due]:
    """Each due with its decision.

    A decision belongs to the last due, until that was renewed: one that was declined may be won back. Decisions after
    that, and before the first due, are early ones for the next; the last of them counts. Said twice of one day, a contract
    was due once, for the last amount.
    """
    dues: list[_Due] = []
    early: StreamEvent | None = None
    for happening in happenings:
        if happening.type != DUE:
            if dues and not dues[-1].renewed:
                dues[-1].decision = happening
            else:
                early = happening
        elif dues and dues[-1].day == calendar.day(happening.at):
            if "amount" in happening.data:
                dues[-1].said = happening
        else:
            dues.append(_Due(calendar.day(happening.at), happening, early))
            early = None
    return dues


def _renewed(due: StreamEvent, renewal: StreamEvent) -> int:
    """For what a contract was renewed: what was due, unless another amount is named.

    In the currency in which it was due it is worth what that was worth then: exchange rates make no loss.
    """
    if "amount" not in renewal.data:
        return in_base_currency(due.data["amount"], due.rate)
    same = renewal.data.get("currency") == due.data.get("currency")
    return in_base_currency(renewal.data["amount"], due.rate if same else renewal.rate)
