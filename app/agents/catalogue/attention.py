"""Tools of what needs attention: insights, the accounts behind one, and targets."""

from collections.abc import Mapping
from typing import Any, get_origin
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from app.agents.account_names import load_names
from app.agents.arguments import PageArguments, choose_arguments
from app.agents.define import TOOLS, ToolAnswer, tool
from app.agents.phrases import join_lines, next_line, shorten, table, without_empty
from app.agents.schemas import DAY, INTEGER, NEXT, TEXT, adapt, list_schema, object_schema
from app.books.books import Books
from app.core.ids import Id
from app.insights.answers import InsightAccountParameters, InsightParameters
from app.insights.answers import list_insight_accounts as list_insight_accounts_of
from app.insights.answers import list_insights as list_insights_of
from app.insights.define import DETECTORS
from app.metrics.define import DEFAULT
from app.metrics.schema import NUMBER_SCHEMA
from app.scorecard.scorecard import ScorecardParameters, scorecard

_InsightFields = choose_arguments("InsightFields", InsightParameters, "severity", "as_of", is_brief=False)
_ROW = ("id", "severity", "title", "sentence", "confidence", "sample_size", "period", "accounts", "advice")


class InsightArguments(PageArguments, _InsightFields):  # type: ignore[misc, valid-type]
    """Which insights to list."""

    detector: list[str] = Field(
        [], max_length=100, description=f"Only what these detectors find, of: {', '.join(sorted(DETECTORS))}."
    )


@tool(
    arguments=InsightArguments,
    instead_of=["GET /v1/insights"],
    output=object_schema(
        {
            "summary": {"type": "object", "additionalProperties": INTEGER},
            "rows": list_schema(
                {"id": TEXT, "severity": TEXT, "title": TEXT, "sentence": TEXT, "confidence": TEXT, "advice": TEXT},
                {
                    "sample_size": INTEGER,
                    "period": TEXT,
                    "accounts": object_schema({"count": INTEGER, "first": {"type": "array"}}),
                    "question": {"type": "object", "description": "The call that returns the numbers behind it."},
                },
            ),
            "next": NEXT,
        },
        {"reason": TEXT},
    ),
)
async def list_insights(books: Books, arguments: InsightArguments) -> ToolAnswer:
    """List insights: what needs attention, the most urgent first: each with the threshold that fired, the numbers, the accounts
    that matter most, what to do next, and a confidence from its sample. Nothing is found where nothing fires.
    """
    answer = await list_insights_of(books, InsightParameters.model_construct(**dict(arguments)))
    ids = [own["account"] for row in answer.rows for own in row["accounts"]["first"]]
    names = await load_names(books, ids)
    rows = [_short_insight(row, names) for row in answer.rows]
    summary = {name: count for name, count in answer.body["summary"].items() if count}
    content = {"summary": summary, "rows": rows, "next": answer.next}
    if "reason" in answer.body:
        content["reason"] = answer.body["reason"]
    lines = [
        f"[{row['severity']}] {row['title']}: {row['sentence']} ({row['confidence']} confidence) {row['advice']}"
        for row in rows
    ]
    return ToolAnswer(join_lines(*lines, next_line(answer.next)) or "Nothing needs attention.", content, len(rows))


def _short_insight(row: Mapping[str, Any], names: Mapping[str | None, str]) -> dict[str, Any]:
    count = row["accounts"]["count"]
    first = [_short_detail(own, names) for own in row["accounts"]["first"]]
    accounts = {"count": count, "first": first} if count else None
    members = {name: row[name] for name in _ROW} | {
        "advice": adapt(row["advice"]),
        "accounts": accounts,
        "question": _as_call(row["question"]),
    }
    return without_empty(members)


def _short_detail(own: Mapping[str, Any], names: Mapping[str | None, str]) -> dict[str, Any]:
    name, detail = names.get(own["account"]), shorten(own["detail"])
    return without_empty({"account": own["account"], "name": name, "detail": detail}, keep=["detail"])


# Parameters that are lists with commas. Others are repeated.
_COMMA_LISTS = ("group_by", "metrics")


