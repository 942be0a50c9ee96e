"""What all answers about health have in common: how scores are shown, and the members of an account's health."""

from collections.abc import Iterator, Sequence
from typing import Any

from app.accounts.all_accounts import reserve_account_rows
from app.books.books import Books
from app.database.connection import Connection
from app.health.model import HealthModel
from app.health.overrides import OVERRIDE_SCHEMA, Override
from app.health.scores import DayScores
from app.ledger.money import per_month
from app.metrics.currencies import format_amount
from app.metrics.schema import NUMBER_SCHEMA

NOT_ENOUGH_DATA = "not_enough_data"

HEALTH_SCHEMA: dict[str, Any] = {
    "score": NUMBER_SCHEMA | {"description": "From 0 to 100; null below the model's `min_coverage`."},
    "band": {"type": ["string", "null"], "enum": ["critical", "at_risk", "healthy", None]},
    "coverage": {"type": "number", "description": "The share of weight that has data, from 0 to 1."},
    "flags": {
        "type": "array",
        "items": {"type": "string"},
        "description": "`usage_and_revenue_disagree`, `went_silent`.",
    },
    "override": OVERRIDE_SCHEMA,
}
HEALTH_REASON_SCHEMA = {"reason": {"type": "string", "description": "Why there is no score: `not_enough_data`."}}


async def check_account_count(connection: Connection, books: Books, models: Sequence[HealthModel]) -> None:
    """Wait until the scores of all accounts may take their memory. Raises Invalid when there are too many accounts.

    models: those of the scores of each account that are in memory at once.
    """
    columns = max(len(model.parts()) for model in models) * len(models)
    advice = "Ask for single accounts: /v1/accounts/{id}/health."
    await reserve_account_rows(connection, books.database, columns=columns, pointer="/query/filter", advice=advice)


def pair_accounts(earlier: DayScores, later: DayScores) -> Iterator[tuple[int, int, int]]:
    """Yield each account of both days, with its index in the earlier and in the later scores."""
    earlier_indices = {key: index for index, key in enumerate(earlier.accounts)}
    for index, key in enumerate(later.accounts):
        if key in earlier_indices:
            yield key, earlier_indices[key], index


def health_members(scores: DayScores, index: int, override: Override | None, flags: Sequence[str]) -> dict[str, Any]:
    """Return the members of an account's health: see HEALTH_SCHEMA."""
    score = scores.scores[index]
    members = {
        "score": format_score(score),
        "band": scores.band(index),
        "coverage": round(float(scores.shares[index].coverage), 4),
        "flags": flags,
        "override": override and override.as_json(scores.version.model),
    }
    return members if score is not None else members | {"reason": NOT_ENOUGH_DATA}


def format_score(hundredths: int | None) -> float | None:
    """Return a score, or a difference of scores, in points."""
    return None if hundredths is None else hundredths / 100


def money_text(per_year: int, currency: str) -> str:
    """Return an amount of ledger units per year as MRR, in the digits of the currency."""
    return format_amount(per_month(per_year), currency)
