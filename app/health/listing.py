"""The health of all accounts on a day, the worst first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from app.accounts.all_accounts import load_ids
from app.books.books import Books
from app.core.aside import run_aside
from app.core.ids import RepeatedIds
from app.core.periods import Day
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.health.accounts import HealthScope, find_accounts, resolve_scope
from app.health.answers import check_account_count, format_score, health_members, money_text
from app.health.flags import flag_finder
from app.health.model import BANDS
from app.health.overrides import Override, load_overrides
from app.health.schemas import HEALTH_COLUMNS
from app.health.scores import MAX_SCORE, DayScores, score_days
from app.health.versions import load_versions, version_on
from app.http.chart_formats import ChartParameters
from app.http.row_parameters import RowParameters
from app.http.tables import Answer
from app.metrics.results import NOTHING_KNOWN
from app.metrics.rows import Row, paginate, round_number, row_name

# Accounts that a filter selects are looked at alone if they are few.
_FEW_ACCOUNTS = 2_000


class HealthParameters(ChartParameters, RowParameters):
    """Parameters of the list of all accounts' health."""

    filter: Annotated[
        str | None,
        Field(
            max_length=4_000,
            description="Only accounts whose attributes, as they are at the end of the day, satisfy a condition.",
        ),
    ] = None
    segment: RepeatedIds = Field(
        [], description="Only accounts in one of these stored segments. Repeat it for several."
    )
    band: list[Literal["critical", "at_risk", "healthy", "none"]] = Field(
        [],
        max_length=4,
        description="Only scores of these bands; `none` are accounts without a score. Repeat it for several.",
    )
    flag: Literal["usage_and_revenue_disagree", "went_silent"] | None = Field(
        None, description="Only accounts with this flag."
    )
    accounts: Literal["customers", "all"] = Field(
        "customers",
        description="`customers`: accounts with MRR above zero at the end of the day. `all`: all with any data.",
    )
    order: Literal["score", "-score", "mrr", "-mrr"] = Field(
        "score",
        description="`score`: the worst first. `-score`: the best first. `mrr`, `-mrr`: by MRR, from the smallest or the "
        "largest. Accounts without a score come last by score, equal ones in the order of their ids.",
    )
    as_of: Day | None = Field(
        None, description="As it was on this day and as it was known at its end (YYYY-MM-DD). Default: today."
    )
    strict: bool = Field(
        True,
        description="Whether attributes in `filter` that no account has ever had are errors. With `false` they are empty.",
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=50_000,
        description="The number of accounts on a page. Default: 1,000 in JSON; files have all accounts.",
    )
    cursor: Annotated[str | None, Field(max_length=4_000, description="The `next` of a page: the page after it.")] = (
        None
    )


class _Account(NamedTuple):
    """An account of the list: the position of its scores, and its id."""

    position: int
    id: str

    @property
    def name(self) -> str:
        return row_name(self.id)


class HealthTable(NamedTuple):
    """The health of the accounts that are selected, before it is narrowed to bands and flags.

    accounts: in the order of the scores.
    """

    scope: HealthScope
    scores: DayScores
    overrides: dict[int, Override]
    accounts: Sequence[_Account]
    currency: str

    def rows(self, accounts: Iterable[_Account]) -> Iterator[Row]:
        """Yield the rows of some of the accounts, each computed as it is taken."""
        return _rows(self.scores, accounts, self.overrides, self.currency)


async def list_health(books: Books, parameters: HealthParameters) -> Answer:
    """Return the answer, with a page of accounts.

    Raises Invalid for invalid parameters and for too many accounts.
    """
    table = await load_health_table(books, parameters)
    scores = table.scores
    limit = parameters.page_size(parameters.limit, default=1_000)

    def build() -> dict[str, Any]:
        bands = _summarize(scores, table.accounts, books.currency)
        accounts = sorted(
            filter(_condition(scores, parameters), table.accounts), key=_sort_key(scores, parameters.order)
        )
        page, cursor = paginate(accounts, limit=limit, cursor=parameters.cursor)
        rows = list(table.rows(page))
        return _answer(table.scope, scores, parameters) | {"bands": bands, "accounts": rows, "next": cursor}

    body = await run_aside(build, items=len(scores.accounts))
    return Answer("health", body, HEALTH_COLUMNS, rows_name="accounts", row_count=len(body["accounts"]))


