"""Subjects and channels that were never recorded for some measures: find them, and what may have been meant."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from app.core.names import MAX_SUGGESTIONS, Fault, name_fault, nearest_names
from app.database.labels import lookup_labels
from app.database.pool import Database
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import survey

# Suggestions are chosen from so many texts, and so many of them are looked up.
_MAX_TEXTS, _MAX_SIMILAR = 500, 12

_ALL_SURVEYS = compile_query(sa.select(survey.c.id))
_TEXTS = Statement("""
    SELECT text FROM label
    WHERE abs(length(text) - length(%(text)s)) <= 3 OR position(lower(%(text)s) IN lower(text)) > 0
    ORDER BY (left(text, 2) = left(%(text)s, 2))::integer + (right(text, 2) = right(%(text)s, 2))::integer DESC, text
    LIMIT %(limit)s
    """)


def _recorded_statement(dimension: str) -> Statement:
    """Return the statement for those labels that measures have been posted with, by the totals of all accounts."""
    return Statement(f"""
        SELECT wanted.label FROM unnest(CAST(%(labels)s AS integer[])) AS wanted(label)
        CROSS JOIN LATERAL (
            SELECT 1 FROM grand_total
            WHERE measure = ANY(CAST(%(measures)s AS integer[])) AND {dimension} = wanted.label LIMIT 1) AS recorded
        """)


_RECORDED = {dimension: _recorded_statement(dimension) for dimension in ("subject", "channel")}


class DimensionUse(NamedTuple):
    """The subjects or channels that a question names, and the measures that make them known.

    kinds: what the subjects of the measures are: features, surveys …
    """

    dimension: str
    values: tuple[str, ...]
    measures: frozenset[str]
    kinds: tuple[str, ...]


def dimension_faults(database: Database, use: DimensionUse, *, pointer: str, advice: str) -> QueryPlan[list[Fault]]:
    """Return a fault for each subject or channel with which none of the measures has been posted, and no survey declared.

    That it was posted for other measures is not enough: the channel `email` is no feature. A declared survey needs no response.
    """
    if not use.values:
        return []
    recorded_texts = yield from _find_recorded(database, use, use.values)
    unknown = [value for value in dict.fromkeys(use.values) if value not in recorded_texts]
    if unknown and "survey" in use.kinds:
        (rows,) = yield [BoundStatement(_ALL_SURVEYS, {})]
        surveys = {id for (id,) in rows}
        unknown = [value for value in unknown if value not in surveys]
    else:
        surveys = set()
    faults: list[Fault] = []
    for value in unknown:
        nearest = yield from _nearest(database, use, value, surveys)
        faults.append(_fault(use, value, nearest, pointer=pointer, advice=advice))
    return faults


def _find_recorded(database: Database, use: DimensionUse, values: Collection[str]) -> QueryPlan[set[str]]:
    """Return those values that one of the measures has been posted with."""
    labels = yield from lookup_labels(database, {*values, *use.measures})
    values_by_label = {labels[value]: value for value in values if value in labels}
    measures = [labels[measure] for measure in use.measures if measure in labels]
    if not values_by_label or not measures:
        return set()
    parameters = {"labels": [*values_by_label], "measures": measures}
    (rows,) = yield [BoundStatement(_RECORDED[use.dimension], parameters)]
    return {values_by_label[label] for (label,) in rows}


def _nearest(database: Database, use: DimensionUse, value: str, surveys: Collection[str]) -> QueryPlan[list[str]]:
    """Return up to three values that are like one that does not exist."""
    (rows,) = yield [BoundStatement(_TEXTS, {"text": value, "limit": _MAX_TEXTS})]
    similar = nearest_names(value, {*surveys, *(text for (text,) in rows)}, count=_MAX_SIMILAR)
    recorded_texts = yield from _find_recorded(database, use, similar)
    return [text for text in similar if text in recorded_texts or text in surveys][:MAX_SUGGESTIONS]


def _fault(use: DimensionUse, value: str, nearest: Sequence[str], *, pointer: str, advice: str) -> Fault:
    if use.dimension == "channel":
        sentence = "Unknown channel{}: nothing that the metrics are about has come through it."
        return name_fault(pointer, sentence, value, nearest, code="unknown_channel", advice=advice)
    sentence = f"Unknown subject{{}}: no {' or '.join(use.kinds)} of this name has been recorded."
    return name_fault(pointer, sentence, value, nearest, code="unknown_subject", advice=advice)
