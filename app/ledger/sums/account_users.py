"""The parts of accounts that are numbers of distinct users: those who were present, and those who were registered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Self

from app.database.query_plan import QueryPlan, merge_plans
from app.database.statements import BoundStatement, Statement
from app.database.tables import MONTH_NAMES
from app.ledger.measures import PRESENCES
from app.ledger.sums.account_sums import AccountSumsRequest, Block, Part, Window
from app.ledger.sums.distinct_users import month_bits
from app.ledger.sums.selection import Span

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PresentUsers(Part):
    """The distinct users who were present in a window. subjects: of which only these count; empty for all."""

    presence: str
    window: Window
    subjects: tuple[str, ...] = ()

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.presence, *self.subjects})

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return the block of the parts: one statement for each presence and choice of subjects."""
        by_kind: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for number, part in enumerate(parts):
            by_kind.setdefault((part.presence, part.subjects), []).append(number)
        plans = [_count_present(request, parts, *kind, numbers) for kind, numbers in by_kind.items()]
        results = yield from merge_plans(plans)
        return _block((row for rows in results for row in rows), len(parts))


def _count_present(
    request: AccountSumsRequest,
    parts: Sequence[PresentUsers],
    presence: str,
    subjects: tuple[str, ...],
    numbers: Sequence[int],
) -> QueryPlan[list[tuple[Any, ...]]]:
    """Return rows (index of the day, account, number of the part, users)."""
    labels = [request.labels[subject] for subject in subjects if subject in request.labels]
    calendar = [
        (index, number, year, at.recorded_by, *month_bits(span, year))
        for index, at in enumerate(request.days)
        for number in numbers
        if (span := _span(parts[number].window, at.tomorrow)).start < span.end
        for year in range(span.start.year, (span.end - _DAY).year + 1)
    ]
    if presence not in request.labels or (subjects and not labels) or not calendar:
        return []
    parameters: dict[str, Any] = {"presence": request.labels[presence], "subjects": labels}
    parameters |= dict(zip(_CALENDAR, zip(*calendar, strict=True), strict=True)) | request.account_parameters
    # A user has a row for each year and subject.
    has_once = len(subjects) == 1 or PRESENCES[presence].subject is None
    in_one_year = len({(row[0], row[1]) for row in calendar}) == len(calendar)
    statement = _present_statement(bool(subjects), has_once and in_one_year, request.account_condition)
    (rows,) = yield [BoundStatement(statement, parameters)]
    return rows


def _span(window: Window, tomorrow: Any) -> Span:
    start = window.start.on(tomorrow)
    return Span(start, window.end.on(tomorrow), start)


_CALENDAR = {"day": "int", "part": "int", "year": "int", "recorded_by": "date"} | dict.fromkeys(MONTH_NAMES, "int")


@lru_cache(maxsize=64)
def _present_statement(by_subject: bool, once: bool, account_condition: str) -> Statement:
    """Return the query of rows (index of the day, account, number of the part, users).

    once: whether no user has two rows in a window.
    """
    arrays = ", ".join(f"CAST(%({name})s AS {type}[])" for name, type in _CALENDAR.items())
    has_day = " OR ".join(f"presence.{name} & calendar.{name} <> 0" for name in MONTH_NAMES)
    text = f"""
    SELECT calendar.day, account_id, calendar.part, count({"*" if once else "DISTINCT user_key"})
    FROM unnest({arrays}) AS calendar({", ".join(_CALENDAR)})
    JOIN presence ON presence.year = calendar.year AND ({has_day})
        AND presence.recorded_on <= calendar.recorded_by AND presence.ceased_on > calendar.recorded_by
    WHERE presence.presence = %(presence)s {"AND presence.subject = ANY(%(subjects)s)" if by_subject else ""}
        {account_condition}
    GROUP BY calendar.day, account_id, calendar.part
    """
    formats = dict.fromkeys(_CALENDAR, str) | ({"accounts": str} if account_condition else {})
    return Statement(text, array_formats=formats)


@dataclass(frozen=True, slots=True)
class RegisteredUsers(Part):
    """The distinct users who were registered at any time of a window."""

    window: Window

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset()

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return the block of the parts, in one statement."""
        spans = [
            (index, number, *_span(part.window, at.tomorrow)[:2], at.recorded_by)
            for index, at in enumerate(request.days)
            for number, part in enumerate(parts)
        ]
        parameters = dict(zip(_SPANS, zip(*spans, strict=True), strict=True)) | request.account_parameters
        (rows,) = yield [BoundStatement(_registered_statement(request.account_condition), parameters)]
        return _block(rows, len(parts))


_SPANS = {"day": "int", "part": "int", "start": "date", "stop": "date", "recorded_by": "date"}


@lru_cache(maxsize=4)
def _registered_statement(account_condition: str) -> Statement:
    """Return the query of rows (index of the day, account, number of the part, users)."""
    arrays = ", ".join(f"CAST(%({name})s AS {type}[])" for name, type in _SPANS.items())
    text = f"""
    SELECT span.day, account_id, span.part, count(DISTINCT user_key)
    FROM unnest({arrays}) AS span({", ".join(_SPANS)})
    JOIN registration ON since < greatest(span.stop, span.start) AND until > span.start
        AND recorded_on <= span.recorded_by AND ceased_on > span.recorded_by
    WHERE true {account_condition}
    GROUP BY span.day, account_id, span.part
    """
    formats = dict.fromkeys(_SPANS, str) | ({"accounts": str} if account_condition else {})
    return Statement(text, array_formats=formats)


def _block(rows: Iterable[Sequence[Any]], width: int) -> Block:
    """Return rows (index of the day, account, number of the part, users) as a block."""
    users_by_key: dict[tuple[int, int], list[int]] = {}
    for index, account, part, users in rows:
        if (index, account) not in users_by_key:
            users_by_key[index, account] = [0] * width
        users_by_key[index, account][part] = users
    return Block([*users_by_key], [*zip(*users_by_key.values(), strict=True)] or [()] * width)
