"""The reference page of metrics and measures, by topic."""

import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from app.cli.publish.markdown import bullets, code, page, table
from app.ledger.measures import MEASURES
from app.metrics.define import METRICS, Metric

# The contract of the metrics, from which formulas and synonyms are taken.
CONTRACT = Path(__file__).parents[3] / "docs" / "metrics.md"

INTRO = """Every metric with its unit, its operands and an example, by topic. [Definitions](../metrics.md) is the contract: it
explains the formulas and the words. `GET /v1/metrics` returns the same catalogue as JSON.

Percentages that are proportions come with Wilson's interval at 95%, the Net Promoter Score with the adjusted Wald interval.
Where a metric has conventions, choose one with `convention=`, or compare them with `GET /v1/metrics/{metric}/conventions`.

All metrics can be broken down by account, segment and any attribute; each says what else it can be broken down by. Where a
metric "adds up over groups", the groups of one attribute add up to the total of a period. Where it "adds up over time", days
add up to months as long as accounts stay in their groups.

"No value" means that an answer has `value: null` and a [`reason`](errors.md#reasons). A metric with conventions is described
by its default convention; a table lists the others."""

LEGEND = [
    ["`f(x)`", "The measure `x`, added up over the period: `f(sessions)` is the number of sessions in it."],
    [
        "`s(x, start)`, `s(x, end)`",
        "What the measure `x` amounts to at the start or the end of the period, such as MRR.",
    ],
    ["`start`, `end`", "The start of the first day of the period, and the end of its last day."],
    ["`O`", "The opening customers: the accounts with MRR above zero at the start of the period."],
    ["`m0`, `m1`", "The MRR of one account at the start and at the end of the period."],
    ["`Σ`", "The sum of what follows. `Σ_O` is the sum over the opening customers."],
    ["`max(a, b)`, `min(a, b)`", "The larger and the smaller of two numbers."],
    ["`mrr`, `customers_new`, …", "The metric of that name, for the same period."],
]

LEGEND_NOTE = "The [measures](#measures) are listed at the end of this page."

MEASURES_INTRO = """The countable things of the ledger. Metrics are computed from their sums. The ledger stores money in
ten-thousandths of the base currency, and MRR and its movements as amounts per year."""

_EXAMPLES = {"percent": "{}%", "money": "{:.2f} USD", "ratio": "{}", "score": "{}", "count": "{}"}
_BETTER = {"up": "higher is better", "down": "lower is better"}
_UNITS = {"score": "score on the survey's own scale", "money": "money, in the base currency"}


class Topic(NamedTuple):
    """A module of the catalogue: what its docstring says, and its metrics in their order."""

    heading: str
    intro: str
    metrics: list[Metric]


class Contract(NamedTuple):
    """What the contract says of each metric: its formula, and the names that it has elsewhere."""

    formulas: dict[str, str]
    synonyms: dict[str, str]


def render() -> str:
    """Return the page."""
    topics = sorted(_topics(), key=attrgetter("heading"))
    sections = (part for topic in topics for part in _topic(topic))
    measures = table(("measure", "what it counts", "subject", "channel"), _measures())
    legend = table(("in a formula", "meaning"), LEGEND)
    start = ["## How to read a formula", legend, LEGEND_NOTE]
    return page("Metrics", INTRO, *start, *sections, "## Measures", MEASURES_INTRO, measures)


def _topics() -> Iterator[Topic]:
    for module, metrics in groupby(METRICS.values(), key=lambda metric: inspect.getmodule(metric.formula)):
        first, _, rest = (inspect.getdoc(module) or "").partition("\n\n")
        heading = re.split(r"[:.]", first.removeprefix("Metrics of "))[0]
        yield Topic(heading[:1].upper() + heading[1:], rest, list(metrics))


def _topic(topic: Topic) -> Iterator[str]:
    yield f"## {topic.heading}"
    yield topic.intro
    yield table(("metric", "what it measures", "unit", "also called"), map(_summary, topic.metrics))
    for metric in topic.metrics:
        yield from _metric(metric)


def _summary(metric: Metric) -> list[str]:
    sentence = re.split(r"(?<=\.)\s", metric.description)[0]
    link = f"[`{metric.name}`](#{metric.name})"
    return [link, f"{metric.title}: {sentence}", metric.unit, _synonyms_of(metric)]


