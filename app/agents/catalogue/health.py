"""Tools of health: accounts at risk, and why the health of one has changed."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from app.agents.account_names import load_names
from app.agents.arguments import PageArguments, choose_arguments
from app.agents.define import ToolAnswer, tool
from app.agents.phrases import join_lines, next_line, plain_number, shorten, table, without_empty
from app.agents.schemas import DAY, NEXT, OPTIONAL_TEXT, TEXT, list_schema, object_schema
from app.books.books import Books
from app.core.ids import Id
from app.health.explanation import ExplanationParameters
from app.health.explanation import explain_health as explain_health_of
from app.health.listing import HealthParameters
from app.health.listing import list_health as list_health_of
from app.metrics.schema import NUMBER_SCHEMA

_MAX_DIFFERENCES = 12
_ListFields = choose_arguments(
    "HealthFields", HealthParameters, "band", "flag", "filter", "segment", "accounts", "order", "as_of"
)


class HealthArguments(PageArguments, _ListFields):  # type: ignore[misc, valid-type]
    """Which accounts to list."""


@tool(
    arguments=HealthArguments,
    instead_of=["GET /v1/health"],
    output=object_schema(
        {
            "as_of": DAY,
            "currency": TEXT,
            "bands": list_schema({"band": OPTIONAL_TEXT, "accounts": {"type": "integer"}, "mrr": TEXT}),
            "accounts": list_schema(
                {"account": TEXT, "score": NUMBER_SCHEMA, "band": OPTIONAL_TEXT},
                {
                    "name": TEXT,
                    "mrr": TEXT,
                    "flags": {"type": "array"},
                    "weakest": {"type": "object"},
                    "override": {"type": "object"},
                    "coverage": {"type": "number"},
                    "reason": TEXT,
                },
            ),
            "next": NEXT,
        },
        {"reason": TEXT},
    ),
)
async def list_health(books: Books, arguments: HealthArguments) -> ToolAnswer:
    """List health: the health of customers, a score from 0 to 100, the worst first, with MRR, flags and the component that costs
    most points. Accounts at risk are those of the bands `critical` and `at_risk`. `bands` counts all of them with their MRR.
    """
    answer = await list_health_of(books, HealthParameters.model_construct(**dict(arguments)))
    names = await load_names(books, [row["account"] for row in answer.rows])
    accounts = [_short_account(row, names.get(row["account"])) for row in answer.rows]
    content = {
        "as_of": answer.body["as_of"],
        "currency": books.currency,
        "bands": answer.body["bands"],
        "accounts": accounts,
        "next": answer.next,
    }
    if "reason" in answer.body:
        content["reason"] = answer.body["reason"]
    text = join_lines(
        f"Health on {content['as_of']}, from 0 to 100; MRR in {books.currency}.",
        table([own | {"band": own["band"] or "without a score"} for own in content["bands"]]),
        table([_flat_account(own) for own in accounts]) or "No account matches.",
        next_line(answer.next),
    )
    return ToolAnswer(text, content, len(accounts))


def _short_account(row: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    weakest = row["weakest"] and {
        key: row["weakest"][key] for key in ("title", "value", "unit", "score", "points_lost")
    }
    members = {"account": row["account"], "name": name, "score": row["score"], "band": row["band"], "mrr": row["mrr"]}
    override = row["override"] and {key: row["override"][key] for key in ("score", "reason", "author", "expires_on")}
    if override:
        override = without_empty(override | {"reason": shorten(override["reason"])})
    rest = {"flags": row["flags"], "override": override, "reason": row.get("reason")}
    coverage = row["coverage"] if row["coverage"] < 1 else None
    return without_empty(members | {"weakest": weakest, "coverage": coverage} | rest, keep=["score", "band"])


def _flat_account(own: Mapping[str, Any]) -> dict[str, Any]:
    weakest = own.get("weakest")
    members = {name: own.get(name) for name in ("account", "name", "score", "band", "mrr", "flags", "reason")}
    override = own.get("override")
    return members | {
        "weakest": weakest
        and f"{weakest['title']} {plain_number(weakest['value'])} {weakest['unit']} (−{weakest['points_lost']} points)",
        "override": override and f"{override['score']}: {override['reason']}",
    }


_ExplanationFields = choose_arguments(
    "ExplanationFields", ExplanationParameters, "since", "to", "knowledge", is_brief=False
)


class ExplainHealthArguments(_ExplanationFields):  # type: ignore[misc, valid-type]
    """Whose health, and between which days."""

    account: Id = Field(description="The account's id. `GET /v1/accounts` finds it.")


@tool(
    arguments=ExplainHealthArguments,
    instead_of=["GET /v1/accounts/{id}/health/explanation"],
    output=object_schema(
        {
            "account": TEXT,
            "from": {"type": "object"},
            "to": {"type": "object"},
            "difference": NUMBER_SCHEMA,
            "sentence": TEXT,
            "differences": {"type": "array"},
        },
        {"reason": TEXT},
    ),
)
async def explain_health(books: Books, arguments: ExplainHealthArguments) -> ToolAnswer:
    """Explain health: why the score of an account is another than on an earlier day, as differences of its components that add up
    to that of the score.
    """
    parameters = ExplanationParameters.model_construct(
        since=arguments.since, to=arguments.to, knowledge=arguments.knowledge
    )
    answer = await explain_health_of(books, arguments.account, parameters)
    differences = [_short_difference(own) for own in answer["differences"] if own["difference"]]
    content = {
        "account": answer["account"],
        "from": without_empty(answer["from"], keep=["score"]),
        "to": without_empty(answer["to"], keep=["score"]),
        "difference": answer["difference"],
        "sentence": answer["sentence"],
        "differences": differences[:_MAX_DIFFERENCES],
    } | ({"reason": answer["reason"]} if "reason" in answer else {})
    flat = [
        own | {side: (own.get(side) or {}).get("value") for side in ("from", "to")} for own in content["differences"]
    ]
    return ToolAnswer(join_lines(answer["sentence"], table(flat)), content)


def _short_difference(own: Mapping[str, Any]) -> dict[str, Any]:
    return without_empty({name: value for name, value in own.items() if name != "component"})
