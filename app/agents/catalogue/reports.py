"""Tools of reports: who stays, and how far customers get with their onboarding."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from app.agents.arguments import PageArguments, choose_arguments
from app.agents.define import MAX_ROWS, ToolAnswer, tool
from app.agents.phrases import join_lines, next_line, table, without_empty
from app.agents.schemas import INTEGER, NEXT, TEXT, list_schema, object_schema
from app.books.books import Books
from app.http.tables import Answer
from app.metrics.schema import NUMBER_SCHEMA, ROW_SCHEMA
from app.reports.cohorts import CohortParameters, retention_triangle
from app.reports.funnel import FunnelParameters, onboarding_funnel

_MONEY = ("mrr", "revenue")
_COHORT_ROW = ("cohort", "number", "period", "size", "value", "percent", "reason")
_STAGE_ROW = ("period", "stage", "step", "reached", "percent", "drop_off", "drop_off_percent", "average_days", "reason")
_OPTIONAL: dict[str, Any] = {"complete": {"const": False}, "group": ROW_SCHEMA["group"], "reason": TEXT}
_SCOPE = ("period", "start", "end", "segment", "filter", "group_by", "as_of")
_CohortFields = choose_arguments("CohortFields", CohortParameters, "by", "measure", *_SCOPE)
_FunnelFields = choose_arguments("FunnelFields", FunnelParameters, "granularity", *_SCOPE)


class CohortArguments(PageArguments, _CohortFields):  # type: ignore[misc, valid-type]
    """Which cohorts, and what is followed."""

    limit: int = Field(MAX_ROWS, ge=1, le=MAX_ROWS, description="Maximum number of rows.")


@tool(
    arguments=CohortArguments,
    instead_of=["GET /v1/cohorts"],
    output=object_schema(
        {
            "unit": TEXT
            | {"description": "Of `value`; of money, the currency. `percent` is of the start of the cohort."},
            "rows": list_schema(
                {"cohort": TEXT, "number": INTEGER, "period": TEXT},
                {"size": INTEGER, "value": NUMBER_SCHEMA, "percent": NUMBER_SCHEMA} | _OPTIONAL,
            ),
            "next": NEXT,
        }
    ),
)
async def get_cohorts(books: Books, arguments: CohortArguments) -> ToolAnswer:
    """Get cohorts: of those who started in the same period, how many, or how much of their MRR or revenue, are left in each later
    period; `number` counts the periods since the start.
    """
    answer = await retention_triangle(books, CohortParameters.model_construct(**dict(arguments)))
    unit = books.currency if arguments.measure in _MONEY else arguments.measure
    text = (
        f"{arguments.measure} of each cohort, by {arguments.by}; value in {unit}, percent of the start of the cohort."
    )
    return _tool_answer(answer, _COHORT_ROW, text, unit=unit)


class FunnelArguments(PageArguments, _FunnelFields):  # type: ignore[misc, valid-type]
    """Which onboardings: those that were started in the period."""


@tool(
    arguments=FunnelArguments,
    instead_of=["GET /v1/onboarding/funnel"],
    output=object_schema(
        {
            "unit": TEXT | {"description": "Of `reached` and `drop_off`."},
            "rows": list_schema(
                {"period": TEXT, "stage": TEXT},
                {"step": TEXT, "reached": INTEGER}
                | dict.fromkeys(("percent", "drop_off", "drop_off_percent", "average_days"), NUMBER_SCHEMA)
                | _OPTIONAL,
            ),
            "next": NEXT,
        }
    ),
)
async def get_funnel(books: Books, arguments: FunnelArguments) -> ToolAnswer:
    """Get funnel: how many of the onboardings started in a period reached each step, how many were lost before the next one, and
    after how many days on average.
    """
    answer = await onboarding_funnel(books, FunnelParameters.model_construct(**dict(arguments)))
    text = "Onboardings that reached each stage; percent of those that were started."
    return _tool_answer(answer, _STAGE_ROW, text, unit="onboardings")


def _tool_answer(answer: Answer, names: Sequence[str], text: str, *, unit: str) -> ToolAnswer:
    """Return an answer of rows with these members. text: what the numbers are."""
    rows = [_short_row(row, names) for row in answer.rows]
    flat = [{**{name: own for name, own in row.items() if name != "group"}, **row.get("group", {})} for row in rows]
    content = {"unit": unit, "rows": rows, "next": answer.next}
    return ToolAnswer(join_lines(text, table(flat) or "No rows.", next_line(answer.next)), content, len(rows))


def _short_row(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    members = {name: row.get(name) for name in names} | {"group": row["group"]}
    return without_empty(members | {"complete": None if row["complete"] else False})
