"""The overrides of health: what people who know an account say its health is, as it stood on a day and was known on another."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from app.books.books import Books
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.health.model import HealthModel
from app.http.openapi import object_schema
from app.ledger.sums.account_sums import KnownDay

_OVERRIDDEN = "health.overridden"

OVERRIDE_SCHEMA: dict[str, Any] = object_schema(
    "HealthOverride",
    {
        "score": {"type": "number"},
        "reason": {"type": "string"},
        "author": {"type": "string"},
        "since": {"type": "string", "format": "date-time"},
        "expires_on": {"type": ["string", "null"], "format": "date", "description": "The last day on which it stands."},
        "event_id": {"type": "string", "description": "The event that says so: `health.overridden`."},
        "band": {
            "type": "string",
            "enum": ["critical", "at_risk", "healthy"],
            "description": "The band of its score, by the model of the day.",
        },
    },
) | {"type": ["object", "null"], "description": "What someone says the health is. It does not change the score."}


class Override(NamedTuple):
    """An override that stands. expires_on: its last day; None for no last day."""

    event_id: str
    since: datetime
    score: int
    reason: str
    author: str
    expires_on: date | None

    def as_json(self, model: HealthModel) -> dict[str, Any]:
        """Return it as the API shows it, with its band by a model; see OVERRIDE_SCHEMA."""
        names = ("score", "reason", "author", "since", "expires_on", "event_id")
        return {name: getattr(self, name) for name in names} | {"band": model.band(100 * self.score)}


def load_overrides(books: Books, at: KnownDay, accounts: Sequence[int] | None = None) -> QueryPlan[dict[int, Override]]:
    """Return the override of each account that stands at the end of a day, by account key. accounts: None for all."""
    parameters = {
        "until": books.calendar.midnight(at.tomorrow),
        "recorded_by": at.recorded_by,
        "accounts": list(accounts or ()),
    }
    (rows,) = yield [BoundStatement(_statement(accounts is not None), parameters)]
    overrides: dict[int, Override] = {}
    for account, id, type, occurred_at, data in rows:
        last_day = date.fromisoformat(data["expires_on"]) if "expires_on" in data else None
        if type == _OVERRIDDEN and (last_day is None or at.day <= last_day):
            since = occurred_at.astimezone(UTC)
            overrides[account] = Override(id, since, data["score"], data["reason"], data["author"], last_day)
    return overrides


@lru_cache(maxsize=2)
def _statement(by_account: bool) -> Statement:
    """Return the query of the last event about the override of each account."""
    condition = "AND account_id = ANY(CAST(%(accounts)s AS bigint[]))" if by_account else ""
    text = f"""
    SELECT DISTINCT ON (account_id) account_id, id, type, occurred_at, data FROM event
    WHERE type IN ('health.overridden', 'health.override_withdrawn') AND occurred_at < %(until)s {condition}
        AND recorded_on <= %(recorded_by)s AND (retracted_on IS NULL OR retracted_on > %(recorded_by)s)
    ORDER BY account_id, occurred_at DESC, (type = 'health.overridden'), id DESC
    """
    return Statement(text, array_formats={"accounts": str} if by_account else {})
