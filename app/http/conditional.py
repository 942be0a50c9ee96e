"""Conditional requests (RFC 9110, section 13) and content codings: what a client has already, and what it can decode."""

import re
from collections.abc import Iterator
from functools import lru_cache

from app.http.preferences import read_preferences

# What `*` means; no tag, since a quote cannot be in one.
ANY = '"any"'
# An entity tag, weak or not. Quotes cannot be in it, commas can.
_ENTITY_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)')
_EMPTY_ELEMENT = re.compile(r"[ \t]*(?:,|$)")


# Headers up to this length are remembered. Longer ones would fill the memory.
_MAX_LENGTH = 500


def parse_if_none_match(value: str) -> tuple[str, ...]:
    """Return the opaque tags of the header `If-None-Match`, without `W/` and quotes; of `*`, ANY alone.

    Weak comparison ignores `W/`. A header that is not well-formed names nothing: an answer too many is right, a 304 is not.

    >>> parse_if_none_match('W/"a", "b,c"')
    ('a', 'b,c')
    """
    return _parse_short_header(value) if len(value) <= _MAX_LENGTH else _parse_header(value)


def _parse_header(value: str) -> tuple[str, ...]:
    if value.strip(" \t") == "*":
        return (ANY,)
    return tuple(_read_tags(value)) if _is_list(value) else ()


_parse_short_header = lru_cache(maxsize=1_024)(_parse_header)


def _read_tags(value: str) -> Iterator[str]:
    position = 0
    while position < len(value):
        if match := _ENTITY_TAG.match(value, position):
            yield match[2]
        else:
            match = _EMPTY_ELEMENT.match(value, position)
        if match is None:
            return
        position = max(match.end(), position + 1)


def _is_list(value: str) -> bool:
    """Return whether a text is a list of entity tags from its beginning to its end. Elements may be empty."""
    position = 0
    while position < len(value):
        match = _ENTITY_TAG.match(value, position) or _EMPTY_ELEMENT.match(value, position)
        if match is None:
            return False
        position = max(match.end(), position + 1)
    return True


# In the order in which they are preferred.
CODINGS = ("zstd", "gzip")


def choose_coding(accept_encoding: str) -> str:
    """Return the content coding for a client with this header `Accept-Encoding`; empty for none.

    >>> choose_coding("gzip;q=0.5, zstd;q=0, br")
    'gzip'
    """
    return (_choose_short if len(accept_encoding) <= _MAX_LENGTH else _choose)(accept_encoding)


def _choose(accept_encoding: str) -> str:
    qualities = dict(read_preferences(accept_encoding))
    accepted = [(qualities.get(name, qualities.get("*", 0.0)), name) for name in CODINGS]
    best = max(accepted, key=lambda own: own[0])
    return best[1] if best[0] > 0 else ""


_choose_short = lru_cache(maxsize=256)(_choose)
