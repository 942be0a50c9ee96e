"""Tools of metrics: look in the catalogue, and ask for numbers."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from app.agents.arguments import PageArguments
from app.agents.define import MAX_ROWS, ToolAnswer, tool
from app.agents.numbers import (
    METRICS_SCHEMA,
    QUESTION_SCHEMA,
    ROWS_SCHEMA,
    SEVERAL_METRICS,
    about_metrics,
    about_question,
    flat_row,
    heading,
    short_row,
)
from app.agents.phrases import first_sentence, join_lines, next_line, table, unit_of, without_empty
from app.agents.schemas import NEXT, TEXT, adapt, list_schema, object_schema
from app.books.books import Books
from app.core.errors import Invalid
from app.core.names import nearest_names
from app.metrics.answer import answer
from app.metrics.define import METRICS, Metric
from app.metrics.describe import describe_metric, unknown_metric
from app.metrics.parameters import MetricNames, SeveralParameters
from app.metrics.question import resolve_question
from app.metrics.rows import knowledge_members, paginate

_MAX_DEFINITIONS = 5
# Shorter words are in every description.
_MIN_WORD = 3
_DEFINITION_MEMBERS = ("operands", "range", "adds_over")


class FindArguments(PageArguments):
    """What to look for in the catalogue."""

    search: str | None = Field(
        None,
        max_length=200,
        description="Words of the question, such as `churn` or `support tickets`. Default: all metrics.",
    )
    names: MetricNames = Field(
        [], description=f"Up to {_MAX_DEFINITIONS} metrics whose whole definition is wanted: operands and conventions."
    )
    limit: int = Field(MAX_ROWS, ge=1, le=MAX_ROWS, description="Maximum number of metrics.")


@tool(
    arguments=FindArguments,
    instead_of=["GET /v1/metrics"],
    output=object_schema(
        {
            "metrics": list_schema(
                {"name": TEXT, "title": TEXT, "unit": TEXT, "better": TEXT, "description": TEXT},
                {"conventions": {"type": "array"}, "dimensions": {"type": "object"}},
            ),
            "next": NEXT,
        },
        {"did_you_mean": {"type": "array", "items": TEXT}},
    ),
)
async def find_metrics(books: Books, arguments: FindArguments) -> ToolAnswer:
    """Find metrics: the catalogue of all metrics, with unit, better direction, conventions and dimensions. Look here before
    asking for numbers, and take only names that are listed. With `names`, it returns their whole definitions.
    """
    if arguments.names:
        return _define(books, arguments.names)
    matches = _search(arguments.search) if arguments.search else [METRICS[name] for name in sorted(METRICS)]
    page, cursor = paginate(matches, limit=arguments.limit, cursor=arguments.cursor)
    rows = [_short_entry(metric, books.currency) for metric in page]
    content: dict[str, Any] = {"metrics": rows, "next": cursor}
    text = table([{name: row[name] for name in ("name", "unit", "better", "description")} for row in rows])
    if not rows:
        content["did_you_mean"] = nearest_names(arguments.search or "", METRICS)
        nearest = ", ".join(content["did_you_mean"])
        text = f"No metric matches. {f'Did you mean {nearest}?' if nearest else 'Leave `search` out for all metrics.'}"
    return ToolAnswer(join_lines(text, next_line(cursor)), content, len(rows))


def _search(text: str) -> list[Metric]:
    """Return the metrics in whose entries the words of a text occur, the best matches first, without those far behind."""
    words = {word.rstrip("s") for word in text.casefold().replace("_", " ").split() if len(word) >= _MIN_WORD}

    def weight(metric: Metric) -> int:
        name = f"{metric.name} {metric.title}".casefold().replace("_", " ")
        rest = " ".join([metric.description, *(own.description for own in metric.conventions.values())]).casefold()
        return sum(10 * (word in name) + (word in rest) for word in words)

    weights = {name: weight(metric) for name, metric in METRICS.items()}
    least = max(weights.values()) / 2
    return [METRICS[name] for name in sorted(weights, key=lambda name: (-weights[name], name)) if weights[name] > least]


def _short_entry(metric: Metric, currency: str) -> dict[str, Any]:
    conventions = [*metric.conventions]
    return without_empty(
        {
            "name": metric.name,
            "title": metric.title,
            "unit": unit_of(metric, currency),
            "better": metric.better,
            "description": first_sentence(adapt(metric.description)),
            "dimensions": metric.dimensions,
            "conventions": conventions if len(conventions) > 1 else [],
        }
    )


def _define(books: Books, names: Sequence[str]) -> ToolAnswer:
    """Return the whole definitions of metrics. Raises Invalid for unknown names, and for too many."""
    faults = [unknown_metric(name, "/names") for name in names if name not in METRICS]
    if faults:
        raise Invalid.of(faults)
    if len(names) > _MAX_DEFINITIONS:
        raise Invalid.at("/names", f"`names` may have at most {_MAX_DEFINITIONS} metrics.", code="too_long")
    entries = [_long_entry(METRICS[name], books.currency) for name in names]
    return ToolAnswer("\n\n".join(map(_describe_entry, entries)), {"metrics": entries, "next": None}, 0)


def _long_entry(metric: Metric, currency: str) -> dict[str, Any]:
    entry = describe_metric(metric)
    first, *other_conventions = entry["conventions"]
    members = ("name", "description", "counted_by", "operands")
    members_of_all = (
        _short_entry(metric, currency)
        | {"description": adapt(metric.description)}
        | {name: entry[name] for name in _DEFINITION_MEMBERS}
        | {
            "counted_by": first["counted_by"],
            "conventions": [
                {"name": first["name"]},
                *({name: own[name] for name in members} for own in other_conventions),
            ],
        }
    )
    return without_empty(members_of_all if other_conventions else members_of_all | {"conventions": []})


def _describe_entry(entry: dict[str, Any]) -> str:
    lines = [f"{entry['name']}: {entry['title']}, in {entry['unit']}, better {entry['better']}. {entry['description']}"]
    lines += [f"- {name}: {text}" for name, text in entry["operands"].items()]
    lines += [f"- by {name}: {kind}" for name, kind in entry.get("dimensions", {}).items()]
    lines += [
        f"- convention {own['name']}: {own['description']} Counted so by: {own['counted_by']}"
        for own in entry.get("conventions", [])[1:]
    ]
    return "\n".join(lines)


class QueryArguments(PageArguments, SEVERAL_METRICS):  # type: ignore[misc, valid-type]
    """A question about metrics."""


@tool(
    arguments=QueryArguments,
    instead_of=["GET /v1/query", "POST /v1/query"],
    output=object_schema(
        {"question": QUESTION_SCHEMA, "metrics": METRICS_SCHEMA, "rows": ROWS_SCHEMA, "next": NEXT},
        {"reason": TEXT},
    ),
)
async def query_metrics(books: Books, arguments: QueryArguments) -> ToolAnswer:
    """Query metrics: the numbers of one metric or several by period and group, each with its proof. A row with `complete: false`
    is of a period that still runs: say so, and do not take it for a drop. `value: null` comes with a `reason`.
    """
    parameters = SeveralParameters.of(arguments)
    question = await resolve_question(books, arguments.metrics, parameters)
    page = await answer(books, question, limit=arguments.limit, cursor=arguments.cursor)
    hidden = ["convention"]
    rows = [short_row(row, without=hidden) for row in page.rows]
    metrics = about_metrics(question.metrics, books)
    content = {"question": about_question(question), "metrics": metrics, "rows": rows, "next": page.next}
    content |= knowledge_members(question)
    text = join_lines(
        heading(metrics, question), table([flat_row(row) for row in rows]) or "No rows.", next_line(page.next)
    )
    return ToolAnswer(text, content, len(rows))
