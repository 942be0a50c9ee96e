"""The definition of a target, and the value that its path has on a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from app.metrics.define import DEFAULT
from app.metrics.number_body import format_number
from app.metrics.number_source import NumberGroup, NumberSource

STEP, LINEAR, DATED = "step", "linear", "dated"


class DatedTarget(NamedTuple):
    """The target of the periods that end on a day or before, and after the day of the one before it."""

    until: date
    value: Decimal


@dataclass(frozen=True, slots=True)
class Definition(NumberSource):
    """A target as it was put. direction: up or down. since, until: the days on which it holds, the end excluded; None: no end.

    shape: of the path, STEP, LINEAR or DATED. dated_targets: those before `value`, by day.
    """

    value: Decimal
    direction: str
    baseline: Decimal | None
    since: date
    until: date | None
    shape: str = STEP
    dated_targets: tuple[DatedTarget, ...] = ()

    @property
    def sign(self) -> int:
        """1 where higher values are better, else -1."""
        return 1 if self.direction == "up" else -1

    def value_at(self, end: date) -> Fraction:
        """Return the value of the path at the end of a day, of which `end` is the next."""
        if self.shape == LINEAR and self.baseline is not None and self.until is not None:
            share = Fraction((min(max(end, self.since), self.until) - self.since).days, (self.until - self.since).days)
            return Fraction(self.baseline) + share * (Fraction(self.value) - Fraction(self.baseline))
        return Fraction(next((part.value for part in self.dated_targets if end <= part.until), self.value))

    def as_json(self) -> dict[str, Any]:
        """Return the definition as it is stored, and as a client may send it again."""
        path: Any = self.shape
        if self.shape == DATED:
            path = [
                {"until": part.until.isoformat(), "value": format_number(part.value)} for part in self.dated_targets
            ]
        members = {
            **self.source_json(),
            "value": format_number(self.value),
            "direction": self.direction,
            "baseline": None if self.baseline is None else format_number(self.baseline),
            "from": self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "path": path,
        }
        return {name: value for name, value in members.items() if value is not None}


def parse_definition(document: Mapping[str, Any]) -> Definition:
    """Return the definition of a stored document."""
    path, until = document["path"], document.get("until")
    return Definition(
        metric=document["metric"],
        convention=document.get("convention", DEFAULT),
        group=NumberGroup(*(document.get(name) for name in NumberGroup._fields)),
        granularity=document["granularity"],
        value=Decimal(document["value"]),
        direction=document["direction"],
        baseline=Decimal(document["baseline"]) if "baseline" in document else None,
        since=date.fromisoformat(document["from"]),
        until=date.fromisoformat(until) if until else None,
        shape=DATED if isinstance(path, list) else path,
        dated_targets=tuple(
            DatedTarget(date.fromisoformat(part["until"]), Decimal(part["value"]))
            for part in (path if isinstance(path, list) else ())
        ),
    )
