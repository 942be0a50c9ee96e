"""The scores of accounts on days, as they were known on days: computed, never stored.

A score is a whole number of hundredths of a point, from 0 to 10,000, so that contributions add up to it exactly. The list, the
card, the metric `health_score` and the back-test all get their numbers from `load_scores`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress
from typing import Any, NamedTuple

from app.accounts.all_accounts import COUNT_ACCOUNTS
from app.books.margins import Margin
from app.core.errors import Invalid
from app.database.query_plan import QueryPlan, merge_plans
from app.database.statements import BoundStatement, Statement
from app.health.kinds import WHOLE, Component, Surroundings, by_row
from app.health.membership import find_segments
from app.health.model import HealthModel
from app.health.shares import Shares, contributions, find_shares, weighted_score
from app.health.versions import ModelVersion, load_versions, version_on
from app.ledger.sums.account_operands import Narrowing, sum_before
from app.ledger.sums.account_sums import (
    AccountSumsRequest,
    AccountTable,
    DayBound,
    KnownDay,
    Part,
    load_account_sums,
)

# Scores are in hundredths of a point.
MAX_SCORE = 10_000
# A row for each account and day is in memory at once.
MAX_ACCOUNT_DAYS = 60_000
# So many sums of accounts are loaded at once, which takes some 200 MB; more only for a single day, up to the second limit.
_MAX_SUMS_AT_ONCE = 2_000_000
_MAX_SUMS = 6_000_000

_CUSTOMERS = sum_before("customers", DayBound(0), Narrowing())
_MRR = sum_before("mrr", DayBound(0), Narrowing())
_LABELS = Statement("SELECT text, key FROM label WHERE text = ANY(%(texts)s)")
_MARGINS = Statement("SELECT valid_from, margin FROM gross_margin ORDER BY valid_from")


class ComponentScores(NamedTuple):
    """The values and scores of one component, in the order of `DayScores.accounts`. None: no data, it takes no part.

    factors: the percentage of its weight that it has; None where that is always 100.
    """

    values: Sequence[float | None]
    scores: Sequence[int | None]
    factors: Sequence[int] | None = None

    def part(self, own: slice) -> "ComponentScores":
        """Return those of some accounts."""
        return ComponentScores(self.values[own], self.scores[own], None if self.factors is None else self.factors[own])


class Contribution(NamedTuple):
    """The part of one component in the score of one account.

    score: in hundredths of a point. share: of the score, after renormalisation and caps; the shares of all components add up to
    1. contribution: in hundredths of a point; those of all components add up to the score.
    """

    component: Component
    value: float | None
    score: int | None
    share: Fraction
    contribution: int


@dataclass(frozen=True, slots=True)
class DayScores:
    """The scores of all accounts on one day. All sequences are in the order of `accounts`.

    at: the day with which the window of the model ends, as known on a day. version: of the model, that holds on the day as far
    as was known. accounts: keys of accounts (see `account_key`) with any data. segments: the index in the model's
    `segment_weights` that decides about each account, None for none. scores: in hundredths of a point; None below the model's
    `min_coverage`. shares: of the components in it, also where it is withheld. customers: whether the account was a customer at
    the end of the day. mrr: at the end of the day, in ledger units per year.
    """

    at: KnownDay
    version: ModelVersion
    accounts: Sequence[int]
    components: dict[str, ComponentScores]
    segments: Sequence[int | None]
    shares: Sequence[Shares]
    scores: Sequence[int | None]
    customers: Sequence[bool]
    mrr: Sequence[int]

    def band(self, index: int) -> str | None:
        """Return the band of an account's score; None without a score."""
        return self.version.model.band(self.scores[index])

    @property
    def coverage(self) -> list[float]:
        """The share of weight that has data, of each account."""
        return [float(shares.coverage) for shares in self.shares]

    def contributions(self, index: int) -> list[Contribution]:
        """Return the contributions of all components of the model, in its order; 0 where the score is withheld."""
        own = [self.components[component.id] for component in self.version.model.components]
        shares = self.shares[index]
        scores = [column.scores[index] for column in own]
        is_withheld = self.scores[index] is None
        parts = [0] * len(own) if is_withheld else contributions(shares, [score or 0 for score in scores])
        return [
            Contribution(component, column.values[index], score, Fraction(share, shares.whole), part)
            for component, column, score, share, part in zip(
                self.version.model.components, own, scores, shares.shares, parts, strict=True
            )
        ]


