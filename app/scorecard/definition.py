"""The definition of a target, and the value that its path has on a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from urllib.parse import urlencode

from app.core.periods import Period
from app.metrics.define import DEFAULT, METRICS, Metric

STEP, LINEAR, DATED = "step", "linear", "dated"


class DatedTarget(NamedTuple):
    """The target of the periods that end on a day or before, and after the day of the one before it."""

    until: date
    value: Decimal


class TargetGroup(NamedTuple):
    """What a target is about besides its metric: the name of a segment, the canonical text of a filter, a subject, a channel."""

    segment: str | None = None
    filter: str | None = None
    subject: str | None = None
    channel: str | None = None

    def as_json(self) -> dict[str, str]:
        """Return the parts that the target has."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@dataclass(frozen=True, slots=True)
class Definition:
    """A target as it was put. direction: up or down. since, until: the days on which it holds, the end excluded; None: no end.

    shape: of the path, STEP, LINEAR or DATED. dated_targets: those before `value`, by day.
    """

    metric: str
    convention: str
    group: TargetGroup
    granularity: str
    value: Decimal
    direction: str
    baseline: Decimal | None
    since: date
    until: date | None
    shape: str = STEP
    dated_targets: tuple[DatedTarget, ...] = ()

    @property
    def question(self) -> tuple[str, str, TargetGroup, str]:
        """What has a target: two targets with the same are duplicates."""
        return self.metric, self.convention, self.group, self.granularity

    @property
    def sign(self) -> int:
        """1 where higher values are better, else -1."""
        return 1 if self.direction == "up" else -1

    def find_metric(self) -> Metric | None:
        """Return the metric by its convention; None if the catalogue no longer has it."""
        if (metric := METRICS.get(self.metric)) is None:
            return None
        return metric if self.convention == DEFAULT else metric.conventions.get(self.convention)

    def value_at(self, end: date) -> Fraction:
        """Return the value of the path at the end of a day, of which `end` is the next."""
        if self.shape == LINEAR and self.baseline is not None and self.until is not None:
            share = Fraction((min(max(end, self.since), self.until) - self.since).days, (self.until - self.since).days)
            return Fraction(self.baseline) + share * (Fraction(self.value) - Fraction(self.baseline))
        return Fraction(next((part.value for part in self.dated_targets if end <= part.until), self.value))

    def question_path(self, period: Period, as_of: date | None) -> str:
        """Return the path of the question whose only row is the number of a period."""
        parameters = {
            "start": period.start,
            "end": period.end,
            "granularity": self.granularity,
            "convention": None if self.convention == DEFAULT else self.convention,
            **self.group._asdict(),
            "as_of": as_of,
            # What the target is about may not be recorded yet.
            "strict": "false" if any(self.group) else None,
        }
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return f"/v1/metrics/{self.metric}?{query}"

    def as_json(self) -> dict[str, Any]:
        """Return the definition as it is stored, and as a client may send it again."""
        path: Any = self.shape
        if self.shape == DATED:
            path = [
                {"until": part.until.isoformat(), "value": format_number(part.value)} for part in self.dated_targets
            ]
        members = {
            "metric": self.metric,
            "convention": None if self.convention == DEFAULT else self.convention,
            **self.group._asdict(),
            "granularity": self.granularity,
            "value": format_number(self.value),
            "direction": self.direction,
            "baseline": None if self.baseline is None else format_number(self.baseline),
            "from": self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "path": path,
        }
        return {name: value for name, value in members.items() if value is not None}


def format_number(number: Decimal) -> str:
    """Return a number in full, without an exponent."""
    return f"{number:f}"


def parse_definition(document: Mapping[str, Any]) -> Definition:
    """Return the definition of a stored document."""
    path, until = document["path"], document.get("until")
    return Definition(
        metric=document["metric"],
        convention=document.get("convention", DEFAULT),
        group=TargetGroup(*(document.get(name) for name in TargetGroup._fields)),
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
