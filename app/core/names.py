"""Names that do not exist: which names are like them."""

from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches

# An error repeats names up to this length.
MAX_NAME_LENGTH = 128
_MAX_SUGGESTIONS = 3
# A name that is contained in others is like them from this length on.
_MIN_PART = 3
_SEPARATORS = str.maketrans("-. /", "____")


def nearest_names(name: str, candidates: Iterable[str]) -> list[str]:
    """Return up to three candidates that are like a name, the nearest first. Case and separators make no difference.

    >>> nearest_names("Net-Promoters", ["nps", "net_promoter", "promoters"])
    ['net_promoter', 'promoters']
    """
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        return []
    by_form: dict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        by_form[_form(candidate)].append(candidate)
    form = _form(name)
    similar = get_close_matches(form, by_form, n=_MAX_SUGGESTIONS)
    if len(form) >= _MIN_PART:
        similar += [other for other in sorted(by_form) if form in other]
    nearest = [candidate for other in dict.fromkeys(similar) for candidate in sorted(by_form[other])]
    return [candidate for candidate in nearest if candidate != name][:_MAX_SUGGESTIONS]


def _form(name: str) -> str:
    return name.casefold().translate(_SEPARATORS)
