"""Observe the past: the scores of customers at cut-offs, as they were known, beside what followed."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.aside import run_aside
from app.core.errors import Invalid
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.health.backtest.cut_offs import CutOff, CutOffCustomers, Extent, load_customers, load_extent
from app.health.backtest.question import BacktestQuestion
from app.health.scores import DayScores, batches_of_days, score_days
from app.health.versions import ModelVersion, load_versions, version_on
from app.ledger.sums.account_sums import KnownDay

# Of all accounts and all cut-offs; scoring them takes half a minute.
MAX_ACCOUNT_CUT_OFFS = 250_000
# A batch is a third of what may be scored together: each has the time limit of a question, also on a busy machine.
_BATCHES = 3
# So many parts of accounts need models of ten components or less.
_USUAL_PARTS = 40


class Plan(NamedTuple):
    """What a back-test has to observe.

    customers: of the cut-offs whose horizon is closed. versions: those of the model by which scores are computed. all_versions:
    all that there are. accounts: the number of all accounts. observed_until: the last day on which it is known who churned.
    """

    customers: Mapping[CutOff, CutOffCustomers]
    versions: Sequence[ModelVersion]
    all_versions: Sequence[ModelVersion]
    accounts: int
    observed_until: date

    @property
    def usable(self) -> list[CutOff]:
        """The cut-offs that can be used, in their order."""
        return [cut_off for cut_off, own in self.customers.items() if own.reason is None]


class ScoredAccount(NamedTuple):
    """A customer at a cut-off. score: in hundredths of a point; None without enough data, as is `band`."""

    account: int
    score: int | None
    band: str | None
    coverage: float
    has_outcome: bool
    is_cancellation_known: bool


class CutOffScores(NamedTuple):
    """The customers of one cut-off, with the version of the model that made the scores."""

    cut_off: CutOff
    version: ModelVersion
    accounts: Sequence[ScoredAccount]


async def plan_backtest(books: Books, question: BacktestQuestion) -> Plan:
    """Return what is to be observed. Raises Invalid for a back-test of too many accounts."""

    def load() -> QueryPlan[tuple[Extent, list[ModelVersion], dict[CutOff, CutOffCustomers]]]:
        # What is recorded after that day must not change the answer as of it.
        extent = yield from load_extent(question.last_day if question.last_day < question.today else None)
        until = question.observed_until(extent.last_recorded_on)
        cut_offs = [own for own in question.cut_offs if question.is_known and own.until <= until]
        outcome, recorded_by = question.outcome, question.last_day
        plans: list[QueryPlan[Any]] = [
            load_versions(),
            load_customers(
                books.database, cut_offs, outcome=outcome, recorded_by=recorded_by, limit=MAX_ACCOUNT_CUT_OFFS
            ),
        ]
        versions, customers = yield from merge_plans(plans)
        return extent, versions, dict(zip(cut_offs, customers, strict=True))

    extent, versions, customers = await books.database.ask(lambda connection: run_plan(connection, load()))
    used_versions = versions
    if question.model == "current":
        holding = version_on(versions, question.last_day, question.as_of)
        used_versions = [holding.always()]
    until = question.observed_until(extent.last_recorded_on)
    plan = Plan(customers, used_versions, versions, extent.accounts, until)
    _check_size(plan)
    # The customers of all cut-offs are in memory until the answer is written.
    await books.database.reserve_memory(plan.accounts * len(plan.usable))
    return plan


def _check_size(plan: Plan) -> None:
    count = plan.accounts * len(plan.usable)
    if count > MAX_ACCOUNT_CUT_OFFS:
        longest = max(1, MAX_ACCOUNT_CUT_OFFS // plan.accounts)
        detail = (
            f"There are {plan.accounts:,} accounts, so {len(plan.usable)} months are too many for one back-test: they need "
            f"{count:,} scores, and at most {MAX_ACCOUNT_CUT_OFFS:,} are computed at once. Test {longest} months at a time."
        )
        raise Invalid.at("/query/period", detail, code="too_many_rows")


async def observe(books: Books, plan: Plan, cut_offs: Sequence[CutOff]) -> AsyncIterator[CutOffScores]:
    """Yield the customers of each cut-off. A few cut-offs at a time are a question of their own, so that others get their turn.

    What was known at the end of a past day never changes, so the questions need not see the same moment.
    """
    by_day = {cut_off.day: cut_off for cut_off in cut_offs}
    days = [KnownDay(day, day) for day in by_day]
    # Of the model that comes with the service, a batch is no large answer.
    weight = max(1, max(len(version.model.parts()) for version in plan.versions) // _USUAL_PARTS)
    for batch in batches_of_days(days, accounts=_BATCHES * plan.accounts):

        async def load(connection: Connection, days: Sequence[KnownDay] = batch) -> list[DayScores]:
            return await run_plan(connection, score_days(plan.versions, days, only_customers=True))

        await books.database.reserve_memory(plan.accounts * len(batch) * weight)
        for scores in await books.database.ask(load):
            cut_off = by_day[scores.at.day]
            work = partial(_list_accounts, scores, plan.customers[cut_off])
            yield CutOffScores(cut_off, scores.version, await run_aside(work, items=len(scores.accounts)))


def _list_accounts(scores: DayScores, customers: CutOffCustomers) -> list[ScoredAccount]:
    """Return the customers of a cut-off in the order of their keys."""
    return list(_scored_accounts(scores, customers))


def _scored_accounts(scores: DayScores, customers: CutOffCustomers) -> Iterator[ScoredAccount]:
    # Accounts with the same score are in the same band.
    bands: dict[int | None, str | None] = {}
    positions = {account: index for index, account in enumerate(scores.accounts)}
    for account in sorted(customers.observable.keys() | customers.cancellation_known.keys()):
        is_cancellation_known = account in customers.cancellation_known
        has_outcome = (customers.cancellation_known if is_cancellation_known else customers.observable)[account]
        if (index := positions.get(account)) is None:
            yield ScoredAccount(account, None, None, 0.0, has_outcome, is_cancellation_known)
            continue
        score = scores.scores[index]
        if score not in bands:
            bands[score] = scores.band(index)
        yield ScoredAccount(
            account, score, bands[score], float(scores.shares[index].coverage), has_outcome, is_cancellation_known
        )
