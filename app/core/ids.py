"""Ids: the client's own, 1 to 128 characters after NFC normalisation, without control characters, case-sensitive."""

import base64
import unicodedata
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_ID_LENGTH = 128


def normalize_id(given: str) -> str:
    """An id as it is kept: in Unicode's NFC, so that the same letters are the same id."""
    return given if given.isascii() else unicodedata.normalize("NFC", given)


def _id(given: str) -> str:
    if given.isascii() and given.isprintable() and len(given) <= MAX_ID_LENGTH:
        return given
    kept = normalize_id(given)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in kept):
        raise PydanticCustomError("control_character", "An id has no control characters.")
    if len(kept) > MAX_ID_LENGTH:
        raise PydanticCustomError("string_too_long", "An id has at most 128 characters.")
    return kept


# Longer before normalisation, which may compose characters.
Id = Annotated[
    str, Field(min_length=1, max_length=512, json_schema_extra={"maxLength": MAX_ID_LENGTH}), AfterValidator(_id)
]

# In a path, where the shell leaves a slash inside an id as %2F.
PathId = Annotated[Id, BeforeValidator(unquote)]


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


# In a query string, where one alone is no list.
RepeatedIds = Annotated[list[Id], BeforeValidator(_listed), Field(max_length=1000)]


def encode_token(text: str) -> str:
    """A text as it can stand in a URL as it is: in a path, or as a cursor."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_token(given: str) -> str:
    """The opposite of `encode_token`. Raises ValueError."""
    return base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)).decode()
