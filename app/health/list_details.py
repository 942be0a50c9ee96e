"""What the list of all accounts can say of each beside its health: changes, and its users."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from app.core.periods import FIRST_DAY
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.health.answers import format_score, money_text
from app.health.components.activity import DaysSinceComponent
from app.health.components.metrics import ValueComponent
from app.health.kinds import Component, Surroundings
from app.health.scores import DayScores, score_days
from app.health.versions import ModelVersion
from app.ledger.sums.account_sums import AccountSumsRequest, KnownDay, load_account_sums

USER_DAYS = 28
_USERS = ValueComponent(id="active_users", metric="active_users", poor=0, good=1, weight=0)
# So many recent days are read at once; others are looked up.
_LAST_DAY = DaysSinceComponent(id="last_day", poor=USER_DAYS, good=0, weight=0)
_COMPONENTS: tuple[Component, ...] = (_USERS, _LAST_DAY)
_LABELS = Statement("SELECT text, key FROM label WHERE text = ANY(%(texts)s)")


class AccountChanges(NamedTuple):
    """What differs from an earlier day: scores, in hundredths of a point, and MRR, in ledger units per year. By account."""

    scores: dict[int, int | None]
    mrr: dict[int, int]

    def members(self, account: int, currency: str) -> dict[str, Any]:
        return {
            "score_change": format_score(self.scores[account]),
            "mrr_change": money_text(self.mrr[account], currency),
        }


class AccountActivity(NamedTuple):
    """The active users of the last 28 days, and the last day with one. By account; without one that has neither."""

    users: dict[int, int]
    last_days: dict[int, date]

    def members(self, account: int) -> dict[str, Any]:
        return {"active_users": self.users.get(account, 0), "last_active_on": self.last_days.get(account)}


def earlier_day(at: KnownDay, days: int) -> KnownDay:
    """Return the day so many days before, as it is known on the same day."""
    return KnownDay(max(FIRST_DAY, at.day - timedelta(days=days)), at.as_of)


def load_changes(
    scores: DayScores, versions: Sequence[ModelVersion], at: KnownDay, accounts: Sequence[int] | None
) -> QueryPlan[AccountChanges]:
    """Return the changes since a day. accounts: those to look at; None for all. An account without data then had no MRR."""
    [earlier] = yield from score_days(versions, [at], accounts=accounts)
    indices = {key: index for index, key in enumerate(earlier.accounts)}
    score_changes: dict[int, int | None] = {}
    mrr_changes: dict[int, int] = {}
    for key, score, mrr in zip(scores.accounts, scores.scores, scores.mrr, strict=True):
        index = indices.get(key)
        before = None if index is None else earlier.scores[index]
        score_changes[key] = None if score is None or before is None else score - before
        mrr_changes[key] = mrr - (0 if index is None else earlier.mrr[index])
    return AccountChanges(score_changes, mrr_changes)


def load_activity(at: KnownDay, accounts: Sequence[int] | None) -> QueryPlan[AccountActivity]:
    """Return the activity of accounts up to the end of a day. accounts: None for all."""
    # The catalogue of metrics is not complete before all modules are loaded.
    parts = [part for component in _COMPONENTS for part in component.parts(USER_DAYS)]
    texts = frozenset[str]().union(*(part.label_texts for part in parts))
    (rows,) = yield [BoundStatement(_LABELS, {"texts": sorted(texts)})]
    table = yield from load_account_sums(parts, AccountSumsRequest([at], dict(rows), accounts))
    surroundings = Surroundings(table.columns, [(at, len(table.keys))])
    users, last_days = (component.values(USER_DAYS, surroundings).values for component in _COMPONENTS)
    keys = [account for _, account in table.keys]
    return AccountActivity(
        {key: int(count or 0) for key, count in zip(keys, users, strict=True)},
        {
            key: at.day - timedelta(days=int(days))
            for key, days in zip(keys, last_days, strict=True)
            if days is not None
        },
    )