async def load_health_table(books: Books, parameters: HealthParameters) -> HealthTable:
    """Return the health of the accounts that the parameters select.

    Raises Invalid for invalid parameters and for too many accounts.
    """
    scope = await resolve_scope(
        books,
        as_of=parameters.as_of,
        filter=parameters.filter,
        segment=parameters.segment,
        strict=parameters.strict,
    )

    async def load(connection: Connection) -> tuple[DayScores, dict[int, Override], set[int] | None, dict[int, str]]:
        versions = await run_plan(connection, load_versions())
        model = version_on(versions, scope.at.day, scope.at.as_of).model
        await check_account_count(connection, books, [model])
        selection = await run_plan(connection, find_accounts(scope))
        few = sorted(selection) if selection is not None and len(selection) <= _FEW_ACCOUNTS else None
        only_customers = parameters.accounts == "customers"
        plans: list[QueryPlan[Any]] = [
            score_days(versions, [scope.at], accounts=few, only_customers=only_customers),
            load_overrides(books, scope.at, few),
        ]
        (scores,), overrides = await run_plan(connection, merge_plans(plans), items=model.items)
        return scores, overrides, selection, await run_plan(connection, load_ids(scores.accounts))

    scores, overrides, selection, ids = await books.database.ask(load)

    def build() -> HealthTable:
        accounts = [_Account(index, ids[key]) for index, key in enumerate(scores.accounts)]
        if selection is not None:
            accounts = [own for own in accounts if scores.accounts[own.position] in selection]
        return HealthTable(scope, scores, overrides, accounts, books.currency)

    return await run_aside(build, items=len(scores.accounts))


def _answer(scope: HealthScope, scores: DayScores, parameters: HealthParameters) -> dict[str, Any]:
    unknown = {} if scope.is_known else {"reason": NOTHING_KNOWN.reason}
    return {"as_of": scope.at.day, "model_version": scores.version.number} | unknown


def _summarize(scores: DayScores, accounts: Sequence[_Account], currency: str) -> list[dict[str, Any]]:
    """Return the number of accounts and their MRR by band, before the list is narrowed to bands and flags."""
    counts: dict[str | None, list[int]] = {band: [0, 0] for band in (*BANDS, None)}
    for own in accounts:
        sums = counts[scores.band(own.position)]
        sums[0] += 1
        sums[1] += scores.mrr[own.position]
    return [
        {"band": band, "accounts": count, "mrr": money_text(mrr, currency)} for band, (count, mrr) in counts.items()
    ]


def _condition(scores: DayScores, parameters: HealthParameters) -> Callable[[_Account], bool]:
    """Return whether an account is in the list."""
    bands = {None if band == "none" else band for band in parameters.band}
    flags_of = flag_finder(scores)

    def is_listed(own: _Account) -> bool:
        if bands and scores.band(own.position) not in bands:
            return False
        return parameters.flag is None or parameters.flag in flags_of(own.position)

    return is_listed


def _sort_key(scores: DayScores, order: str) -> Callable[[_Account], Any]:
    sign = -1 if order.startswith("-") else 1
    if order.endswith("mrr"):
        return lambda own: (sign * scores.mrr[own.position], own.id)

    def key(own: _Account) -> Any:
        score = scores.scores[own.position]
        return (score is None, sign * (score or 0), own.id)

    return key


def _rows(
    scores: DayScores, accounts: Iterable[_Account], overrides: dict[int, Override], currency: str
) -> Iterator[Row]:
    flags_of, weakest_of = flag_finder(scores), _weakest_finder(scores)
    for own in accounts:
        yield (
            {"account": own.id}
            | health_members(scores, own.position, overrides.get(scores.accounts[own.position]), flags_of(own.position))
            | {
                "customer": scores.customers[own.position],
                "mrr": money_text(scores.mrr[own.position], currency),
                "weakest": weakest_of(own.position),
            }
        )


def _weakest_finder(scores: DayScores) -> Callable[[int], dict[str, Any] | None]:
    """Return the function of the component that costs an account most points; None where none does."""
    components = scores.version.model.components
    columns = [scores.components[component.id] for component in components]
    fixed_members = [{"component": own.id, "title": own.name, "unit": own.unit} for own in components]

    def find_weakest(index: int) -> dict[str, Any] | None:
        shares, whole, _ = scores.shares[index]
        weakest, largest = None, 0
        for number, column in enumerate(columns):
            score = column.scores[index]
            if score is not None and (loss := shares[number] * (MAX_SCORE - score)) > largest:
                weakest, largest = number, loss
        if weakest is None:
            return None
        return fixed_members[weakest] | {
            "value": round_number(columns[weakest].values[index]),
            "score": format_score(columns[weakest].scores[index]),
            "points_lost": format_score((2 * largest + whole) // (2 * whole)),
        }

    return find_weakest
