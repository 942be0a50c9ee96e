"""The identities of the numbers, asked of the books themselves: what has to be equal is worked out in two ways.

Numbers are checked over the asked range for the whole business and for the groups of a few attributes and of the stored
segments; single accounts, and the ledger against the events that are kept, for a sample that is another each day, or all.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from math import isclose
from typing import Any

import sqlalchemy as sa

from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import Filter
from app.audit.identities import IDENTITIES
from app.books.books import Books
from app.database.connection import Connection
from app.database.tables import MAX_DATE, account, attribute
from app.ledger.verify import Difference, compare_grand_totals, verify, verify_accounts
from app.metrics.answer import AnswerTable, PendingRow, build_answer_table
from app.metrics.define import METRICS
from app.metrics.question import Parameters, build_question, fits
from app.metrics.rows import format_group, order

_MOST_SHOWN = 20
# Attributes of more values would make many groups, of few accounts each.
_MOST_VALUES = 50
_MOST_ATTRIBUTES = 3
_MOST_SEGMENTS = 50

# A question about some metrics, asked in some way, and its answer.
_Ask = Callable[..., Awaitable[AnswerTable]]


@dataclass(slots=True)
class Check:
    """What was compared, how often, and where it differed: the first of these, and how many there are."""

    name: str
    sentence: str
    compared: int = 0
    differing: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)

    def see(self, one: Any, other: Any, *, equal: bool, **where: Any) -> None:
        """Note a comparison."""
        self.compared += 1
        if not equal:
            self.differ(one, other, **where)

    def differ(self, one: Any, other: Any, **where: Any) -> None:
        """Note a difference."""
        self.differing += 1
        if len(self.differences) < _MOST_SHOWN:
            self.differences.append(where | {"one": one, "other": other})

    def said(self) -> dict[str, Any]:
        """As it is answered."""
        said = {"name": self.name, "sentence": self.sentence, "ok": not self.differing, "compared": self.compared}
        return said | {"differing": self.differing, "differences": self.differences}


async def checks(books: Books, asked: Parameters, *, sample: int | None) -> list[dict[str, Any]]:
    """All checks over a range. sample: of how many accounts what is checked of single accounts is; None: of all.

    Of all, single accounts are checked against the kept events, and their metrics by what these come to together.
    """
    some = await _some_accounts(books, sample or _MOST_SHOWN)
    stored = await segments.load_segments(books, None)

    async def look(connection: Connection) -> list[Check]:
        async def ask(metrics: Collection[str], **how: Any) -> AnswerTable:
            more = asked.model_copy(update=how)
            today = books.today()
            question = build_question(sorted(metrics), more, calendar=books.calendar, today=today, segments=stored)
            if more.as_of:
                # Also of today, when it is from the entries and not from the monthly totals.
                question = replace(question, selection=replace(question.selection, as_of=more.as_of))
            return await build_answer_table(connection, books, question)

        groupings: list[dict[str, Any]] = [{"group_by": [key]} for key in await _few_valued(connection)]
        ways = [{}, *groupings]
        ways += [{"group_by": ["account"], "account": list(some.values())}] if some else []
        ways += [{"segment": names}] if (names := _some_segments(stored, books.today())) else []
        return [
            *await _identities(ask, ways),
            await _over_groups(ask, groupings),
            await _over_time(ask),
            await _today(ask, books.today()),
        ]

    found = await books.database.read(look)
    return [check.said() for check in (*found, await _ledger(books, some if sample else None))]


async def _some_accounts(books: Books, many: int) -> dict[int, str]:
    """Accounts by their numbers, which are hashes: those after a number that is another every day, and from the first on."""
    start = account_key(books.today().isoformat())

    async def find(connection: Connection) -> dict[int, str]:
        found: dict[int, str] = {}
        for side in (account.c.account_id >= start, account.c.account_id < start):
            query = sa.select(account.c.account_id, account.c.id).where(side).order_by(account.c.account_id)
            found |= dict(await connection.execute(query.limit(many - len(found))))
        return found

    return await books.database.read(find)


async def _few_valued(connection: Connection) -> list[str]:
    """The attributes that most accounts have, of those that have few values."""
    values = sa.func.count(attribute.c.value.distinct())
    query = sa.select(attribute.c.key).where(attribute.c.ceased_on == MAX_DATE).group_by(attribute.c.key)
    query = query.having(values <= _MOST_VALUES).order_by(sa.func.count().desc(), attribute.c.key)
    names = (name for (name,) in await connection.execute(query.limit(_MOST_ATTRIBUTES + 4)))
    # An attribute may be called as another grouping is; then it cannot be asked for.
    return [name for name in names if name not in ("account", "segment", "subject", "channel")][:_MOST_ATTRIBUTES]


def _some_segments(stored: Mapping[str, Filter], today: date) -> list[str]:
    """As many segments as one question can have, from one on that is another every day."""
    names = sorted(stored)
    first = today.toordinal() % len(names) if names else 0
    chosen: list[str] = []
    for name in names[first:] + names[:first]:
        if len(chosen) < _MOST_SEGMENTS and fits(("segment",), [stored[one] for one in (*chosen, name)]):
            chosen.append(name)
    return chosen


async def _identities(ask: _Ask, ways: Sequence[dict[str, Any]]) -> list[Check]:
    found = [Check(one.name, one.sentence) for one in IDENTITIES]
    for way in ways:
        table = await ask({name for one in IDENTITIES for name in one.metrics}, **way)
        rows: dict[Any, dict[str, Any]] = defaultdict(dict)
        for cell in table.pending_rows:
            rows[cell.period, order(cell.group)][cell.metric.name] = (table.result(cell).value, cell)
        for one, check in zip(IDENTITIES, found, strict=True):
            for row in rows.values():
                values = [row[name][0] if name in row else _nothing(name) for name in one.metrics]
                if None not in values:
                    left, right = one.pair(*values)
                    where = _where(table, next(iter(row.values()))[1]) | {"metrics": list(one.metrics)}
                    check.see(left, right, equal=_equal(left, right), **where)
    return found


async def _over_groups(ask: _Ask, groupings: Sequence[dict[str, Any]]) -> Check:
    check = Check("adds_over_groups", "Within a period the groups of an attribute add up to the whole.")
    metrics = {name for name, metric in METRICS.items() if "groups" in metric.adds_over}
    whole = await ask(metrics)
    for grouping in groupings:
        sums: dict[Any, float] = defaultdict(float)
        for cell, value in _values(await ask(metrics, **grouping)):
            sums[cell.metric.name, cell.period] += value
        for cell, value in _values(whole):
            total = sums[cell.metric.name, cell.period]
            where = _where(whole, cell) | grouping | {"metrics": [cell.metric.name]}
            check.see(value, total, equal=_equal(value, total), **where)
    return check


async def _over_time(ask: _Ask) -> Check:
    check = Check("adds_over_time", "The periods of a range add up to the whole of it.")
    metrics = {name for name, metric in METRICS.items() if "time" in metric.adds_over}
    sums: dict[str, float] = defaultdict(float)
    for cell, value in _values(await ask(metrics)):
        sums[cell.metric.name] += value
    whole = await ask(metrics, granularity="total")
    for cell, value in _values(whole):
        total = sums[cell.metric.name]
        where = _where(whole, cell) | {"metrics": [cell.metric.name]}
        check.see(value, total, equal=_equal(value, total), **where)
    return check


async def _today(ask: _Ask, today: date) -> Check:
    sentence = "What is known today (`as_of`), from the entries, is what is answered, from the monthly totals."
    check = Check("known_today", sentence)
    now, as_of = await ask(METRICS), await ask(METRICS, as_of=today)
    for cell, same in zip(now.pending_rows, as_of.pending_rows, strict=True):
        one, other = now.result(cell), as_of.result(same)
        where = _where(now, cell) | {"metrics": [cell.metric.name]}
        check.see(one.value, other.value, equal=one == other, **where)
    return check


async def _ledger(books: Books, some: dict[int, str] | None) -> Check:
    check = Check("kept_events", "The ledger is what the kept events make of it, computed again from nothing.")
    if some is None:
        async for found in verify(books):
            if isinstance(found, Difference):
                _note(check, found)
            else:
                check.compared += found.events
    elif some:
        progress, differences = await verify_accounts(books, some)
        check.compared += progress.events
        for difference in [*differences, *await books.database.read(compare_grand_totals)]:
            _note(check, difference)
    return check


def _note(check: Check, found: Difference) -> None:
    check.differ(str(found.stored), str(found.computed), account=found.account, what=found.item)


def _nothing(metric: str) -> float | None:
    """The value of a metric in a group in which it has nothing: a sum is zero, a rate is not there."""
    return 0 if METRICS[metric].unit in ("count", "money") else None


def _values(table: AnswerTable) -> Iterator[tuple[PendingRow, float]]:
    return ((cell, table.result(cell).value or 0) for cell in table.pending_rows)


def _where(table: AnswerTable, cell: PendingRow) -> dict[str, Any]:
    return {"period": cell.period.name, "start": cell.period.start, "group": format_group(cell.group, table.question)}


def _equal(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)
