"""How a chart is declared: a function from an answer to a picture, one block for each chart.

    @chart(of="cohorts", example={"rows": […]}, needs=one_group)
    def retention_triangle(answer: ChartAnswer) -> Picture:
        "Retention triangle: what is left of each cohort, as a heat map."

The name of the function is the name of the chart, its docstring is `title: description`. `of` is the kind of answer. `needs`
returns why an answer cannot be this chart, as a sentence, or None. Of the charts that an answer can be, the first for which
`suits` is true is the one that it makes without the parameter `chart`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pydantic_core import to_json

# The kinds of answers, with the endpoints that answer them.
ANSWERS: dict[str, tuple[str, ...]] = {
    "numbers": ("/v1/query", "/v1/metrics/{metric}", "/v1/metrics/{metric}/conventions"),
    "contributors": ("/v1/metrics/{metric}/contributors",),
    "restatements": ("/v1/metrics/{metric}/restatements",),
    "cohorts": ("/v1/cohorts",),
    "distribution": ("/v1/surveys/{survey_id}/distribution",),
    "funnel": ("/v1/onboarding/funnel",),
    "scorecard": ("/v1/scorecard",),
    "target-history": ("/v1/targets/{target_id}/history",),
    "health": ("/v1/health",),
    "account-health": ("/v1/accounts/{account_id}/health",),
    "backtest": ("/v1/health-model/backtest",),
}

Values = Sequence[Mapping[str, Any]]
Spec = dict[str, Any]


@dataclass(frozen=True)
class ChartAnswer:
    """What a chart is made of. body: the answer as a JSON object. currency: of the books. width, height: in pixels."""

    body: Mapping[str, Any]
    currency: str = "USD"
    width: int = 640
    height: int | None = None

    @cached_property
    def rows(self) -> list[Mapping[str, Any]]:
        """The rows of the answer."""
        return list(self.body.get("rows", ()))

    @property
    def annotations(self) -> Sequence[Mapping[str, Any]]:
        """What is to be known of the rows, where the question asks for it."""
        annotations: Sequence[Mapping[str, Any]] = self.body.get("annotations", ())
        return annotations

    @cached_property
    def _restatements(self) -> dict[str, Mapping[str, Any]]:
        return {_row_key(own): own for own in self.annotations if own["kind"] == "restatement"}

    def restatement_of(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the annotation of a row of numbers that was restated; None for others."""
        return self._restatements.get(_row_key(row)) if self._restatements else None

    @property
    def question(self) -> Mapping[str, Any]:
        """The question as the answer repeats it."""
        question: Mapping[str, Any] = self.body.get("question", {})
        return question


def _row_key(row: Mapping[str, Any]) -> str:
    # In JSON, true and 1 are not the same.
    return to_json([row[name] for name in ("metric", "convention", "start", "end", "group")]).decode()


class Picture(NamedTuple):
    """What a chart function returns.

    title: a few words. notes: sentences under it: the unit, what signs mean, what is missing. summary: the picture in a
    sentence, for those who do not see it. values: the data. view: the Vega-Lite view without data. is_single: whether the
    view is one plot, whose size includes its axes.
    """

    title: str
    notes: Sequence[str | None]
    summary: str
    values: Values
    view: Spec
    is_single: bool = True


@dataclass(frozen=True, slots=True)
class Chart:
    """An entry of the catalogue."""

    name: str
    title: str
    description: str
    of: str
    draw: Callable[[ChartAnswer], Picture]
    needs: Callable[[ChartAnswer], str | None]
    suits: Callable[[ChartAnswer], bool]
    when: str
    example: Mapping[str, Any]
    path: str


CHARTS: dict[str, Chart] = {}


def chart(
    *,
    of: str,
    when: str,
    example: Mapping[str, Any],
    path: str,
    needs: Callable[[ChartAnswer], str | None] = lambda _: None,
    suits: Callable[[ChartAnswer], bool] = lambda _: True,
) -> Callable[[Callable[[ChartAnswer], Picture]], Callable[[ChartAnswer], Picture]]:
    """Register a chart. Raises ValueError when it has no `title: description` or its name is taken.

    when: for which questions it is drawn, as a sentence. example: an answer, as a JSON object. path: a request that makes it.
    """

    def register(draw: Callable[[ChartAnswer], Picture]) -> Callable[[ChartAnswer], Picture]:
        title, colon, description = (draw.__doc__ or "").strip().partition(": ")
        if not colon or draw.__name__ in CHARTS or of not in ANSWERS:
            raise ValueError(f"The chart {draw.__name__} exists already or has no documentation.")
        CHARTS[draw.__name__] = Chart(
            name=draw.__name__,
            title=title,
            description=" ".join((description[:1].upper() + description[1:]).split()),
            of=of,
            draw=draw,
            needs=needs,
            suits=suits,
            when=when,
            example=example,
            path=path,
        )
        return draw

    return register
