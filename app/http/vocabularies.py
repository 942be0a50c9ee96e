"""Vocabularies: lists of names that clients send and read, each declared once as an enumeration of the OpenAPI document.

A later version of the service may have more names. In what clients send, a vocabulary is an enumeration. In answers it is a text,
beside which `x-extensible-enum` has the names, so that a client that was generated from an earlier document reads a name that it
does not know.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from app.core import codes
from app.core.periods import GRANULARITIES
from app.http.chart_formats import CHART_FORMATS
from app.http.formats import FORMATS

# Marks the schema of a text as one of the names of a vocabulary.
VOCABULARY = "x-vocabulary"


class Vocabulary(NamedTuple):
    """A list of names. list_names: returns them, once the catalogues are filled."""

    description: str
    list_names: Callable[[], Iterable[str]]


def _codes(*tables: Iterable[codes.Code]) -> Callable[[], list[str]]:
    return lambda: sorted({entry.code for table in tables for entry in table})


VOCABULARIES: dict[str, Vocabulary] = {
    "Granularity": Vocabulary("The length of periods.", lambda: GRANULARITIES),
    "RowFormat": Vocabulary("An output format of rows.", lambda: FORMATS),
    "Format": Vocabulary("An output format of rows or of a chart.", lambda: (*FORMATS, *CHART_FORMATS)),
    "ProblemCode": Vocabulary("The code of an error response.", _codes(codes.REQUEST, codes.FIELD)),
    "RejectionCode": Vocabulary(
        "Why an event was not accepted.", _codes(codes.EVENT, codes.FIELD, codes.PYDANTIC, codes.REQUEST)
    ),
    "FaultCode": Vocabulary(
        "What is wrong at one place.", _codes(codes.EVENT, codes.FIELD, codes.PYDANTIC, codes.REQUEST)
    ),
    "Reason": Vocabulary("Why a number has no value.", lambda: sorted({*codes.REASONS, *codes.BACKTEST})),
}


def add_vocabulary(name: str, description: str, list_names: Callable[[], Iterable[str]]) -> None:
    """Declare a vocabulary, see `Vocabulary`. Raises ValueError for one that exists."""
    if name in VOCABULARIES:
        raise ValueError(f"The vocabulary {name} is declared already.")
    VOCABULARIES[name] = Vocabulary(description, list_names)
