"""The checks of a target before it is stored: what its fields say together."""

from collections.abc import Collection, Iterator
from datetime import date
from decimal import Decimal

from app.core.names import Fault, build_fault
from app.core.periods import FIRST_DAY, LAST_END, Calendar
from app.metrics.number_checks import SourceParts, fields_in, missing, missing_fields, why_impossible
from app.scorecard.body import TargetBody
from app.scorecard.definition import DATED, LINEAR, STEP, DatedTarget, Definition

_REQUIRED = ("metric", "granularity", "value")
# Of the path `linear`, and of one period over the whole range: without them, the same body would be another target tomorrow.
_LINEAR_REQUIRES = ("baseline", "from", "until")
_TOTAL_REQUIRES = ("from", "until")


def check_fields(
    body: TargetBody, faults: list[Fault], *, calendar: Calendar, today: date
) -> tuple[Definition | None, list[Fault]]:
    """Return the definition and no faults; or none, and all faults that need no data, after those that are known already."""
    parts = _Parts(body, fields_in(faults))
    all_faults = [*faults, *parts.find_faults(calendar=calendar, today=today)]
    return (None if all_faults else parts.definition(calendar=calendar, today=today)), all_faults


class _Parts:
    """The fields of a target that are valid alone. invalid: the names of the others, which get no further faults."""

    def __init__(self, body: TargetBody, invalid: Collection[str]) -> None:
        self.body, self.invalid = body, invalid
        self.source = SourceParts(body)
        self.metric = self.source.metric

    def find_faults(self, *, calendar: Calendar, today: date) -> Iterator[Fault]:
        """Yield all faults, in the order of the fields."""
        yield from missing_fields(self.body, _REQUIRED, self.invalid)
        yield from self.source.find_faults()
        yield from self._direction_faults()
        yield from self._value_faults()
        yield from self._day_faults(self.since(calendar=calendar, today=today))

    def _direction_faults(self) -> Iterator[Fault]:
        if self.metric is None or "direction" in self.invalid:
            return
        own, chosen = self.metric.better, self.body.direction
        if own not in ("up", "down") and chosen is None:
            yield missing(
                "direction", " The metric does not say whether higher (up) or lower (down) values are better."
            )
        elif own in ("up", "down") and chosen not in (None, own):
            detail = f'Of this metric {"higher" if own == "up" else "lower"} values are better. Leave "direction" out.'
            yield build_fault("/direction", detail, code="other_direction")

    @property
    def direction(self) -> str | None:
        if self.metric is None or self.metric.better in ("up", "down"):
            return self.metric.better if self.metric else None
        return self.body.direction

    def _value_faults(self) -> Iterator[Fault]:
        numbers = [("/value", self.body.value), ("/baseline", self.body.baseline)]
        numbers += [(f"/path/{index}/value", value) for index, (_, value) in enumerate(self._dated_values())]
        for pointer, number in numbers:
            if number is not None and self.metric is not None and (detail := why_impossible(self.metric, number)):
                yield build_fault(pointer, detail, code="impossible_value")
        baseline, sign = self.body.baseline, -1 if self.direction == "down" else 1
        if baseline is None or self.direction is None:
            return
        for pointer, number in numbers:
            if pointer != "/baseline" and number is not None and sign * (number - baseline) <= 0:
                side = "below" if sign > 0 else "above"
                detail = f"The baseline must be {side} every target, since it counts as 0% of it."
                yield build_fault("/baseline", detail, code="baseline")
                return

    def _dated_values(self) -> list[tuple[date, Decimal]]:
        path = self.body.path
        return [(item.until, item.value) for item in path] if isinstance(path, list) else []

    def _day_faults(self, since: date | None) -> Iterator[Fault]:
        body = self.body
        required: dict[str, str] = dict.fromkeys(_TOTAL_REQUIRES, ' It is needed for the granularity "total".')
        required = required if body.granularity == "total" else {}
        if body.path == LINEAR:
            required |= dict.fromkeys(_LINEAR_REQUIRES, ' It is needed for the path "linear".')
        values = {"baseline": body.baseline, "from": body.since, "until": body.until}
        yield from (
            missing(name, why) for name, why in required.items() if values[name] is None and name not in self.invalid
        )
        days = {"from": body.since, "until": body.until}
        outside = [name for name, day in days.items() if day is not None and not FIRST_DAY <= day <= LAST_END]
        for name in outside:
            yield build_fault(f"/{name}", "The day must lie within the years 1970 to 9998.", code="invalid_period")
        if not outside and since is not None and body.until is not None and body.until <= since:
            detail = f'"until" must be later than {since}, when the target begins, because the end is excluded.'
            yield build_fault("/until", detail, code="invalid_period")
        yield from self._path_faults(since)

    def _path_faults(self, since: date | None) -> Iterator[Fault]:
        if isinstance(self.body.path, list) and self.body.granularity == "total":
            yield build_fault("/path", 'One period has one target. Leave "path" out.', code="path")
            return
        before = since
        for index, (day, _) in enumerate(self._dated_values()):
            pointer = f"/path/{index}/until"
            if before is not None and day <= before:
                detail = "The days of a path must increase, and lie after the first day of the target."
                yield build_fault(pointer, detail, code="path")
            elif self.body.until is not None and day >= self.body.until:
                detail = 'The day must be before "until", the end of the target. Its last target is "value".'
                yield build_fault(pointer, detail, code="path")
            before = day if before is None else max(before, day)

    def since(self, *, calendar: Calendar, today: date) -> date | None:
        """Return the first day on which the target holds; None if that is not known."""
        if self.body.since is not None or "from" in self.invalid:
            return self.body.since
        granularity = self.body.granularity
        if granularity is None or granularity == "total":
            return None
        return calendar.unit_start(calendar.unit_number(today, granularity), granularity)

    def definition(self, *, calendar: Calendar, today: date) -> Definition:
        """Return the definition. There must be no faults."""
        body, metric, since = self.body, self.metric, self.since(calendar=calendar, today=today)
        if metric is None or since is None or self.direction is None or body.granularity is None or body.value is None:
            raise ValueError("a target with faults has no definition")
        return Definition(
            metric=metric.name,
            convention=metric.convention,
            group=self.source.group,
            granularity=body.granularity,
            value=body.value,
            direction=self.direction,
            baseline=body.baseline,
            since=since,
            until=body.until,
            shape=DATED if isinstance(body.path, list) else body.path or STEP,
            dated_targets=tuple(DatedTarget(*part) for part in self._dated_values()),
        )
