"""Erase a person from the kept deliveries: of each that names the person, nothing but its id and its events' ids remains."""

import json
import re
from urllib.parse import quote

from app.database.connection import Connection
from app.ingest.erase import ERASERS, Erasure

_BLANK = "UPDATE delivery SET status = 'erased', body = '', headers = '{}', reasons = '[]'"
# By the events that a delivery became, whatever its payload calls the person.
_ERASE_BY_EVENTS = f"""
    {_BLANK}
    WHERE status <> 'erased' AND account_ids @> ARRAY[CAST(%(account_id)s AS bigint)] AND EXISTS (
        SELECT FROM unnest(account_ids, event_ids) AS became(account_id, event_id)
        WHERE became.account_id = %(account_id)s AND became.event_id = ANY(%(event_ids)s))
    """
# By the payload, in which the person may be named without an event about the person.
_ERASE_BY_TEXT = f"""
    {_BLANK}
    WHERE status <> 'erased' AND EXISTS (
        SELECT FROM unnest(CAST(%(texts)s AS text[])) AS spelling(text)
        WHERE position(convert_to(spelling.text, 'UTF8') IN body) > 0 OR position(spelling.text IN headers::text) > 0)
    """
# A shorter id, such as 7, is in nearly every payload.
_MIN_TEXT_LENGTH = 4


async def erase_deliveries(connection: Connection, erasure: Erasure) -> None:
    """Erase a user, or what became the events of a comment, from the kept deliveries of all sources."""
    parameters = {"account_id": erasure.account_id, "event_ids": list(erasure.event_ids)}
    await connection.execute(_ERASE_BY_EVENTS, parameters)
    if erasure.user is not None:
        await connection.execute(_ERASE_BY_TEXT, {"texts": spell(erasure.user)})


def spell(user: str) -> list[str]:
    """Return how a payload may spell a user's id; a short one stands in quotes only.

    >>> spell("a&b@x")
    ['a&b@x', 'a%26b%40x', 'a&amp;b@x', 'a\\\\u0026b@x']
    """
    xml_text = user.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    json_texts = [json.dumps(user)[1:-1], json.dumps(user, ensure_ascii=False)[1:-1]]
    texts = [user, *json_texts, quote(user, safe=""), xml_text, xml_text.replace('"', "&quot;").replace("'", "&apos;")]
    # Some senders escape what need not be escaped: PHP slashes, Go what has a meaning in HTML, .NET more, in large letters.
    texts += [own.replace("/", "\\/") for own in json_texts]
    texts += [_escape(own, characters) for own in json_texts for characters in ("&<>", "&<>+'`")]
    texts += [re.sub(r"\\u[0-9a-f]{4}", lambda match: "\\u" + match[0][2:].upper(), own) for own in texts]
    distinct_texts = list(dict.fromkeys(texts))
    if len(user) >= _MIN_TEXT_LENGTH:
        return distinct_texts
    return [form for text in distinct_texts for form in (f'"{text}"', f">{text}<")]


def _escape(text: str, characters: str) -> str:
    return "".join(f"\\u{ord(own):04x}" if own in characters else own for own in text)


ERASERS.append(erase_deliveries)
