"""The scores of accounts on days, as they were known on days: computed, never stored.

A score is a whole number of hundredths of a point, from 0 to 10,000, so that contributions add up to it exactly. Nothing here
knows about HTTP; the list, the card, the metric `health_score` and the back-test all get their numbers from `load_scores`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from app.books.books import Books
from app.database.query_plan import QueryPlan


class HealthDay(NamedTuple):
    """A day of which scores are wanted: the window of the model ends with `day` (inclusive), and what was recorded by the end of
    `as_of` counts. as_of: None for everything that is recorded by now."""

    day: date
    as_of: date | None


class ComponentScores(NamedTuple):
    """The values and scores of one component, in the order of `DayScores.accounts`. None: no data, the component takes no part."""

    values: Sequence[float | None]
    scores: Sequence[int | None]


class Contribution(NamedTuple):
    """The part of one component in the score of one account.

    weight: its share of the score, after renormalisation and caps, from 0 to 1. contribution: in hundredths of a point; those of
    an account add up to its score exactly.
    """

    component: str
    value: float | None
    score: int | None
    weight: float
    contribution: int


@dataclass(frozen=True, slots=True)
class DayScores:
    """The scores of all accounts on one day. All sequences are in the order of `accounts`.

    version: the version of the model that holds on the day, as far as was known. accounts: keys of accounts (64-bit hashes, see
    `account_key`) with any data. scores: in hundredths of a point; None below the model's `min_coverage`. coverage: the share of
    weight that had data. customers: whether the account was a customer at the end of the day. mrr: in ledger units per year.
    """

    at: HealthDay
    version: Any
    accounts: Sequence[int]
    components: dict[str, ComponentScores]
    scores: Sequence[int | None]
    coverage: Sequence[float]
    customers: Sequence[bool]
    mrr: Sequence[int]

    def contributions(self, index: int) -> list[Contribution]:
        """Return the contributions of all components of the model to the score of the account with that index."""
        raise NotImplementedError

    def band(self, index: int) -> str | None:
        """Return the band of an account's score: `critical`, `at_risk` or `healthy`; None without a score."""
        raise NotImplementedError


def load_scores(
    books: Books, days: Sequence[HealthDay], *, today: date, accounts: Sequence[int] | None = None
) -> QueryPlan[list[DayScores]]:
    """Return the scores on each of the days, in their order, in a number of statements that depends on the models only.

    Several days together cost less than one after the other. What is in memory is a row for each account and day: callers ask for
    at most `MAX_ACCOUNT_DAYS` at once (see `batches_of_days`). accounts: keys of the accounts to look at; None means all.
    """
    raise NotImplementedError
    yield
