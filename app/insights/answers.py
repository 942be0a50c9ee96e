"""The answers about insights: what needs attention, and the accounts that an insight is about."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

from pydantic import BeforeValidator, Field

from app.books.books import Books
from app.core.errors import Invalid
from app.core.names import name_fault, nearest_names
from app.core.periods import Day
from app.database.connection import Connection
from app.http.openapi import list_schema, name_schema, object_schema, response_schema
from app.http.row_parameters import RowParameters
from app.http.tables import Answer, column, columns
from app.insights.define import DETECTORS, SEVERITIES, AccountDetail, Detector
from app.insights.describe import detector_of
from app.insights.engine import CONFIDENCES, Insight, Insights, find_insights, load_account_ids, load_moment
from app.metrics.results import NOTHING_KNOWN
from app.metrics.rows import paginate
from app.metrics.schema import OPTIONAL_ANSWER_SCHEMA, ROW_SCHEMA

# An insight shows so many of its accounts; all of them have a list of their own.
_FIRST_ACCOUNTS = 5

_TEXT: dict[str, Any] = {"type": "string"}
_OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_COUNT: dict[str, Any] = {"type": "integer"}
_ACCOUNT_SCHEMA = {
    "account": _TEXT | {"description": "The account id."},
    "detail": _TEXT | {"description": "What is to know of it, such as its MRR."},
}
_ACCOUNTS_SCHEMA = object_schema(
    "InsightAccounts",
    {
        "count": _COUNT,
        "first": list_schema("InsightAccount", _ACCOUNT_SCHEMA)
        | {"description": "The most important ones, at most five."},
        "link": _OPTIONAL_TEXT | {"description": "The path of the list of all of them; null without accounts."},
    },
)
_ROW_SCHEMA: dict[str, Any] = {
    "id": _TEXT
    | {"description": "The detector and, where it can find several things, which: it stays the same while it fires."},
    "detector": name_schema("DetectorName"),
    "severity": {"type": "string", "enum": [*SEVERITIES]},
    "title": _TEXT,
    "sentence": _TEXT | {"description": "The numbers, and the threshold from which it fires."},
    "confidence": {
        "type": "string",
        "enum": [*CONFIDENCES],
        "description": "From the sample: `low` under 20 observations, `medium` under 100, else `high`; under 5 there is no "
        "insight. What is counted and not estimated has no sample, and is `high`.",
    },
    "sample_size": {"type": ["integer", "null"], "description": "The number of observations."},
    "subject": _OPTIONAL_TEXT | {"description": "What it is about, such as a feature or a target."},
    **{name: ROW_SCHEMA[name] for name in ("period", "start", "end")},
    "question": _TEXT | {"description": "The path of the question behind it."},
    "accounts": _ACCOUNTS_SCHEMA,
    "advice": _TEXT | {"description": "What to do next."},
}
_DAY: dict[str, Any] = {"type": "string", "format": "date"}
_QUESTION = object_schema(
    "InsightQuestion",
    {},
    {
        "as_of": _DAY,
        "severity": {"type": "array", "items": {"type": "string", "enum": [*SEVERITIES]}},
        "detector": {"type": "array", "items": name_schema("DetectorName")},
    },
)
INSIGHTS_SCHEMA = response_schema(
    "What needs attention, the most urgent first.",
    object_schema(
        "InsightPage",
        {
            "question": _QUESTION,
            "summary": object_schema("InsightSummary", dict.fromkeys(SEVERITIES, _COUNT)),
            "small_samples": _COUNT | {"description": "How many insights are left out, for their samples are under 5."},
            "rows": list_schema("Insight", _ROW_SCHEMA),
            "next": _OPTIONAL_TEXT,
        },
        OPTIONAL_ANSWER_SCHEMA,
    ),
    table=True,
)
INSIGHT_ACCOUNTS_SCHEMA = response_schema(
    "The accounts of an insight, the most important first; none while it does not fire.",
    object_schema(
        "InsightAccountPage",
        {
            "question": object_schema("InsightAccountQuestion", {"insight": _TEXT}, {"as_of": _DAY}),
            "rows": list_schema("InsightAccount", _ACCOUNT_SCHEMA),
            "next": _OPTIONAL_TEXT,
        },
        OPTIONAL_ANSWER_SCHEMA,
    ),
    table=True,
)
# The ids of the first accounts are one text, and `accounts` is the link to all.
_COLUMNS = [
    *columns(_ROW_SCHEMA, ("id", "detector", "severity", "title", "sentence", "confidence", "sample_size", "subject")),
    *columns(_ROW_SCHEMA, ("period", "start", "end")),
    column("account_count", _COUNT, path=("accounts", "count")),
    column("first_accounts", _TEXT, path=("accounts",), read=lambda row: _join_first(row["accounts"])),
    column("accounts", _TEXT, path=("accounts", "link")),
    *columns(_ROW_SCHEMA, ("question", "advice")),
]


def _join_first(accounts: Mapping[str, Any]) -> str | None:
    return ", ".join(own["account"] for own in accounts["first"]) or None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _MomentParameters(RowParameters):
    """The parameters of all answers about insights."""

    as_of: Day | None = Field(
        None, description="What needed attention at the end of this day, from what was known then. Default: now."
    )
    limit: int | None = Field(
        None, ge=1, le=1_000, description="Maximum number of rows per page. Default: 100 in JSON; files have all rows."
    )
    cursor: str | None = Field(None, max_length=1_000, description="The `next` of the page before.")

    @property
    def page_rows(self) -> int:
        """The maximum number of rows on a page."""
        return self.page_size(self.limit, default=100)


class InsightParameters(_MomentParameters):
    """The parameters of the list of insights."""

    severity: Annotated[list[Literal[SEVERITIES]], BeforeValidator(_as_list), Field(max_length=len(SEVERITIES))] = (  # type: ignore[valid-type]
        Field([], description="Only insights of this severity. Repeat it for several.")
    )
    detector: Annotated[list[str], BeforeValidator(_as_list), Field(max_length=100)] = Field(
        [], description="Only what this detector finds, see `GET /v1/insight-detectors`. Repeat it for several."
    )


class InsightAccountParameters(_MomentParameters):
    """The parameters of the accounts of an insight."""


async def list_insights(books: Books, parameters: InsightParameters) -> Answer:
    """Return a page of insights, all of it from one snapshot. Raises Invalid."""
    detectors = _choose_detectors(parameters.detector)
    moment = await load_moment(books, parameters.as_of)

    async def load(connection: Connection) -> tuple[Insights, Sequence[Insight], str | None, dict[Any, str]]:
        result = await find_insights(connection, books, moment, detectors)
        chosen = [
            own for own in result.insights if not parameters.severity or own.finding.severity in parameters.severity
        ]
        page, next_cursor = paginate(chosen, limit=parameters.page_rows, cursor=parameters.cursor)
        keys = {part.account for insight in page for part in _first_accounts(insight)}
        return result, page, next_cursor, await load_account_ids(connection, keys)

    result, page, next_cursor, ids = await books.database.ask(load)
    counts = Counter(insight.finding.severity for insight in result.insights)
    question = {
        "as_of": parameters.as_of,
        "severity": parameters.severity or None,
        "detector": parameters.detector or None,
    }
    body = {
        "question": _without_empty(question),
        "summary": {severity: counts[severity] for severity in SEVERITIES},
        "small_samples": result.small_samples,
        "rows": [_insight_json(insight, ids, parameters.as_of) for insight in page],
        "next": next_cursor,
    } | _knowledge_members(result)
    return Answer("insights", body, _COLUMNS)


def _choose_detectors(names: Sequence[str]) -> list[Detector]:
    faults = [
        name_fault(
            "/query/detector",
            "Unknown detector{}.",
            name,
            nearest_names(name, DETECTORS),
            code="unknown_detector",
            advice="GET /v1/insight-detectors lists all detectors.",
        )
        for name in dict.fromkeys(names)
        if name not in DETECTORS
    ]
    if faults:
        raise Invalid.of(faults)
    return [DETECTORS[name] for name in sorted(set(names) or DETECTORS)]


def _first_accounts(insight: Insight) -> Sequence[AccountDetail]:
    return insight.finding.accounts[:_FIRST_ACCOUNTS]


def _insight_json(insight: Insight, ids: Mapping[Any, str], as_of: date | None) -> dict[str, Any]:
    detector, finding = insight.detector, insight.finding
    accounts = [_account_json(part, ids) for part in _first_accounts(insight)]
    question, link = finding.question, None
    if accounts:
        query = "" if as_of is None else f"?as_of={as_of}"
        link = f"/v1/insights/{quote(insight.id, safe='')}/accounts{query}"
    if finding.narrows_question:
        question += "&" + urlencode([("account", own["account"]) for own in accounts])
    return {
        "id": insight.id,
        "detector": detector.name,
        "severity": finding.severity,
        "title": detector.title,
        "sentence": finding.sentence,
        "confidence": insight.confidence,
        "sample_size": finding.sample_size,
        "subject": finding.subject,
        "period": finding.period.name,
        "start": finding.period.start,
        "end": finding.period.end,
        "question": question,
        "accounts": {"count": len(finding.accounts), "first": accounts, "link": link},
        "advice": detector.advice,
    }


def _account_json(part: AccountDetail, ids: Mapping[Any, str]) -> dict[str, Any]:
    return {"account": ids[part.account], "detail": part.detail}


def _without_empty(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _knowledge_members(result: Insights) -> dict[str, Any]:
    return {} if result.is_known else {"reason": NOTHING_KNOWN.reason}


class _AccountRow(NamedTuple):
    """An account of an insight, with its place for the cursor."""

    part: AccountDetail

    @property
    def name(self) -> str:
        return str(self.part.account)


async def list_insight_accounts(books: Books, insight_id: str, parameters: InsightAccountParameters) -> Answer:
    """Return a page of the accounts of an insight; none while it does not fire. Raises NotFound and Invalid."""
    detector = detector_of(insight_id)
    moment = await load_moment(books, parameters.as_of)

    async def load(connection: Connection) -> tuple[Insights, Sequence[_AccountRow], str | None, dict[Any, str]]:
        result = await find_insights(connection, books, moment, [detector])
        parts = [part for insight in result.insights if insight.id == insight_id for part in insight.finding.accounts]
        page, next_cursor = paginate([*map(_AccountRow, parts)], limit=parameters.page_rows, cursor=parameters.cursor)
        return result, page, next_cursor, await load_account_ids(connection, {own.part.account for own in page})

    result, page, next_cursor, ids = await books.database.ask(load)
    rows = [_account_json(own.part, ids) for own in page]
    question = _without_empty({"insight": insight_id, "as_of": parameters.as_of})
    body = {"question": question, "rows": rows, "next": next_cursor} | _knowledge_members(result)
    return Answer("insight-accounts", body, columns(_ACCOUNT_SCHEMA))
