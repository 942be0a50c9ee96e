"""The versions of the health model: which holds on a day, as far as was known on another.

A version holds from a day on, until the day of the next one. It is known from the day on which it was put, so that answers as of
an earlier day are computed by the model of then.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic_core import from_json
from sqlalchemy.dialects.postgresql import insert

from app.books.books import Books
from app.core.errors import Invalid
from app.core.names import Fault, build_fault
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, run_plan
from app.database.statements import BoundStatement, Statement
from app.database.tables import MIN_DATE, health_model
from app.health.default_model import DEFAULT_MODEL
from app.health.model import HealthModel


class ModelVersion(NamedTuple):
    """A version of the model. number: 0 for the one that comes with the service. author: the id of the key that put it."""

    number: int
    effective_from: date
    recorded_on: date
    model: HealthModel
    author: str | None = None

    def always(self) -> "ModelVersion":
        """Return the version as if it had been put before the first day, and no other one after it."""
        return self._replace(effective_from=MIN_DATE, recorded_on=MIN_DATE)

    def as_json(self) -> dict[str, Any]:
        """Return the version as the API shows it."""
        is_default = self.number == 0
        return {
            "version": self.number,
            "effective_from": None if is_default else self.effective_from,
            "recorded_on": None if is_default else self.recorded_on,
            "author": self.author,
            "model": self.model.as_json(),
        }


DEFAULT_VERSION = ModelVersion(0, MIN_DATE, MIN_DATE, DEFAULT_MODEL)

_ALL = Statement(
    "SELECT version, effective_from, recorded_on, CAST(document AS text), key_id FROM health_model ORDER BY version"
)


def load_versions() -> QueryPlan[list[ModelVersion]]:
    """Return all versions by number, the first of which comes with the service."""
    (rows,) = yield [BoundStatement(_ALL, {})]
    stored = [ModelVersion(number, since, on, _parse(text), author) for number, since, on, text, author in rows]
    return [DEFAULT_VERSION, *stored]


# A version that was put never changes.
@lru_cache(maxsize=256)
def _parse(text: str) -> HealthModel:
    return HealthModel.model_validate(from_json(text))


def version_on(versions: Sequence[ModelVersion], day: date, as_of: date | None) -> ModelVersion:
    """Return the version that holds on a day, of those that were known on the day `as_of` (None: by now)."""
    candidates = (own for own in versions if own.effective_from <= day and (as_of is None or own.recorded_on <= as_of))
    return max(candidates, key=lambda version: (version.effective_from, version.number))


async def put_version(
    books: Books, model: HealthModel, *, effective_from: date | None, author: str, recorded_on: date | None = None
) -> tuple[ModelVersion, bool]:
    """Store a model as the version that holds from a day on (None: today); return it, and whether it is new.

    recorded_on: the day from which it is known, after those of all earlier versions. None: today; only a demo says another.
    The same model for the same day is not stored again; another one replaces the version that was put today for that day. Raises
    Invalid when a version holds from that day that was known before today: nobody could say any more what it was.
    """

    async def write(connection: Connection, today: date) -> tuple[ModelVersion, bool]:
        # Versions are numbered one after the other.
        await connection.execute("LOCK TABLE health_model IN SHARE ROW EXCLUSIVE MODE")
        versions = await run_plan(connection, load_versions())
        since = effective_from or today
        existing = next((own for own in versions if own.number and own.effective_from == since), None)
        if existing and existing.model == model:
            return existing, False
        if existing and existing.recorded_on < today:
            raise Invalid.of([_overlap_fault(existing)], subject="The model")
        number = existing.number if existing else versions[-1].number + 1
        known_from = recorded_on or today
        values = {"effective_from": since, "recorded_on": known_from, "document": model.as_json(), "key_id": author}
        statement = insert(health_model).values(version=number, **values)
        await connection.execute(statement.on_conflict_do_update(index_elements=["version"], set_=values))
        return ModelVersion(number, since, known_from, model, author), True

    return await books.write(write)


def _overlap_fault(existing: ModelVersion) -> Fault:
    detail = (
        f"Version {existing.number} holds from {existing.effective_from} on and was put on {existing.recorded_on}, so answers "
        "have been computed by it. Choose another day."
    )
    return build_fault("/effective_from", detail, code="overlapping_versions")


def versions_within(versions: Sequence[ModelVersion], start: date, end: date, as_of: date | None) -> list[ModelVersion]:
    """Return the versions that begin to hold within `[start, end)`, of those that were known, in order."""
    candidates = [own for own in versions if own.number and (as_of is None or own.recorded_on <= as_of)]
    return sorted((own for own in candidates if start <= own.effective_from < end), key=lambda own: own.effective_from)
