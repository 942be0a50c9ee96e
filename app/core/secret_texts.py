"""Find secrets in texts and replace them by `***`: by their names, by their pattern, or because they are known.

A secret may be spelled in several ways: as it is, with any of its characters percent-encoded (once or more often) or escaped as
JSON and Python do, or in base64, as in the header of HTTP Basic. The id in a key of this service is not secret and stays.
"""

import base64
import re
from collections.abc import Iterator

_HEX = "0123456789abcdef"
# Repetitions are bounded, so that no text that a client sends takes long to search.
_PERCENT, _BACKSLASH = "%(?:25){0,8}", r"\\{1,8}(?:u00|x)"


def _spell(characters: str) -> str:
    """Return a pattern for all spellings of one of these characters."""
    spellings: list[str] = []
    for character in characters:
        spellings += [re.escape(character), "".join(f"{_PERCENT}{octet:02x}" for octet in character.encode())]
        code = f"{ord(character):02x}"
        spellings.append(_BACKSLASH + code if len(code) == 2 else rf"\\{{1,8}}u{code:0>4}")
    if " " in characters:
        spellings.append(r"\+")  # in a query
    return f"(?:{'|'.join(spellings)})"


def _base64_parts(text: str) -> Iterator[str]:
    """Yield the parts of the base64 of a text that do not depend on what is before and after it."""
    octets = text.encode()
    for offset in range(3):
        text_in_base64 = base64.b64encode(bytes(offset) + octets).decode()
        yield text_in_base64[(offset * 8 + 5) // 6 : (offset + len(octets)) * 8 // 6]


_KEY_START = "".join(map(_spell, "csm_")) + _spell(_HEX) + "{12}" + _spell("_")
_KEY_CHARACTERS = rf"(?:[\w-]|{_PERCENT}[2-7][0-9a-f]|{_BACKSLASH}[2-7][0-9a-f])+"
_KEY_IN_BASE64 = rf"(?:{'|'.join(_base64_parts('csm_'))})[\w+/-]{{40,}}={{0,2}}"

_patterns = [
    (re.compile(f"({_KEY_START}){_KEY_CHARACTERS}", re.IGNORECASE), r"\1***"),
    (re.compile(_KEY_IN_BASE64), "***"),
    (re.compile(r"((?:api(?:_|%5f)key|secret)=)[^&\s\"'\\]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"((?:authorization|x-api-key)['\"]?\s*[:=,]\s*b?['\"]?)[^'\"\r\n]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"((?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"(/users/)[^/]+(/personal-data)", re.IGNORECASE), r"\1***\2"),  # the id of a user who is being erased
    (re.compile(r"(://[^:/@\s]*:)[^@\s]{1,512}@"), r"\1***@"),
]
# In small letters. A text without any of these holds no secret.
_hints = ["%", "\\", "://", "api", "auth", "basic", "bearer", "csm_", "password", "personal", "secret", "_key"]
_hints += [part.lower() for part in _base64_parts("csm_")]
_secrets: set[str] = set()


def add(secret: str) -> None:
    """Mask this text, too, from now on."""
    if secret in _secrets:
        return
    _secrets.add(secret)
    spellings = "".join(map(_spell, secret))
    parts = [*_base64_parts(secret)]
    _patterns.insert(0, (re.compile(f"(?i:{spellings})|{'|'.join(map(re.escape, parts))}"), "***"))
    _hints.extend([secret.lower(), *(part.lower() for part in parts)])


def may_be_in(text: str) -> bool:
    """Return whether to search a text for secrets: a quick test, which most lines of the log fail."""
    lower_text = text.lower().replace("api_key=***", "")
    for hint in _hints:  # noqa: SIM110 - a generator takes three times as long
        if hint in lower_text:
            return True
    return False


def mask(text: str) -> str:
    """Return a text with the secrets in it replaced by `***`."""
    for pattern, replacement in _patterns:
        text = pattern.sub(replacement, text)
    return text
