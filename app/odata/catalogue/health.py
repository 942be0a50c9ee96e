"""`Health`: the health of accounts on one day."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from pydantic import Field

from app.core.aside import run_aside
from app.core.ids import RepeatedIds
from app.core.periods import Day
from app.health.listing import HealthParameters, HealthTable, load_health_table
from app.health.schemas import HEALTH_COLUMNS
from app.odata.model import ENTITY_SETS, EntitySet, Property, SetParameters, prop, prop_of_column
from app.odata.query import Query
from app.odata.sources import EntityPage, KeyedRow, SetContext, read_page

_DESCRIPTIONS = {
    "account": "The account.",
    "score": "From 0 to 100; null without enough data.",
    "band": "critical, at_risk or healthy; null without a score.",
    "coverage": "The share of the model's weight that has data, from 0 to 1.",
    "reason": "Why there is no score: not_enough_data.",
    "customer": "Whether its MRR is above zero at the end of the day.",
    "mrr": "MRR at the end of the day, in the base currency.",
    "flags": "usage_and_revenue_disagree, went_silent, with blanks between them.",
    "weakest_component": "The component that costs the account most points.",
    "weakest_value": "The value of that component.",
    "weakest_unit": "The unit of that value.",
    "weakest_score": "The score of that component, from 0 to 100.",
    "weakest_points_lost": "How many points it costs.",
    "override_score": "What a person says the score is.",
    "override_reason": "Why that person says so.",
    "override_author": "Who says so.",
    "override_expires_on": "Until when.",
    "name": "The attribute name at the end of the day.",
}


class HealthSetParameters(SetParameters):
    """The custom query options of `Health`."""

    as_of: Day | None = Field(None, description="As it was on this day and as it was known at its end (YYYY-MM-DD).")
    segment: RepeatedIds = Field(
        [], description="Only accounts in one of these stored segments. Repeat it for several."
    )
    accounts: Literal["customers", "all"] = Field(
        "customers",
        description="`customers`: accounts with MRR above zero at the end of the day. `all`: all with any data.",
    )


def _properties() -> Iterator[Property]:
    yield prop("day", "date", "The day at whose end the accounts are looked at.", nullable=False)
    for column in HEALTH_COLUMNS:
        name = "account_id" if column.name == "account" else column.name
        is_there = column.name in ("account", "coverage", "customer", "mrr", "flags")
        yield prop_of_column(column, _DESCRIPTIONS[column.name], name=name, nullable=not is_there)


async def _load(context: SetContext, query: Query) -> EntityPage:
    own: Any = query.parameters
    parameters = HealthParameters(segment=own.segment, accounts=own.accounts)
    parameters.as_of = own.as_of
    table = await load_health_table(context.books, parameters)
    return await run_aside(partial(read_page, _HealthSource(table), query), items=len(table.accounts))


class _HealthSource:
    """The accounts in the order of their ids."""

    def __init__(self, table: HealthTable) -> None:
        self._table = table

    def rows(self, after: tuple[Any, ...] | None) -> Iterator[KeyedRow]:
        accounts = sorted(
            (own for own in self._table.accounts if after is None or (own.id,) > after), key=lambda own: own.id
        )
        day = {"day": self._table.scope.at.day}
        for own, row in zip(accounts, self._table.rows(accounts), strict=True):
            yield KeyedRow((own.id,), {**row, **day})


ENTITY_SETS.add(
    EntitySet(
        "Health",
        "AccountHealth",
        "The health of customers today, or on the day `as_of`.",
        ("account_id",),
        tuple(_properties()),
        _load,
        HealthSetParameters,
    )
)