def _metric(metric: Metric) -> Iterator[str]:
    contract = read_contract()
    yield f"### `{metric.name}`"
    yield f"**{metric.title}:** {metric.description}"
    yield bullets(
        [
            f"Formula: {formula}" if (formula := contract.formulas.get(metric.name)) else "",
            f"Unit: {_unit(metric)}{_better(metric)}",
            f"Also broken down by: {_dimensions(metric)}" if metric.dimensions else "",
            f"Adds up over: {' and '.join(metric.adds_over)}" if metric.adds_over else "",
            f"Also called: {synonyms}" if (synonyms := _synonyms_of(metric)) else "",
        ]
    )
    operands = [[code(name), metric.inputs[name].description, _number(value)] for name, value in _example(metric)]
    yield table(("operand", "what it is", "example"), [*operands, ["result", "", f"**{_result(metric)}**"]])
    if metric.other_conventions:
        yield table(("convention", "what it computes", "used by", "example"), _conventions(metric))


def _conventions(metric: Metric) -> Iterator[list[str]]:
    for name, convention in metric.conventions.items():
        operands = ", ".join(f"{code(operand)} {_number(value)}" for operand, value in _example(convention))
        description = "The default, described above." if name == metric.convention else convention.description
        yield [code(name), description, convention.counted_by, f"{operands}: **{_result(convention)}**"]


def _synonyms_of(metric: Metric) -> str:
    """Return the other names of a metric, without those that its title has already."""
    names = read_contract().synonyms.get(metric.name, "").split(", ")
    return ", ".join(name for name in names if name.lower() not in metric.title.lower())


def _unit(metric: Metric) -> str:
    # The range of a score is that of the survey, which the catalogue does not know.
    unit = _UNITS.get(metric.unit, metric.unit)
    return unit if metric.unit == "score" else f"{unit}; {_range(metric)}"


def _range(metric: Metric) -> str:
    low, high = (None if bound is None else f"{bound:g}".replace("-", "−") for bound in metric.range)
    if low is None and high is None:
        return "may be negative"
    if high is None:
        return f"{low} or more"
    return f"at most {high}" if low is None else f"{low} to {high}"


def _better(metric: Metric) -> str:
    return f"; {_BETTER[metric.better]}" if metric.better in _BETTER else ""


def _dimensions(metric: Metric) -> str:
    return ", ".join(
        code(name) if name == kind else f"{code(name)} (the {kind})" for name, kind in metric.dimensions.items()
    )


def _example(metric: Metric) -> Iterator[tuple[str, float | str]]:
    return ((name, metric.example[name]) for name in metric.inputs)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.4f}".rstrip("0").rstrip(".")


def _result(metric: Metric) -> str:
    value = float(metric.example["equals"])
    template = _EXAMPLES.get(metric.unit, "{} " + metric.unit)
    return template.format(value if metric.unit == "money" else _number(value)).replace("-", "−")


def _measures() -> Iterator[list[str]]:
    for measure in sorted(MEASURES.values(), key=attrgetter("name")):
        yield [code(measure.name), measure.description, measure.subject or "", "yes" if measure.channel else ""]


@cache
def read_contract() -> Contract:
    """Return the formulas and synonyms of `docs/metrics.md`. Raises ValueError for a name that is no metric."""
    text = CONTRACT.read_text(encoding="utf-8")
    formulas: dict[str, str] = {}
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0] == "| metric | formula | notes |":
            for name, formula in (line.strip("| ").split(" | ")[:2] for line in lines[2:]):
                formulas[name.strip("`")] = formula.rstrip(" |")
    synonyms = dict(_synonyms(text))
    if unknown := {*formulas, *synonyms} - METRICS.keys() - {"health_score"}:
        raise ValueError(f"docs/metrics.md names metrics that do not exist: {', '.join(sorted(unknown))}.")
    return Contract(formulas, synonyms)


def _synonyms(text: str) -> Iterable[tuple[str, str]]:
    """Yield metrics with their synonyms, from paragraphs such as "Also called: `arr` annual run rate; `nrr` …"."""
    for paragraph in re.findall(r"^Also called: (.*?)\.\n\n", text, re.MULTILINE | re.DOTALL):
        for entry in " ".join(paragraph.split()).split("; "):
            name, _, names = entry.partition("` ")
            yield name.removeprefix("`"), names
