"""The users of an account by docs/metrics.md: who was active, and who was registered."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

USE = ("session.ended", "feature.used")


class People:
    """The users of an account, as its events describe them.

    changes: by user, the days on which the user became registered (True) or was removed (False), in order.
    """

    def __init__(self, events: Sequence[Any]) -> None:
        self.uses = [event for event in events if event.type in USE]
        self.changes: dict[str, list[tuple[date, bool]]] = defaultdict(list)
        relevant = [event for event in events if event.type in (*USE, "user.registered", "user.removed")]
        # At one instant, what registers a user comes before a removal.
        for event in sorted(relevant, key=lambda event: (event.at, event.type == "user.removed", event.id)):
            changes, is_registered = self.changes[event.user], event.type != "user.removed"
            if is_registered != bool(changes and changes[-1][1]):
                changes.append((event.day, is_registered))

    def active(self, start: date, end: date) -> set[str]:
        return {event.user for event in self.uses if start <= event.day < end}

    def active_days(self, start: date, end: date) -> set[tuple[str, date]]:
        """Return each user with each day of activity."""
        return {(event.user, event.day) for event in self.uses if start <= event.day < end}

    def adopters(self, start: date, end: date) -> set[tuple[str, str]]:
        """Return each user with each feature that the user used."""
        uses = (event for event in self.uses if event.type == "feature.used" and start <= event.day < end)
        return {(event.user, event.data["feature"]) for event in uses}

    def registered(self, day: date) -> set[str]:
        """Return who is registered at the start of a day."""
        states = {user: [state for at, state in changes if at < day] for user, changes in self.changes.items()}
        return {user for user, values in states.items() if values and values[-1]}

    def registered_in(self, start: date, end: date) -> set[str]:
        """Return who is registered at the start of the first day or becomes registered within the days."""
        joined = {
            user for user, changes in self.changes.items() for day, state in changes if state and start <= day < end
        }
        return self.registered(start) | joined
