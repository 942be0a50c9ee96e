"""Why an account's health is another than on an earlier day: the differences of all contributions.

The contribution of a component is its share of the score times its own score. What it changed by is divided in two: the change of
its own score counts with the mean of its two shares, and the rest is because of the shares, which change with the weights, the
model, and what other components have data. All differences are whole hundredths of a point and add up to that of the scores.
"""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.accounts import account_key
from app.books.books import Books
from app.core.errors import FaultList, Invalid
from app.core.periods import FIRST_DAY, Day
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.health.accounts import check_account
from app.health.answers import NOT_ENOUGH_DATA, format_score
from app.health.card import card_members
from app.health.kinds import Component
from app.health.scores import Contribution, DayScores, load_scores
from app.ledger.sums.account_sums import KnownDay
from app.metrics.rows import round_number

_SENTENCE_REASONS = 3
# Of the values of an answer.
_MAX_DECIMALS = 6


class ExplanationParameters(BaseModel):
    """Parameters of an explanation: two days, and what is known of them."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    since: Day | None = Field(None, alias="from", description="The earlier day. Default: 28 days before `to`.")
    to: Day | None = Field(None, description="The later day. Default: today.")
    knowledge: str = Field(
        "now",
        pattern="^(now|then)$",
        description="`now`: both days as known by now. `then`: each as it was known at its end.",
    )


class ScoreDifference(NamedTuple):
    """The difference of one component between two days, in hundredths of a point. by_value: because of its own score."""

    component: Component
    before: Contribution | None
    after: Contribution | None
    difference: int
    by_value: int

    @property
    def by_weight(self) -> int:
        """What its share of the score changed."""
        return self.difference - self.by_value


async def explain_health(books: Books, account: str, parameters: ExplanationParameters) -> dict[str, Any]:
    """Return the explanation. Raises NotFound for an unknown account, and Invalid for days that are not in order."""
    since, to = _days(parameters, await books.load_today())
    knowledge = [KnownDay(day, day if parameters.knowledge == "then" else None) for day in (since, to)]
    key = account_key(account)

    async def load(connection: Connection) -> list[DayScores]:
        await check_account(connection, account, since=knowledge[0].as_of)
        return await run_plan(connection, load_scores(knowledge, accounts=[key]))

    before, after = await books.database.ask(load)
    differences = compare(*(own.contributions(0) if own.accounts else [] for own in (before, after)))
    scores = [scores.scores[0] if scores.accounts else None for scores in (before, after)]
    difference = None if None in scores else sum(own.difference for own in differences)
    return {
        "account": account,
        "knowledge": parameters.knowledge,
        "from": _side(since, before, books.currency),
        "to": _side(to, after, books.currency),
        "difference": format_score(difference),
        "sentence": _sentence(difference, differences, before, after),
        "differences": [_show(own) for own in differences] if difference is not None else [],
    } | ({} if difference is not None else {"reason": NOT_ENOUGH_DATA})


def _days(parameters: ExplanationParameters, today: date) -> tuple[date, date]:
    faults = FaultList()
    to = parameters.to or today
    since = parameters.since or date.fromordinal(max(to.toordinal() - 28, FIRST_DAY.toordinal()))

    def check(name: str, day: date) -> None:
        if not FIRST_DAY <= day <= today:
            detail = f"`{name}` must be a day from {FIRST_DAY} to today, {today}."
            raise Invalid.at(f"/query/{name}", detail, code="invalid_period")

    faults.attempt(lambda: check("from", since), None)
    faults.attempt(lambda: check("to", to), None)
    faults.raise_all(subject="The question")
    if since >= to:
        raise Invalid.at("/query/from", "`from` must be before `to`.", code="invalid_period")
    return since, to


def compare(before: Sequence[Contribution], after: Sequence[Contribution]) -> list[ScoreDifference]:
    """Return the differences of all components of both models, the largest first, from the contributions of one account."""
    sides = [{own.component.id: own for own in contributions} for contributions in (before, after)]
    names = dict.fromkeys([*sides[1], *sides[0]])
    differences = [_difference(sides[0].get(name), sides[1].get(name)) for name in names]
    return sorted(differences, key=lambda own: -abs(own.difference))


def _difference(before: Contribution | None, after: Contribution | None) -> ScoreDifference:
    component = (after or before).component  # type: ignore[union-attr]
    total = (after.contribution if after else 0) - (before.contribution if before else 0)
    by_value = 0
    if before and after and before.score is not None and after.score is not None:
        if before.share == after.share:
            # Nothing is left for the shares but what rounding makes.
            by_value = total
        else:
            mean = (before.share + after.share) / 2
            by_value = round(Fraction(mean * (after.score - before.score)))
    return ScoreDifference(component, before, after, total, by_value)


def _side(day: date, scores: DayScores, currency: str) -> dict[str, Any]:
    names = ("score", "band", "coverage", "reason", "model_version", "weights_of_segment")
    members = card_members(scores, currency)
    return {"on": day} | {name: members[name] for name in names if name in members}


def _show(own: ScoreDifference) -> dict[str, Any]:
    sides = {"from": own.before, "to": own.after}
    return {
        "component": own.component.id,
        "title": own.component.name,
        "unit": own.component.unit,
        **{name: _show_side(side) for name, side in sides.items()},
        "difference": format_score(own.difference),
        "by_value": format_score(own.by_value),
        "by_weight": format_score(own.by_weight),
        "sentence": _reason(own),
    }


def _show_side(side: Contribution | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "value": round_number(side.value),
        "score": format_score(side.score),
        "weight": round(float(side.share), 6),
        "contribution": format_score(side.contribution),
    }


def _sentence(
    difference: int | None, differences: Sequence[ScoreDifference], before: DayScores, after: DayScores
) -> str:
    """Return the difference in one sentence: "−12: engagement of seats fell from 61% to 22%"."""
    if difference is None:
        return "There is no score on one of the two days, since too little of the weight has data."
    if not any(own.difference for own in differences):
        return "The score has not changed."
    # What moved the score in the direction in which it went comes first.
    by_effect = sorted(differences, key=lambda own: -own.difference if difference > 0 else own.difference)
    if difference == 0:
        by_effect = sorted(differences, key=lambda own: -abs(own.difference))
    is_same_way = [own for own in by_effect if own.difference and (not difference or own.difference * difference > 0)]
    reasons = [_reason(own) for own in is_same_way[:_SENTENCE_REASONS]]
    if before.version.number != after.version.number:
        reasons.append(f"the model changed to version {after.version.number}")
    return f"{_points(difference)}: {'; '.join(reasons)}"


def _reason(own: ScoreDifference) -> str:
    """Return what happened to a component, in a few words."""
    name, unit = _lower_first(own.component.name), own.component.units[1]
    if own.before is None:
        return f"the model has {name} now"
    if own.after is None:
        return f"the model no longer has {name}"
    before, after = own.before.value, own.after.value
    if after is None:
        return f"there is no data on {name}" + (
            "" if before is None else f" any more (before: {_number(before, unit)})"
        )
    if before is None:
        return f"there is data on {name} now: {_number(after, unit)}"
    return f"{name} {_movement(own.component, before, after)}{_other_cause(own, own.before, own.after)}"


def _movement(component: Component, before: float, after: float) -> str:
    first_unit, last_unit = component.units
    if before == after:
        return f"stayed at {_number(after, last_unit)}"
    decimals = _distinct_decimals(before, after)
    start, end = _number(before, first_unit, decimals), _number(after, last_unit, decimals)
    return f"{component.verbs[after > before]} from {start} to {end}"


def _distinct_decimals(before: float, after: float) -> int:
    """Return with how many decimals two values are written: one, or as many as tell them apart."""
    return next(
        (count for count in range(1, _MAX_DECIMALS) if round(before, count) != round(after, count)), _MAX_DECIMALS
    )


def _other_cause(own: ScoreDifference, before: Contribution, after: Contribution) -> str:
    """Return what else than its value changed a contribution, where that is most of it or all of it."""
    if (
        before.value == after.value
        and before.score is not None
        and after.score is not None
        and before.score != after.score
    ):
        return f", which scores {_number(after.score / 100, '')} now instead of {_number(before.score / 100, '')}"
    if before.share == after.share or abs(own.by_weight) <= abs(own.by_value):
        return ""
    return f", with {'more' if after.share > before.share else 'less'} weight"


def _lower_first(text: str) -> str:
    """Return a title within a sentence; an abbreviation keeps its capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _number(value: float, unit: str, decimals: int = 1) -> str:
    text = f"{round(value, decimals):,.{decimals}f}".removesuffix(".0").replace("-", "−")
    # One day, and not one days.
    return f"{text}{unit.replace('s', '', 1) if text == '1' and unit.startswith(' ') else unit}"


def _points(hundredths: int) -> str:
    """Return a difference in points with its sign, to one decimal."""
    if hundredths == 0:
        return "±0"
    text = f"{abs(hundredths) / 100:.1f}".removesuffix(".0")
    return f"{'+' if hundredths > 0 else '−'}{text}"
