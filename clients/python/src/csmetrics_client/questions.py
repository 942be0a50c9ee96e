"""Questions and answers: parameters as the API takes them, and pages of rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

# One number with its period, group and proof.
Row = Mapping[str, Any]

_Scalar = str | int | float | bool | date
# A parameter of a question; None leaves it out.
Parameter = _Scalar | Sequence[_Scalar] | None


@dataclass(frozen=True)
class Answer:
    """A page of rows, with the question as the service has understood it.

    next: the cursor of the next page; None on the last one. body: the whole answer.
    """

    rows: Sequence[Row]
    question: Mapping[str, Any]
    next: str | None
    body: Mapping[str, Any]


def answer_of(body: Mapping[str, Any]) -> Answer:
    """Return the answer in the body of a response."""
    return Answer(body["rows"], body.get("question", {}), body.get("next"), body)


def field_names(fields: Parameter) -> list[str]:
    """Return the names in the parameter `fields`, of which a text separates several by commas."""
    names = [name.strip() for item in _items(fields) for name in str(item).split(",")]
    return [name.strip("`") for name in names if name]


def query_parameters(parameters: Mapping[str, Parameter]) -> list[tuple[str, str]]:
    """Return parameters as those of a URL, where lists repeat a name."""
    return [(name, _text(item)) for name, value in parameters.items() for item in _items(value)]


def body_parameters(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return parameters as a JSON body."""
    return {
        name: [*map(_plain, value)] if isinstance(value, Iterable) and not isinstance(value, str) else _plain(value)
        for name, value in parameters.items()
        if value is not None
    }


def _items(value: Parameter) -> list[_Scalar]:
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _text(value: _Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)
