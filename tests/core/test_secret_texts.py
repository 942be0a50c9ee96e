"""Secrets in texts: every spelling of a key is found, and other texts stay as they are."""

import base64
import re
import secrets
from collections.abc import Callable
from urllib.parse import quote

import pytest

from app.core import logs, secret_texts

ADMIN_KEY = "a key ${of} the {settings}, with ümlaut"
secret_texts.add(ADMIN_KEY)

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "percent-encoded where needed": lambda key: quote(key, safe=""),
    "percent-encoded everywhere": lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    "percent-encoded in small letters": lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    "percent-encoded twice": lambda key: "".join(f"%25{byte:02X}" for byte in key.encode()),
    "its underscores only": lambda key: key.replace("_", "%5f").replace(" ", "%20"),
    "escaped as in JSON": lambda key: "".join(f"\\u{ord(character):04x}" for character in key),
    "escaped as in Python": lambda key: "".join(f"\\x{ord(character):02x}" for character in key),
    "escaped twice": lambda key: "".join(f"\\\\u{ord(character):04x}" for character in key),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in base64 after a user": lambda key: base64.b64encode(f"ada:{key}".encode()).decode(),
    "in base64 after another user": lambda key: base64.b64encode(f"adas:{key}".encode()).decode(),
    "in base64 before a colon": lambda key: base64.b64encode(f"{key}:".encode()).decode(),
    "in base64 of URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
}
SURROUNDINGS = [
    "{}",
    "?token={}&a=1",
    "/v1/accounts/{}/overview",
    '{{"key": "{}"}}',
    "Key (id)=({}) already exists",
    "x{}y",
]


def new_key() -> str:
    return f"csm_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def has_secret(text: str, key: str, spell: Callable[[str], str]) -> bool:
    """Return whether a text still has a part of the secret, which begins behind the key's id, that could be used."""
    spelled_secret = spell(key)[-24:].rstrip("=")
    return spelled_secret in text or key[17:] in text


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_a_key_is_masked_in_every_spelling(spelling: str, surrounding: str) -> None:
    spell = SPELLINGS[spelling]
    for key in [new_key() for _ in range(20)]:
        text = logs.mask(surrounding.format(spell(key)))
        assert "***" in text
        assert not has_secret(text, key, spell), text


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if "Python" not in name and "URLs" not in name])
def test_the_admin_key_of_the_settings_is_masked_in_every_spelling(spelling: str) -> None:
    spell = SPELLINGS[spelling]
    text = logs.mask(f"before {spell(ADMIN_KEY)} after")
    assert "***" in text
    assert not has_secret(text, ADMIN_KEY, spell), text


def test_the_id_of_a_key_stays_so_that_the_key_can_be_revoked() -> None:
    key = new_key()
    assert logs.mask(f"a {key} b") == f"a {key[:17]}*** b"


def test_half_a_key_is_masked() -> None:
    key = new_key()
    for length in range(18, len(key)):
        assert logs.mask(key[:length]) == f"{key[:17]}***"


@pytest.mark.parametrize(
    "text",
    ["csm_owner", "csm_0123456789ab", "period=2026-01&group_by=csm_name", "a%20b", "base64 Y3NtX25hbWU=", "/users/ada"],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert logs.mask(text) == text


def test_a_masked_text_has_nothing_left_to_mask() -> None:
    for spell in SPELLINGS.values():
        once = logs.mask(spell(new_key()))
        assert re.sub(r"\*{3,}", "***", logs.mask(once)) == once