def load_scores(
    days: Sequence[KnownDay], *, accounts: Sequence[int] | None = None, only_customers: bool = False
) -> QueryPlan[list[DayScores]]:
    """Return the scores on each of the days, in their order, in a number of statements that depends on the models only.

    Several days together cost less than one after the other. Callers ask for at most MAX_ACCOUNT_DAYS at once, see
    `batches_of_days`. accounts: keys of the accounts to look at; None means all. only_customers: leave out accounts that are no
    customers at the end of the day.
    """
    versions = yield from load_versions()
    return (yield from score_days(versions, days, accounts=accounts, only_customers=only_customers))


def batches_of_days(days: Sequence[KnownDay], *, accounts: int) -> Iterator[Sequence[KnownDay]]:
    """Yield days in lists that may be scored together. accounts: an upper bound of the number of accounts."""
    size = max(1, MAX_ACCOUNT_DAYS // max(1, accounts))
    return (days[first : first + size] for first in range(0, len(days), size))


def score_days(
    versions: Sequence[ModelVersion],
    days: Sequence[KnownDay],
    *,
    accounts: Sequence[int] | None = None,
    only_customers: bool = False,
) -> QueryPlan[list[DayScores]]:
    """Return the scores on each of the days by those versions of the model; see `load_scores`."""
    days_by_version: dict[int, list[int]] = {}
    for index, at in enumerate(days):
        number = version_on(versions, at.day, at.as_of).number
        days_by_version.setdefault(number, []).append(index)
    by_number = {version.number: version for version in versions}
    plans = [
        _score_alike(by_number[number], [days[index] for index in indices], accounts, only_customers)
        for number, indices in days_by_version.items()
    ]
    if accounts is None:
        # One after the other: what is loaded of all accounts for one version is no longer in memory for the next.
        results = []
        for plan in plans:
            results.append((yield from plan))
    else:
        results = yield from merge_plans(plans)
    scores = {
        index: own
        for indices, alike in zip(days_by_version.values(), results, strict=True)
        for index, own in zip(indices, alike, strict=True)
    }
    return [scores[index] for index in range(len(days))]


def _score_alike(
    version: ModelVersion,
    days: Sequence[KnownDay],
    accounts: Sequence[int] | None,
    only_customers: bool,
) -> QueryPlan[list[DayScores]]:
    """Return the scores on days on which the same version holds, of as many at once as may be in memory."""
    parts = [*dict.fromkeys([*_CUSTOMERS.parts, *_MRR.parts, *version.model.parts()])]
    texts = frozenset[str]().union(*(part.label_texts for part in parts))
    statements = [BoundStatement(_LABELS, {"texts": sorted(texts)})]
    most_accounts = _MAX_SUMS // len(parts)
    if accounts is None:
        statements.append(BoundStatement(COUNT_ACCOUNTS, {"limit": most_accounts + 1}))
    rows, *counts = yield statements
    count = len(accounts) if accounts is not None else counts[0][0][0]
    if count > most_accounts:
        detail = (
            f"The health model needs {len(parts)} sums of each account. Of so many, at most {most_accounts:,} accounts can be "
            "looked at together. Ask for single accounts, /v1/accounts/{id}/health, or choose a smaller model."
        )
        raise Invalid(detail, code="too_many_rows")
    size = max(1, _MAX_SUMS_AT_ONCE // (len(parts) * max(1, count)))
    labels: dict[str, int] = dict(rows)
    scores: list[DayScores] = []
    for first in range(0, len(days), size):
        request = AccountSumsRequest(days[first : first + size], labels, accounts)
        scores += yield from _score_together(version, parts, request, only_customers)
    return scores


def _score_together(
    version: ModelVersion, parts: Sequence[Part], request: AccountSumsRequest, only_customers: bool
) -> QueryPlan[list[DayScores]]:
    """Return the scores on the days of a request. parts: all that the model needs."""
    model, days, accounts = version.model, request.days, request.accounts
    plans: list[QueryPlan[Any]] = [load_account_sums(parts, request), _load_margins()]
    plans += [find_segments(model, at, accounts) for at in days] if model.segment_weights else []
    table, margins, *segments = yield from merge_plans(plans)
    table = _only_customers(table) if only_customers else table
    return _score(version, days, table, margins, segments or [{}] * len(days))


def _load_margins() -> QueryPlan[list[Margin]]:
    (rows,) = yield [BoundStatement(_MARGINS, {})]
    return [Margin(*row) for row in rows]


def _only_customers(table: AccountTable) -> AccountTable:
    customers = _CUSTOMERS.compute(table.columns)
    if all(customers):
        return table
    columns = {part: list(compress(column, customers)) for part, column in table.columns.items()}
    return AccountTable(list(compress(table.keys, customers)), columns)


def _score(
    version: ModelVersion,
    days: Sequence[KnownDay],
    table: AccountTable,
    margins: Sequence[Margin],
    segments_of_days: Sequence[dict[int, int]],
) -> list[DayScores]:
    """Return the scores of each day. All days are computed together, and divided at the end."""
    model = version.model
    counts = Counter(index for index, _ in table.keys)
    surroundings = Surroundings(table.columns, [(at, counts[index]) for index, at in enumerate(days)], margins)
    accounts = [account for _, account in table.keys]
    segments = [segments_of_days[index].get(account) for index, account in table.keys]
    components = [_score_component(own, model.window_days, surroundings) for own in model.components]
    scores, shares = _combine(model, components, segments)
    customers = [*map(bool, _CUSTOMERS.compute(table.columns))]
    mrr = _MRR.compute(table.columns)
    day_scores = []
    first = 0
    for index, at in enumerate(days):
        own = slice(first, first := first + counts[index])
        day_scores.append(
            DayScores(
                at=at,
                version=version,
                accounts=accounts[own],
                components={
                    component.id: column.part(own)
                    for component, column in zip(model.components, components, strict=True)
                },
                segments=segments[own],
                shares=shares[own],
                scores=scores[own],
                customers=customers[own],
                mrr=mrr[own],
            )
        )
    return day_scores


def _score_component(component: Component, window_days: int, surroundings: Surroundings) -> ComponentScores:
    values, factors = component.values(window_days, surroundings)
    poor, distance = component.poor, component.good - component.poor

    def score(value: float | None) -> int | None:
        """Return the score of a value in hundredths, rounded half up."""
        if value is None:
            return None
        # Binary fractions may be a little below a half that is one in decimals.
        return int(round(min(max((value - poor) / distance, 0.0), 1.0) * MAX_SCORE, 6) + 0.5)

    return ComponentScores(values, by_row(score, [values]), factors)


def _combine(
    model: HealthModel, components: Sequence[ComponentScores], segments: Sequence[int | None]
) -> tuple[list[int | None], list[Shares]]:
    """Return the score of each account, and the shares of the components in it."""
    min_coverage = Fraction(repr(model.min_coverage))
    weights = {segment: model.weights_of(segment) for segment in set(segments)}
    # Most accounts have data of the same components, so there are few different shares.
    cache: dict[Any, tuple[Shares, bool]] = {}
    all_scores: list[int | None] = []
    all_shares: list[Shares] = []
    rows = zip(*(own.scores for own in components), strict=True)
    for segment, factors, own_scores in zip(segments, zip(*map(_factors, components), strict=True), rows, strict=True):
        entry = cache.get((segment, factors))
        if entry is None:
            shares = find_shares(weights[segment], factors, model.weight_rules)
            has_score = shares.coverage >= min_coverage and any(shares.shares)
            entry = cache[segment, factors] = shares, has_score
        shares, has_score = entry
        all_scores.append(weighted_score(shares, [score or 0 for score in own_scores]) if has_score else None)
        all_shares.append(shares)
    return all_scores, all_shares


def _factors(own: ComponentScores) -> Sequence[int]:
    if own.factors is None:
        return [0 if score is None else WHOLE for score in own.scores]
    return [0 if score is None else factor for score, factor in zip(own.scores, own.factors, strict=True)]
