"""A company for the tests of the page: a part of the demo whose accounts, users and comments have hostile names."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from zlib import crc32

from app.demo import load, story
from app.demo.story import events as demo_events
from tests.support.everything import put_everything
from tests.support.naughty import VALID_IDS
from tests.support.service import Service

# One of so many accounts of the demo. Each has the months and the troubles that it has there.
_PART = 8
# Texts that would do something if they were not shown as text, or that would push others aside.
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    *(
        VALID_IDS[name]
        for name in (
            *(
                "attribute",
                "entity",
                "formula",
                "template",
                "right to left override",
                "arabic",
                "emoji",
                "zalgo",
                "slash",
            ),
            *("128 letters", "128 emoji", "dots", "prototype", "spaces around", "encoded slash", "question", "comma"),
        )
    ),
]
# Longer than any line, without a place to break it.
_LONG = "https://example.com/" + "x" * 1_900


def fill_company(url: str) -> None:
    """Fill an empty database: the demo, hostile, and one of each thing that has an id in a path."""
    service = Service(url)
    service.now = datetime.now(UTC)
    with service.open():
        with patch.object(story, "events", _hostile_events):
            service.run(load.load_demo(service.books, progress=lambda done, total: None))
        put_everything(service)


def _hostile_events(**arguments: Any) -> Iterator[dict[str, Any]]:
    events = [own for own in demo_events(**arguments) if _is_chosen(own.get("account_id"))]
    accounts = sorted({own["account_id"] for own in events if "account_id" in own})
    names = dict(zip(accounts, HOSTILE, strict=False))
    for number, own in enumerate(events):
        account = own.get("account_id")
        data = own["data"]
        if data.get("comment"):
            data = data | {
                "comment": _LONG if number % 9 == 0 else f"{HOSTILE[number % len(HOSTILE)]} {data['comment']}"
            }
        if account in names and own["type"] == "account.updated":
            data = data | {"name": names[account]}
        yield own | {"data": data} | ({"account_id": names.get(account, account)} if account else {})


def _is_chosen(account: str | None) -> bool:
    return account is None or crc32(account.encode()) % _PART == 0
