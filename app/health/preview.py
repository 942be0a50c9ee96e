"""A model tried on today's data before it is put: which accounts would be in another band."""

from collections import Counter
from datetime import date
from typing import Any, NamedTuple

from app.accounts.all_accounts import load_ids
from app.books.books import Books
from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.database.tables import MIN_DATE
from app.health.answers import check_account_count, format_score
from app.health.model import HealthModel
from app.health.scores import DayScores, score_days
from app.health.versions import ModelVersion, load_versions, version_on
from app.ledger.sums.account_sums import KnownDay

_MAX_MOVES = 50


class _Move(NamedTuple):
    """An account with its position in the scores of the model that holds and of the other, None where it has none."""

    account: int
    before: int | None
    after: int | None

    @property
    def distance(self) -> int:
        """By how many hundredths of a point the score would change; the most where only one of the two models has one."""
        if self.before is None or self.after is None:
            return 0 if self.before is self.after else 10_001
        return abs(self.after - self.before)


async def preview_model(books: Books, model: HealthModel) -> dict[str, Any]:
    """Return how the scores of today's customers would change by a model. Raises Invalid when there are too many accounts."""
    today = await books.load_today()
    candidate = ModelVersion(-1, MIN_DATE, MIN_DATE, model)

    async def load(connection: Connection) -> tuple[DayScores, DayScores, dict[int, str]]:
        versions = await run_plan(connection, load_versions())
        holding = version_on(versions, today, None)
        await check_account_count(connection, books, [holding.model, model])
        days = [KnownDay(today, None)]
        # One after the other, so that what is loaded for one model is no longer in memory for the other.
        (before,), (after,) = [
            await run_plan(connection, score_days([own], days, only_customers=True), items=own.model.items)
            for own in (holding, candidate)
        ]
        return before, after, await run_plan(connection, load_ids([*{*before.accounts, *after.accounts}]))

    before, after, ids = await books.database.ask(load)
    return await run_aside(lambda: _compare(today, before, after, ids), items=len(ids))


def _compare(today: date, before: DayScores, after: DayScores, ids: dict[int, str]) -> dict[str, Any]:
    scores = [dict(zip(own.accounts, own.scores, strict=True)) for own in (before, after)]
    moves = [_Move(account, *(own.get(account) for own in scores)) for account in ids]
    models = before.version.model, after.version.model
    bands = Counter((models[0].band(move.before), models[1].band(move.after)) for move in moves)
    moves_between_bands = [move for move in moves if models[0].band(move.before) != models[1].band(move.after)]
    moves_between_bands.sort(key=lambda move: (-move.distance, ids[move.account]))
    return {
        "as_of": today,
        "model_version": before.version.number,
        "accounts": len(moves),
        "changed": len(moves_between_bands),
        "bands": [
            {"from": band, "to": other, "accounts": count}
            for (band, other), count in sorted(bands.items(), key=lambda item: (-item[1], str(item[0])))
        ],
        "moves": [
            {
                "account": ids[move.account],
                "from": {"score": format_score(move.before), "band": models[0].band(move.before)},
                "to": {"score": format_score(move.after), "band": models[1].band(move.after)},
                "difference": format_score(move.after - move.before)
                if move.before is not None and move.after is not None
                else None,
            }
            for move in moves_between_bands[:_MAX_MOVES]
        ],
    }
