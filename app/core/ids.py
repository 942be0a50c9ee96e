"""Ids: the client's own, 1 to 128 characters after NFC normalization, without control characters, case-sensitive."""

import base64
import unicodedata
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_ID_LENGTH = 128


def normalize_id(id: str) -> str:
    """Return an id as it is stored: in Unicode's NFC, so that the same letters make the same id."""
    return id if id.isascii() else unicodedata.normalize("NFC", id)


def check_text(text: str) -> str:
    """Return the text. Raises PydanticCustomError for one that PostgreSQL cannot store."""
    if "\0" in text:
        raise PydanticCustomError("control_character", "A text must not contain U+0000.")
    return text


def _check_id(id: str) -> str:
    """Return the id in its normal form. Raises PydanticCustomError."""
    if id.isascii() and id.isprintable() and len(id) <= MAX_ID_LENGTH:
        return id
    normal_id = normalize_id(id)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in normal_id):
        raise PydanticCustomError("control_character", "An id must not contain control characters.")
    if len(normal_id) > MAX_ID_LENGTH:
        raise PydanticCustomError("string_too_long", "An id must not be longer than 128 characters.")
    return normal_id


# An id may be longer before normalization, which composes characters.
Id = Annotated[
    str, Field(min_length=1, max_length=512, json_schema_extra={"maxLength": MAX_ID_LENGTH}), AfterValidator(_check_id)
]

# Free text, for people.
FreeText = Annotated[str, AfterValidator(check_text)]

# An id in a path. The server's middleware leaves a slash within an id as %2F.
PathId = Annotated[Id, BeforeValidator(unquote)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# Ids in a query string, where a single value is not a list.
RepeatedIds = Annotated[list[Id], BeforeValidator(_as_list), Field(max_length=1000)]


def encode_token(text: str) -> str:
    """Return a text in a form that needs no escaping in a URL, as part of a path or as a cursor."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_token(token: str) -> str:
    """Return the text of a token that `encode_token` made. Raises ValueError."""
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
