"""What a number is about: a metric by a convention, in a group of accounts, over the periods of a unit.

Targets and alerts name such a source; `numbers` loads what it says.
"""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from urllib.parse import urlencode

from app.core.periods import Period
from app.metrics.define import DEFAULT, METRICS, Metric


class NumberGroup(NamedTuple):
    """What narrows a number: the name of a segment, the canonical text of a filter, a subject, a channel."""

    segment: str | None = None
    filter: str | None = None
    subject: str | None = None
    channel: str | None = None

    def as_json(self) -> dict[str, str]:
        """Return the parts that are given."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@dataclass(frozen=True, slots=True)
class NumberSource:
    """A metric by a convention, in a group, by a granularity."""

    metric: str
    convention: str
    group: NumberGroup
    granularity: str

    @property
    def question(self) -> tuple[str, str, NumberGroup, str]:
        """What tells the source from all others."""
        return self.metric, self.convention, self.group, self.granularity

    def find_metric(self) -> Metric | None:
        """Return the metric by its convention; None if the catalogue no longer has it."""
        if (metric := METRICS.get(self.metric)) is None:
            return None
        return metric if self.convention == DEFAULT else metric.conventions.get(self.convention)

    def title_of(self, account: str = "") -> str:
        """Return what it is about, as people say it: Customers of enterprise. account: the name of the only account."""
        metric, group = self.find_metric(), self.group
        names = [account, group.subject, group.channel, group.segment]
        text = (metric.title if metric else self.metric) + "".join(f" of {name}" for name in names if name)
        return f"{text} where {group.filter}" if group.filter else text

    def question_path(self, period: Period, as_of: date | None = None, *, account: str | None = None) -> str:
        """Return the path of the question whose only row is the number of a period. account: of one account only."""
        parameters = {
            "start": period.start,
            "end": period.end,
            "granularity": self.granularity,
            "convention": None if self.convention == DEFAULT else self.convention,
            **self.group._asdict(),
            "account": account,
            "as_of": as_of,
            # What the number is about may not be recorded yet.
            "strict": "false" if any(self.group) else None,
        }
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return f"/v1/metrics/{self.metric}?{query}"

    def source_json(self) -> dict[str, str]:
        """Return the source as it is stored, and as a client may send it again."""
        convention = {} if self.convention == DEFAULT else {"convention": self.convention}
        return {"metric": self.metric, **convention, **self.group.as_json(), "granularity": self.granularity}
