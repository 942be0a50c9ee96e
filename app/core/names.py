"""Names that do not exist: whether an error may repeat one, and which names are like it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeGuard

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

# An error repeats names up to this length.
MAX_NAME_LENGTH = 128
MAX_SUGGESTIONS = 3
_MAX_LOOKUPS = 100
# A name that is contained in others is like them from this length on.
_MIN_PART = 3
_SEPARATORS = str.maketrans("-. /", "____")


class Fault(TypedDict):
    """What is wrong at one place."""

    pointer: Annotated[
        str,
        Field(
            description="A JSON pointer into the body; `/query/NAME` is a parameter, `/path/NAME` a part of the path."
        ),
    ]
    code: Annotated[
        str, Field(description="For programs; it does not change.", json_schema_extra={"x-vocabulary": "FaultCode"})
    ]
    detail: str
    name: NotRequired[
        Annotated[str, Field(description="The name that does not exist, if it is short and can be shown.")]
    ]
    did_you_mean: NotRequired[
        Annotated[list[str], Field(description="Existing names that are like it, the nearest first.")]
    ]


def is_repeatable(name: object) -> TypeGuard[str]:
    """Return whether an error may repeat a name: a short text that every terminal and log can show."""
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()


def nearest_names(name: str, candidates: Iterable[str], *, count: int = MAX_SUGGESTIONS) -> list[str]:
    """Return the candidates that are like a name, the nearest first. Case and separators make no difference.

    >>> nearest_names("Net-Promoters", ["nps", "net_promoter", "promoters"])
    ['net_promoter', 'promoters']
    """
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        return []
    by_form: dict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        by_form[_form(candidate)].append(candidate)
    form = _form(name)
    similar = get_close_matches(form, by_form, n=count)
    if len(form) >= _MIN_PART:
        similar += [other for other in sorted(by_form) if form in other]
    nearest = [candidate for other in dict.fromkeys(similar) for candidate in sorted(by_form[other])]
    return [candidate for candidate in nearest if candidate != name][:count]


def _form(name: str) -> str:
    return name.casefold().translate(_SEPARATORS)


class NearestNames:
    """Finds the nearest names for the unknown names of one request, for at most a hundred different ones.

    A request may invent many names, and to compare one with all others takes longer than to read it.
    """

    def __init__(self) -> None:
        self._nearest: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def find(self, name: str, candidates: Sequence[str]) -> list[str]:
        """Return what `nearest_names` does, or nothing once there have been too many names."""
        key = name, tuple(candidates)
        if key not in self._nearest:
            if len(self._nearest) >= _MAX_LOOKUPS:
                return []
            self._nearest[key] = nearest_names(name, candidates)
        return self._nearest[key]


def suggest(nearest: Sequence[str]) -> str:
    """Return the question whether one of the names was meant; an empty text without names."""
    quoted_names = [f'"{name}"' for name in nearest]
    return f"Did you mean {' or '.join(quoted_names)}?" if quoted_names else ""


def field_finder(schema: Mapping[str, Any]) -> Callable[[Sequence[str | int]], list[str]]:
    """Return a function that returns the names of the fields at a location of a JSON schema, none where it has no object."""
    definitions = schema.get("$defs", {})

    def resolve(node: Any) -> Any:
        while isinstance(node, dict) and ("$ref" in node or "anyOf" in node):
            # What may be null is any of null and something else, which comes first.
            node = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node["anyOf"][0]
        return node if isinstance(node, dict) else {}

    def find(location: Sequence[str | int]) -> list[str]:
        node = resolve(schema)
        for step in location:
            node = resolve(node.get("items") if isinstance(step, int) else node.get("properties", {}).get(step))
        return list(node.get("properties", ()))

    return find


def build_fault(pointer: str, detail: str, *, code: str) -> Fault:
    """Return a fault that is not about a name."""
    return {"pointer": pointer, "code": code, "detail": detail}


def name_fault(
    pointer: str, sentence: str, name: object, nearest: Sequence[str] = (), *, code: str, advice: str = ""
) -> Fault:
    """Return the fault of a name that does not exist.

    sentence: what is wrong, with `{}` in the place of the name: `Unknown metric{}.` becomes `Unknown metric "npss".`
    nearest: the names that may have been meant. advice: what to do, as further sentences.
    """
    is_shown = is_repeatable(name)
    question = suggest(nearest)
    parts = [sentence.replace("{}", f' "{name}"' if is_shown else ""), question, advice]
    fault = build_fault(pointer, " ".join(filter(None, parts)), code=code)
    if is_repeatable(name):
        fault["name"] = name
    fault["did_you_mean"] = list(nearest)
    return fault