def _as_call(path: str) -> dict[str, Any] | None:
    """Return the call of a tool that answers the question of a path of the API; None where no tool does."""
    parts = urlsplit(path)
    values: dict[str, Any] = {name: own if len(own) > 1 else own[0] for name, own in parse_qs(parts.query).items()}
    steps = parts.path.removeprefix("/v1/").split("/")
    match steps:
        case ["metrics", metric]:
            name, arguments = "query_metrics", {"metrics": [metric], **values}
        case ["metrics", metric, "contributors"]:
            name, arguments = "list_contributors", {"metric": metric, **values}
        case ["query"]:
            name, arguments = "query_metrics", values
        case ["health"]:
            name, arguments = "list_health", values
        case ["scorecard"]:
            name, arguments = "get_scorecard", values
        case _:
            return None
    fields = TOOLS[name].arguments.model_fields
    chosen = {key: value for key, value in arguments.items() if key in fields}
    for key, value in chosen.items():
        if get_origin(fields[key].annotation) is list and isinstance(value, str):
            chosen[key] = value.split(",") if key in _COMMA_LISTS else [value]
    return {"tool": name, "arguments": chosen}


_InsightAccountFields = choose_arguments("InsightAccountFields", InsightAccountParameters, "as_of", is_brief=False)


class InsightAccountArguments(PageArguments, _InsightAccountFields):  # type: ignore[misc, valid-type]
    """Whose accounts to list."""

    insight: Id = Field(description="The `id` of an insight, as `GET /v1/insights` returns it.")


@tool(
    arguments=InsightAccountArguments,
    output=object_schema({"rows": list_schema({"account": TEXT, "detail": TEXT}, {"name": TEXT}), "next": NEXT}),
)
async def list_insight_accounts(books: Books, arguments: InsightAccountArguments) -> ToolAnswer:
    """List accounts of an insight: all that it is about, the most important first; none while it does not fire."""
    parameters = InsightAccountParameters.model_construct(**dict(arguments))
    answer = await list_insight_accounts_of(books, arguments.insight, parameters)
    names = await load_names(books, [row["account"] for row in answer.rows])
    rows = [_short_detail(row, names) for row in answer.rows]
    text = join_lines(table(rows) or "The insight does not fire.", next_line(answer.next))
    return ToolAnswer(text, {"rows": rows, "next": answer.next}, len(rows))


_ScorecardFields = choose_arguments(
    "ScorecardFields", ScorecardParameters, "period", "start", "end", "status", "as_of", is_brief=False
)
_STANDING = (
    "id",
    "metric",
    "convention",
    "group",
    "period",
    "status",
    "value",
    "target",
    "attainment",
    "expected",
    "projection",
    "direction",
    "reason",
)


class ScorecardArguments(PageArguments, _ScorecardFields):  # type: ignore[misc, valid-type]
    """Which targets to list."""


@tool(
    arguments=ScorecardArguments,
    instead_of=["GET /v1/scorecard", "GET /v1/targets"],
    output=object_schema(
        {
            "summary": {"type": "object", "additionalProperties": INTEGER},
            "rows": list_schema(
                {"id": TEXT, "metric": TEXT, "unit": TEXT, "period": TEXT, "status": TEXT},
                dict.fromkeys(("value", "target", "attainment", "expected", "projection"), NUMBER_SCHEMA)
                | {"start": DAY, "group": {"type": "object"}},
            ),
            "open_detractors": INTEGER,
            "next": NEXT,
        }
    ),
)
async def get_scorecard(books: Books, arguments: ScorecardArguments) -> ToolAnswer:
    """Get scorecard: how near every target is: value, target, attainment in percent, what is expected by now, the projection to
    the end of the period, and the status: `met`, `on_track`, `behind`, `missed` or `no_data`.
    """
    answer = await scorecard(books, ScorecardParameters.model_construct(**dict(arguments)))
    rows = [_short_standing(row, books.currency) for row in answer.rows]
    content = {
        "summary": {name: count for name, count in answer.body["summary"].items() if count},
        "rows": rows,
        "open_detractors": answer.body["closed_loop"]["open_detractors"]["count"],
        "next": answer.next,
    }
    flat = [
        {**row, "group": ", ".join(f"{key}={value}" for key, value in row.get("group", {}).items())} for row in rows
    ]
    return ToolAnswer(join_lines(table(flat) or "There are no targets.", next_line(answer.next)), content, len(rows))


def _short_standing(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    group = without_empty(row["group"]) if row["group"] else None
    members = {name: row.get(name) for name in _STANDING} | {"group": group}
    members["convention"] = None if row["convention"] == DEFAULT else row["convention"]
    unit = currency if row["unit"] == "money" else row["unit"]
    return without_empty({**members, "unit": unit, "complete": None if row["complete"] else False})
