"""Conditional requests (RFC 9110, section 13) and content codings: what a client has already, and what it can decode."""

import re
from functools import lru_cache

from app.http.preferences import read_preferences

# What `*` means; no tag, since a quote cannot be in one.
ANY = '"any"'
# An element of a list: an entity tag, weak or not, or nothing. Quotes cannot be in a tag, commas can.
_ELEMENT = re.compile(r'[ \t]*(?:(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,|\Z)')


@lru_cache(maxsize=1_024)
def parse_if_none_match(value: str) -> tuple[str, ...]:
    """Return the opaque tags of the header `If-None-Match`, without `W/` and quotes; of `*`, ANY alone.

    Weak comparison ignores `W/`. A header that is not well-formed names nothing: an answer too many is right, a 304 is not.

    >>> parse_if_none_match('W/"a", "b,c"')
    ('a', 'b,c')
    """
    if value.strip(" \t") == "*":
        return (ANY,)
    tags: list[str] = []
    position = 0
    while position < len(value):
        if (match := _ELEMENT.match(value, position)) is None:
            return ()
        if match[1] is not None:
            tags.append(match[1])
        position = match.end()
    return tuple(tags)


# In the order in which they are preferred.
CODINGS = ("zstd", "gzip")


@lru_cache(maxsize=256)
def choose_coding(accept_encoding: str) -> str:
    """Return the content coding for a client with this header `Accept-Encoding`; empty for none.

    >>> choose_coding("gzip;q=0.5, zstd;q=0, br")
    'gzip'
    """
    qualities = dict(read_preferences(accept_encoding))
    accepted = [(qualities.get(name, qualities.get("*", 0.0)), name) for name in CODINGS]
    best = max(accepted, key=lambda own: own[0])
    return best[1] if best[0] > 0 else ""
