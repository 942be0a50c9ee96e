"""The data set as events of the service: each row of a table becomes one or two events."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from bench.dataset import Tables

Event = dict[str, Any]
T = TypeVar("T")

_ROWS_PER_PART = 10_000
# Surveys that have to be declared before the events: an effort survey has to say which end of its scale is easy.
SURVEYS = {"ces": {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"}}


def account_id(number: int) -> str:
    return f"account-{number}"


def feature_name(number: int) -> str:
    return f"feature-{number:02}"


def other_events(tables: Tables) -> Iterator[Event]:
    """Yield all events except those of usage."""
    for number, name, plan, region, industry, at in _rows(tables["accounts"]):
        attributes = {"plan": plan, "region": region, "industry": industry}
        yield _event(f"account-{number}", "account.updated", number, at, name=name, attributes=attributes)
    for user, account, at in _rows(tables["users"]):
        yield _event(f"user-{user}", "user.registered", account, at, user=user)
    for number, account, user, survey, score, at in _rows(tables["survey_responses"]):
        yield _event(f"response-{number}", "survey.responded", account, at, user=user, survey=survey, score=score)
    for number, account, opened, resolved, first_contact in _rows(tables["tickets"]):
        ticket = f"ticket-{number}"
        yield _event(f"{ticket}-opened", "ticket.opened", account, opened, ticket_id=ticket)
        if resolved is not None:
            data = {"ticket_id": ticket, "first_contact": first_contact}
            yield _event(f"{ticket}-resolved", "ticket.resolved", account, resolved, **data)
    for number, account, at, _, cents in _rows(tables["subscription_changes"]):
        if cents:
            mrr = str(Decimal(cents) / 100)
            yield _event(f"change-{number}", "subscription.changed", account, at, subscription_id="main", mrr=mrr)
        else:
            yield _event(f"change-{number}", "subscription.canceled", account, at, subscription_id="main")


def usage_events(table: pa.Table) -> Iterator[Event]:
    """Yield, for each row, a session that ended and the feature used in it, in the order of time."""
    for account, number, user, at, feature, seconds in _rows(table):
        yield _event(f"{number}-f", "feature.used", account, at, user=user, feature=feature_name(feature))
        yield _event(f"{number}-s", "session.ended", account, at, user=user, duration_seconds=seconds)


def split_into_batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def _event(id: str, type: str, account: int, at: str, *, user: int | None = None, **data: Any) -> Event:
    event = {"id": id, "type": type, "account_id": account_id(account), "occurred_at": at, "data": data}
    return event if user is None else event | {"user_id": f"user-{user}"}


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table. Times are spelled as the service accepts them."""
    for part in table.to_batches(max_chunksize=_ROWS_PER_PART):
        yield from zip(*(_values(column) for column in part.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    times = column.to_numpy(zero_copy_only=False).astype("datetime64[s]")
    return [None if time == "NaT" else f"{time}Z" for time in np.datetime_as_string(times).tolist()]
