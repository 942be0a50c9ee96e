"""The accepted events of the model, and the history of an account that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from tests.model import lifecycles
from tests.model.calendar import Calendar
from tests.model.deals import Deals
from tests.model.subscriptions import Money
from tests.model.users import People


class Survey(NamedTuple):
    kind: str
    low: int
    high: int
    satisfied_from: int | None = None
    easy_is: str | None = None


SURVEYS = {"nps": Survey("nps", 0, 10), "csat": Survey("csat", 1, 5, satisfied_from=4)}


@dataclass
class AcceptedEvent:
    """An event that was accepted. body: as it was sent; day: its reporting day; rate: of its currency on that day."""

    body: dict[str, Any]
    at: datetime
    day: date
    recorded_on: date
    retracted_on: date | None = None
    survey: Survey | None = None
    rate: Fraction | None = None

    @property
    def id(self) -> str:
        return self.body["id"]

    @property
    def type(self) -> str:
        return self.body["type"]

    @property
    def user(self) -> str | None:
        return self.body.get("user_id")

    @property
    def data(self) -> dict[str, Any]:
        return self.body["data"]

    @property
    def subject(self) -> str | None:
        return self.data.get("survey") or self.data.get("feature")


class History:
    """One account, as its events describe it."""

    def __init__(self, account: str, events: Sequence[AcceptedEvent], calendar: Calendar) -> None:
        self.account = account
        self.events = events
        self.calendar = calendar
        self._attributes: dict[tuple[str, date], Any] = {}

    @cached_property
    def money(self) -> Money:
        return Money([event for event in self.events if event.type.startswith("subscription.")], self.calendar)

    @cached_property
    def deals(self) -> Deals:
        return Deals(self.events)

    @cached_property
    def people(self) -> People:
        return People(self.events)

    @cached_property
    def tickets(self) -> list[lifecycles.Ticket]:
        return lifecycles.tickets(self.events)

    @cached_property
    def goals(self) -> list[lifecycles.Attempt]:
        return lifecycles.goals(self.events)

    @cached_property
    def onboardings(self) -> list[lifecycles.Attempt]:
        return lifecycles.onboardings(self.events)

    def attribute(self, key: str, day: date) -> Any:
        """Return the value of an attribute at the first instant of a day."""
        if (key, day) not in self._attributes:
            self._attributes[key, day] = self._attribute(key, self.calendar.midnight(day))
        return self._attributes[key, day]

    def _attribute(self, key: str, start: datetime) -> Any:
        changes = sorted(
            (event.at, event.id, event.data["attributes"][key])
            for event in self.events
            if event.type == "account.updated" and key in event.data.get("attributes", {})
        )
        if not changes:
            return None
        earlier = [change for change in changes if change[0] <= start]
        # Before its first value an attribute has that value. Of several values at one instant the one with the last id counts.
        return (earlier or [change for change in changes if change[0] == changes[0][0]])[-1][2]
