"""Check identities on the data at hand: numbers that must be equal are computed in two ways and compared.

Numbers are compared over a range, for the whole business and for the groups of a few attributes and stored segments. Single
accounts, and the ledger with the stored events, are checked for a sample of accounts that differs from day to day, or for all.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from math import isclose
from typing import Any

import sqlalchemy as sa

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import Filter
from app.audit.identities import IDENTITIES
from app.books.books import Books
from app.core.aside import run_aside
from app.database.connection import Connection
from app.database.tables import MAX_DATE, MIN_DATE, account, attribute
from app.database.tables import books as books_table
from app.http.openapi import list_schema, map_schema, object_schema, response_schema
from app.ledger.batches import in_thread, run_in_thread, take_accounts
from app.ledger.verify import Difference, compare_grand_totals, verify, verify_accounts
from app.metrics.answer import AnswerTable, build_answer_table
from app.metrics.define import METRICS
from app.metrics.offers import OFFERS, Comparison, DataChecks
from app.metrics.parameters import Parameters
from app.metrics.pending_rows import PendingRow
from app.metrics.question import build_question, fits_in_statement
from app.metrics.rows import format_group, group_sort_key

_MAX_DIFFERENCES = 20
# The accounts whose metrics are compared when the ledger of all accounts is checked.
_DEFAULT_SAMPLE = 20
# An attribute with more values would make many groups of few accounts each.
_MAX_VALUES = 50
_MAX_ATTRIBUTES = 3
_MAX_SEGMENTS = 50
# Of the accounts whose ledger is computed again; that takes about five seconds.
_MAX_EVENTS = 50_000
_OTHER_GROUPINGS = ("account", "segment", "subject", "channel")

CHECKS_SCHEMA = response_schema(
    "The checks, each with its differences.",
    object_schema(
        "CheckReport",
        {
            "ok": {"type": "boolean", "description": "Whether no check has a difference."},
            "checks": list_schema(
                "Check",
                {
                    "name": {"type": "string"},
                    "sentence": {"type": "string", "description": "What must be true."},
                    "ok": {"type": "boolean"},
                    "compared": {
                        "type": "integer",
                        "description": "The number of comparisons; for the ledger, the number of events.",
                    },
                    "differing": {"type": "integer", "description": "The number of differences."},
                    "differences": {
                        "type": "array",
                        "items": map_schema("Difference"),
                        "description": f"The first {_MAX_DIFFERENCES} differences: period, group or account, and the two "
                        "numbers that should be equal (`one`, `other`).",
                    },
                },
            ),
        },
    ),
)

# Returns the answer about some metrics; keyword arguments replace parameters of the question.
_Answer = Callable[..., Awaitable[AnswerTable]]


@dataclass(slots=True)
class Check:
    """The result of a check: the number of comparisons and of differences, and the first differences."""

    name: str
    sentence: str
    compared: int = 0
    differing: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)

    def compare(self, left: Any, right: Any, *, equal: bool, **location: Any) -> None:
        """Count a comparison of two numbers, and their difference unless they are equal."""
        self.compared += 1
        if not equal:
            self.add_difference(left, right, **location)

    def add_difference(self, left: Any, right: Any, **location: Any) -> None:
        """Count a difference, and keep it if it is among the first."""
        self.differing += 1
        if len(self.differences) < _MAX_DIFFERENCES:
            self.differences.append(location | {"one": left, "other": right})

    def to_json(self) -> dict[str, Any]:
        """Return the check as the API shows it: see CHECKS_SCHEMA."""
        return {
            "name": self.name,
            "sentence": self.sentence,
            "ok": not self.differing,
            "compared": self.compared,
            "differing": self.differing,
            "differences": self.differences,
        }


async def run_checks(books: Books, parameters: Parameters, *, sample: int | None) -> dict[str, Any]:
    """Run all checks over a range and return the answer.

    sample: the number of accounts for checks of single accounts. None: the ledger of all accounts is checked, and the metrics
    of single accounts for a sample of the default size.
    """
    known_today = await books.load_today()
    accounts = await _sample_accounts(books, sample or _DEFAULT_SAMPLE, today=known_today)
    stored_segments = await segments.load_segments(books, None)

    async def run(connection: Connection) -> list[Check]:
        # The last day in this snapshot: another process may have moved the books on to the next day since.
        today = max(known_today, await connection.scalar(sa.select(books_table.c.last_day)) or MIN_DATE)

        async def answer(metrics: Collection[str], **changes: Any) -> AnswerTable:
            # Not strict: a stored segment may be about attributes that have not come yet.
            changed_parameters = parameters.model_copy(update={"strict": False} | changes)
            question = build_question(
                sorted(metrics), changed_parameters, calendar=books.calendar, today=today, segments=stored_segments
            )
            if changed_parameters.as_of:
                # As of today, too: then the answer is from the entries and not from the monthly totals.
                question = replace(question, selection=replace(question.selection, as_of=changed_parameters.as_of))
            return await build_answer_table(connection, books, question)

        by_attribute: list[dict[str, Any]] = [{"group_by": [key]} for key in await _choose_attributes(connection)]
        groupings = [{}, *by_attribute]
        groupings += [{"group_by": ["account"], "account": list(accounts.values())}] if accounts else []
        groupings += [{"segment": names}] if (names := _choose_segments(stored_segments, today)) else []
        return [
            *await _check_identities(answer, groupings),
            await _check_sums_over_groups(answer, by_attribute),
            await _check_sums_over_time(answer),
            await _check_totals(answer, today),
            *[check for entry in OFFERS.checks for check in await _check_data(entry, connection, books, today)],
        ]

    checks = await books.database.ask(run)
    results = [check.to_json() for check in (*checks, await _check_ledger(books, accounts if sample else None))]
    return {"ok": all(check["ok"] for check in results), "checks": results}


async def _sample_accounts(books: Books, count: int, *, today: date) -> dict[int, str]:
    """Return the ids of some accounts by their numbers, which are hashes.

    They are those that follow a number that differs from day to day, continued from the lowest number.
    """
    start = account_key(today.isoformat())

    async def read(connection: Connection) -> dict[int, str]:
        accounts: dict[int, str] = {}
        for condition in (account.c.account_id >= start, account.c.account_id < start):
            query = sa.select(account.c.account_id, account.c.id).where(condition).order_by(account.c.account_id)
            accounts |= dict(await connection.execute(query.limit(count - len(accounts))))
        return accounts

    return await books.database.ask(read)


async def _choose_attributes(connection: Connection) -> list[str]:
    """Return the attributes that most accounts have, among those with few values."""
    values = sa.func.count(attribute.c.value.distinct())
    query = sa.select(attribute.c.key).where(attribute.c.ceased_on == MAX_DATE).group_by(attribute.c.key)
    query = query.having(values <= _MAX_VALUES).order_by(sa.func.count().desc(), attribute.c.key)
    query = query.limit(_MAX_ATTRIBUTES + len(_OTHER_GROUPINGS))
    # An attribute with the name of another grouping cannot be used as a grouping.
    names = [name for (name,) in await connection.execute(query) if name not in _OTHER_GROUPINGS]
    return names[:_MAX_ATTRIBUTES]


def _choose_segments(stored_segments: Mapping[str, Filter], today: date) -> list[str]:
    """Return as many segments as fit in one question, beginning with one that differs from day to day."""
    names = sorted(stored_segments)
    first = today.toordinal() % len(names) if names else 0
    chosen: list[str] = []
    for name in names[first:] + names[:first]:
        filters = [stored_segments[chosen_name] for chosen_name in (*chosen, name)]
        if len(chosen) < _MAX_SEGMENTS and fits_in_statement(("segment",), filters):
            chosen.append(name)
    return chosen


async def _check_identities(answer: _Answer, groupings: Sequence[dict[str, Any]]) -> list[Check]:
    checks = [Check(identity.name, identity.sentence) for identity in IDENTITIES]
    metrics = {name for identity in IDENTITIES for name in identity.metrics}
    for grouping in groupings:
        table = await answer(metrics, **grouping)
        await run_aside(partial(_compare_identities, checks, table), items=len(table.pending_rows))
    return checks


def _compare_identities(checks: Sequence[Check], table: AnswerTable) -> None:
    # By period and group: the value and the pending row of each metric.
    rows: dict[Any, dict[str, Any]] = defaultdict(dict)
    for row in table.pending_rows:
        rows[row.period, group_sort_key(row.group)][row.metric.name] = (table.result(row).value, row)
    for identity, check in zip(IDENTITIES, checks, strict=True):
        for by_metric in rows.values():
            values = [by_metric[name][0] if name in by_metric else _value_of_nothing(name) for name in identity.metrics]
            if None not in values:
                left, right = identity.compute(*values)
                _, row = next(iter(by_metric.values()))
                location = _location(table, row) | {"metrics": list(identity.metrics)}
                check.compare(left, right, equal=_is_close(left, right), **location)


async def _check_sums_over_groups(answer: _Answer, by_attribute: Sequence[dict[str, Any]]) -> Check:
    check = Check("adds_over_groups", "In each period, the groups of an attribute add up to the whole company.")
    metrics = {name for name, metric in METRICS.items() if "groups" in metric.adds_over}
    whole = await answer(metrics)
    for grouping in by_attribute:
        table = await answer(metrics, **grouping)
        await run_aside(partial(_compare_groups, check, whole, table, grouping), items=len(table.pending_rows))
    return check


def _compare_groups(check: Check, whole: AnswerTable, by_group: AnswerTable, grouping: Mapping[str, Any]) -> None:
    sums: dict[Any, float] = defaultdict(float)
    for row, value in _values(by_group):
        sums[row.metric.name, row.period] += value
    for row, value in _values(whole):
        total = sums[row.metric.name, row.period]
        location = _location(whole, row) | {**grouping, "metrics": [row.metric.name]}
        check.compare(value, total, equal=_is_close(value, total), **location)


async def _check_sums_over_time(answer: _Answer) -> Check:
    check = Check("adds_over_time", "The periods of the range add up to the value of the whole range.")
    metrics = {name for name, metric in METRICS.items() if "time" in metric.adds_over}
    by_period, whole = await answer(metrics), await answer(metrics, granularity="total")
    await run_aside(partial(_compare_periods, check, whole, by_period), items=len(by_period.pending_rows))
    return check


def _compare_periods(check: Check, whole: AnswerTable, by_period: AnswerTable) -> None:
    sums: dict[str, float] = defaultdict(float)
    for row, value in _values(by_period):
        sums[row.metric.name] += value
    for row, value in _values(whole):
        total = sums[row.metric.name]
        location = _location(whole, row) | {"metrics": [row.metric.name]}
        check.compare(value, total, equal=_is_close(value, total), **location)


async def _check_totals(answer: _Answer, today: date) -> Check:
    sentence = "Answers as of today, from the ledger entries, equal answers without `as_of`, from the monthly totals."
    check = Check("known_today", sentence)
    current, as_of_today = await answer(METRICS), await answer(METRICS, as_of=today)
    await run_aside(partial(_compare_tables, check, current, as_of_today), items=len(current.pending_rows))
    return check


async def _check_data(entry: DataChecks, connection: Connection, books: Books, today: date) -> list[Check]:
    """Return the results of checks that a feature has added."""
    comparisons = await entry.compare(connection, books, today)
    checks = {name: Check(name, sentence) for name, sentence in entry.sentences.items()}
    for name, check in checks.items():
        await run_aside(partial(_compare_all, check, comparisons[name]), items=len(comparisons[name]))
    return list(checks.values())


def _compare_all(check: Check, comparisons: Sequence[Comparison]) -> None:
    for left, right, location in comparisons:
        check.compare(left, right, equal=_is_close(left, right), **location)


def _compare_tables(check: Check, current: AnswerTable, as_of_today: AnswerTable) -> None:
    for row, same_row in zip(current.pending_rows, as_of_today.pending_rows, strict=True):
        left, right = current.result(row), as_of_today.result(same_row)
        location = _location(current, row) | {"metrics": [row.metric.name]}
        check.compare(left.value, right.value, equal=left == right, **location)


async def _check_ledger(books: Books, accounts: dict[int, str] | None) -> Check:
    """Check the ledger of some accounts; None: of all."""
    check = Check("kept_events", "The ledger equals what is computed again from the stored events.")
    if accounts is None:
        async for item in verify(books, executor=in_thread):
            if isinstance(item, Difference):
                _add_ledger_difference(check, item)
            else:
                check.compared += item.events
    elif accounts:
        batch = await take_accounts(books, accounts, most_events=_MAX_EVENTS)
        progress, differences = await run_in_thread(books, verify_accounts, batch)
        check.compared += progress.events
        for difference in [*differences, *await books.database.ask(compare_grand_totals)]:
            _add_ledger_difference(check, difference)
    return check


def _add_ledger_difference(check: Check, difference: Difference) -> None:
    stored_segments, computed = str(difference.stored), str(difference.computed)
    check.add_difference(stored_segments, computed, account=difference.account, what=difference.item)


def _value_of_nothing(metric: str) -> float | None:
    """Return the value of a metric in a group without data: zero for a sum, None for a rate."""
    return 0 if METRICS[metric].unit in ("count", "money") else None


def _values(table: AnswerTable) -> Iterator[tuple[PendingRow, float]]:
    return ((row, table.result(row).value or 0) for row in table.pending_rows)


def _location(table: AnswerTable, row: PendingRow) -> dict[str, Any]:
    return {"period": row.period.name, "start": row.period.start, "group": format_group(row.group, table.question)}


def _is_close(left: float, right: float) -> bool:
    return isclose(left, right, rel_tol=1e-9, abs_tol=1e-6)
