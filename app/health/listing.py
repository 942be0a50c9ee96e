"""The health of all accounts on a day, the worst first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from app.accounts.all_accounts import load_ids
from app.books.books import Books
from app.core.aside import run_aside
from app.core.ids import MAX_ID_LENGTH, RepeatedIds, check_text, normalize_id
from app.core.periods import Day
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.health.accounts import HealthScope, find_accounts, resolve_scope
from app.health.answers import check_account_count, format_score, health_members, money_text
from app.health.flags import flag_finder
from app.health.list_details import AccountActivity, AccountChanges, earlier_day, load_activity, load_changes
from app.health.list_search import load_names, search_accounts
from app.health.model import BANDS
from app.health.overrides import Override, load_overrides
from app.health.schemas import HEALTH_COLUMNS, HEALTH_DETAIL_COLUMNS
from app.health.scores import MAX_SCORE, DayScores, score_days
from app.health.versions import load_versions, version_on
from app.http.chart_formats import ChartParameters
from app.http.row_parameters import RowParameters, split_list
from app.http.tables import Answer
from app.metrics.results import NOTHING_KNOWN
from app.metrics.rows import Row, paginate, round_number, row_name

_ORDERS = tuple(
    f"{sign}{name}" for name in ("score", "mrr", "name", "score_change", "mrr_change") for sign in ("", "-")
)
# Accounts that a filter selects are looked at alone if they are few.
_FEW_ACCOUNTS = 2_000


def _strip(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _normalize(text: str | None) -> str | None:
    return None if text is None else check_text(normalize_id(text))


def _split(value: Any) -> Any:
    return split_list(value)


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
    q: Annotated[str | None, BeforeValidator(_strip), AfterValidator(_normalize)] = Field(
        None,
        min_length=1,
        max_length=MAX_ID_LENGTH,
        description="Only accounts with this text in their id, or in their name at the end of the day, in small or capital "
        "letters.",
    )
    band: Annotated[list[Literal["critical", "at_risk", "healthy", "none"]], BeforeValidator(_split)] = Field(
        [],
        max_length=4,
        description="Only scores of these bands; `none` are accounts without a score. Separate several by commas or repeat the "
        "parameter.",
    )
    flag: Literal["usage_and_revenue_disagree", "went_silent"] | None = Field(
        None, description="Only accounts with this flag."
    )
    accounts: Literal["customers", "all"] = Field(
        "customers",
        description="`customers`: accounts with MRR above zero at the end of the day. `all`: all with any data.",
    )
    order: Literal[_ORDERS] = Field(  # type: ignore[valid-type]
        "score",
        description="`score`: the worst first. `mrr`, `score_change`, `mrr_change`: from the smallest. `name`: in the order "
        "of the names, or ids of accounts without one. With `-` the other way round. Accounts without a score, or without "
        "a change of it, come last; equal ones in the order of their ids.",
    )
    include: Annotated[list[Literal["change", "activity"]], BeforeValidator(_split)] = Field(
        [],
        max_length=2,
        description="Further members of the rows. `change`: by what score and MRR differ from those of an earlier day. "
        "`activity`: the active users of the last 28 days, and the last day with one.",
    )
    change_days: int = Field(
        30, ge=1, le=366, description="How many days before the earlier day is, with which `change` compares."
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
    """An account of the list: the position of its scores, its key and id, and the name that people call it, if any."""

    position: int
    key: int
    id: str
    label: str | None

    @property
    def name(self) -> str:
        return row_name(self.id)


class HealthTable(NamedTuple):
    """The health of the accounts that are selected, before it is narrowed to bands and flags.

    accounts: in the order of the scores. changes, activity: None where they were not asked for.
    """

    scope: HealthScope
    scores: DayScores
    overrides: dict[int, Override]
    accounts: Sequence[_Account]
    currency: str
    changes: AccountChanges | None
    activity: AccountActivity | None

    def rows(self, accounts: Iterable[_Account]) -> Iterator[Row]:
        """Yield the rows of some of the accounts, each computed as it is taken."""
        accounts = list(accounts)
        for own, row in zip(accounts, _rows(self.scores, accounts, self.overrides, self.currency), strict=True):
            details = self.changes.members(own.key, self.currency) if self.changes else {}
            yield row | details | (self.activity.members(own.key) if self.activity else {})


async def list_health(books: Books, parameters: HealthParameters) -> Answer:
    """Return the answer, with a page of accounts.

    Raises Invalid for invalid parameters and for too many accounts.
    """
    table = await load_health_table(books, parameters)
    scores = table.scores
    limit = parameters.page_size(parameters.limit, default=1_000)

    def build() -> dict[str, Any]:
        bands = _summarize(scores, table.accounts, books.currency)
        accounts = _sort(filter(_condition(scores, parameters), table.accounts), table, parameters.order)
        page, cursor = paginate(accounts, limit=limit, cursor=parameters.cursor)
        rows = list(table.rows(page))
        return _answer(table.scope, scores, parameters) | {"bands": bands, "accounts": rows, "next": cursor}

    body = await run_aside(build, items=len(scores.accounts))
    columns = [*HEALTH_COLUMNS, *(own for name, own in HEALTH_DETAIL_COLUMNS if name in parameters.include)]
    return Answer("health", body, columns, rows_name="accounts", row_count=len(body["accounts"]))


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

    table, selection = await books.database.ask(lambda connection: _load_table(connection, books, parameters, scope))
    if selection is None:
        return table

    def narrow() -> HealthTable:
        return table._replace(accounts=[own for own in table.accounts if own.key in selection])

    return await run_aside(narrow, items=len(table.accounts))


async def _load_table(
    connection: Connection, books: Books, parameters: HealthParameters, scope: HealthScope
) -> tuple[HealthTable, set[int] | None]:
    """Return the health of all accounts that may be selected, and which of them are; None for all."""
    versions = await run_plan(connection, load_versions())
    has_changes = "change" in parameters.include or parameters.order.endswith("_change")
    earlier = earlier_day(scope.at, parameters.change_days) if has_changes else None
    days = [scope.at, *([earlier] if earlier else [])]
    models = [version_on(versions, at.day, at.as_of).model for at in days]
    await check_account_count(connection, books, models)
    selection = await run_plan(connection, find_accounts(scope))
    if parameters.q is not None:
        matches = await run_plan(connection, search_accounts(parameters.q, scope.at))
        selection = matches if selection is None else selection & matches
    few = sorted(selection) if selection is not None and len(selection) <= _FEW_ACCOUNTS else None
    only_customers = parameters.accounts == "customers"
    plans: list[QueryPlan[Any]] = [
        score_days(versions, [scope.at], accounts=few, only_customers=only_customers),
        load_overrides(books, scope.at, few),
    ]
    (scores,), overrides = await run_plan(connection, merge_plans(plans), items=models[0].items)
    changes = activity = None
    if earlier:
        changes = await run_plan(connection, load_changes(scores, versions, earlier, few), items=models[1].items)
    if "activity" in parameters.include:
        activity = await run_plan(connection, load_activity(scope.at, few))
    ids, names = await run_plan(
        connection, merge_plans([load_ids(scores.accounts), load_names(scores.accounts, scope.at)])
    )
    accounts = [_Account(index, key, ids[key], names.get(key)) for index, key in enumerate(scores.accounts)]
    return HealthTable(scope, scores, overrides, accounts, books.currency, changes, activity), selection


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


def _sort(accounts: Iterable[_Account], table: HealthTable, order: str) -> list[_Account]:
    if not order.endswith("name"):
        return sorted(accounts, key=_sort_key(table, order))
    by_id = sorted(accounts, key=lambda own: own.id)
    return sorted(by_id, key=lambda own: (own.label or own.id).casefold(), reverse=order.startswith("-"))


def _sort_key(table: HealthTable, order: str) -> Callable[[_Account], Any]:
    scores, changes = table.scores, table.changes
    sign = -1 if order.startswith("-") else 1
    name = order.removeprefix("-")
    if name == "mrr":
        return lambda own: (sign * scores.mrr[own.position], own.id)
    if name == "mrr_change" and changes:
        return lambda own: (sign * changes.mrr[own.key], own.id)

    def key(own: _Account) -> Any:
        value = changes.scores[own.key] if name == "score_change" and changes else scores.scores[own.position]
        return (value is None, sign * (value or 0), own.id)

    return key


def _rows(
    scores: DayScores, accounts: Iterable[_Account], overrides: dict[int, Override], currency: str
) -> Iterator[Row]:
    flags_of, weakest_of = flag_finder(scores), _weakest_finder(scores)
    for own in accounts:
        yield (
            {"account": own.id, "name": own.label}
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
