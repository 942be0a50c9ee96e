"""Conditional requests (RFC 9110, section 13): what a client has already."""

import re

from app.http.remember import remember_short

# What `*` means; no tag, since a quote cannot be in one.
ANY = '"any"'
# An element of a list: an entity tag, weak or not, or nothing. Quotes cannot be in a tag, commas can.
_ELEMENT = re.compile(r'[ \t]*(?:(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,|\Z)')


@remember_short(1_024)
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
