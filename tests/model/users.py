"""Users of an account by docs/metrics.md: who is active, and who is registered."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

USE = ("session.ended", "feature.used")


class People:
    """An account's users by all that is known of them."""

    def __init__(self, events: Sequence[Any]) -> None:
        self.uses = [kept for kept in events if kept.type in USE]
        # By user, the days on which it became registered (True) or was removed (False), in order.
        self.turns: dict[str, list[tuple[date, bool]]] = defaultdict(list)
        about = [kept for kept in events if kept.type in (*USE, "user.registered", "user.removed")]
        # At one instant what registers comes before what removes.
        for kept in sorted(about, key=lambda kept: (kept.at, kept.type == "user.removed", kept.id)):
            turns, on = self.turns[kept.user], kept.type != "user.removed"
            if on != bool(turns and turns[-1][1]):
                turns.append((kept.day, on))

    def active(self, start: date, end: date) -> set[str]:
        return {kept.user for kept in self.uses if start <= kept.day < end}

    def active_days(self, start: date, end: date) -> set[tuple[str, date]]:
        """Each user with each day on which it was active."""
        return {(kept.user, kept.day) for kept in self.uses if start <= kept.day < end}

    def adopters(self, start: date, end: date) -> set[tuple[str, str]]:
        """Each user with each feature that it used."""
        used = (kept for kept in self.uses if kept.type == "feature.used" and start <= kept.day < end)
        return {(kept.user, kept.data["feature"]) for kept in used}

    def registered(self, day: date) -> set[str]:
        """Who is when the day begins."""
        so_far = {user: [on for on_day, on in turns if on_day < day] for user, turns in self.turns.items()}
        return {user for user, turns in so_far.items() if turns and turns[-1]}

    def registered_in(self, start: date, end: date) -> set[str]:
        """Who is when the first day begins or becomes so on a day."""
        came = {user for user, turns in self.turns.items() for day, on in turns if on and start <= day < end}
        return self.registered(start) | came
