"""Which form of an answer a client wants: the headers Accept, OData-MaxVersion and Prefer, and the option `$format`."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from app.core.errors import Malformed, NotAcceptable
from app.core.names import build_fault
from app.odata.query import PAGE_ROWS

VERSION = "4.0"
JSON, XML = "application/json", "application/xml"
_LEVELS = ("minimal", "full", "none")
_VERSION_NUMBER = re.compile(r"(\d{1,3})\.(\d{1,3})")
_MAX_PAGE_SIZE = re.compile(r"(?:odata\.)?maxpagesize\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


class Form(NamedTuple):
    """The form of an answer.

    media_type: JSON or XML. level: how much metadata JSON has. is_exact: whether 64-bit numbers and decimals are texts, since
    JavaScript's numbers cannot hold them (`IEEE754Compatible`).
    """

    media_type: str = JSON
    level: str = "minimal"
    is_exact: bool = False

    @property
    def content_type(self) -> str:
        if self.media_type == XML:
            return XML
        return f"{JSON};odata.metadata={self.level}" + (";IEEE754Compatible=true" if self.is_exact else "")


def check_version(headers: Mapping[str, str]) -> None:
    """Raise Malformed for a client that understands no version 4."""
    for name in ("OData-MaxVersion", "OData-Version"):
        if (text := headers.get(name)) is None:
            continue
        match = _VERSION_NUMBER.match(text.strip())
        major = int(match[1]) if match else 0
        if major < 4 or (name == "OData-Version" and major > 4):
            raise Malformed(
                f"This service speaks OData {VERSION}. The header {name} excludes it.", code="odata_version"
            )


def choose_form(accept: str, format: str | None, *, forms: tuple[str, ...] = (JSON,)) -> Form:
    """Return the form that a client wants. forms: the media types that there are, the default first. Raises NotAcceptable."""
    if format is not None:
        if (form := _form_of(format, forms)) is not None:
            return form
        raise _not_acceptable(forms, "$format")
    if not accept.strip():
        return Form(forms[0])
    choices: list[tuple[float, Form]] = []
    for part in accept.split(","):
        if (form := _form_of(part, forms)) is not None and (quality := _quality(part)) > 0:
            # Where a client takes both, such as Power BI for metadata, the default is the safe one.
            choices.append((quality if form.media_type == forms[0] or len(forms) == 1 else quality / 1000, form))
    if not choices:
        raise _not_acceptable(forms, "Accept")
    return max(choices, key=lambda own: own[0])[1]


def _not_acceptable(forms: tuple[str, ...], source: str) -> NotAcceptable:
    detail = f"{source} excludes the media types that there are: {', '.join(forms)}."
    return NotAcceptable.of([build_fault(f"/query/{source}", detail, code="not_acceptable")])


def _form_of(text: str, forms: tuple[str, ...]) -> Form | None:
    """Return the form that a media range or a value of `$format` stands for; None if there is no such form."""
    media_range, *parameters = (piece.strip().lower() for piece in text.split(";"))
    media_type = {"json": JSON, "xml": XML, "*/*": forms[0], "application/*": forms[0]}.get(media_range, media_range)
    if media_type not in forms:
        return None
    values = {
        name.strip().removeprefix("odata."): value.strip() for name, _, value in (p.partition("=") for p in parameters)
    }
    level = values.get("metadata", "minimal")
    return Form(media_type, level, values.get("ieee754compatible") == "true") if level in _LEVELS else None


def _quality(text: str) -> float:
    match = re.search(r";\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)", text, re.IGNORECASE)
    return float(match[1]) if match else 1.0


def page_size(prefer: str) -> int | None:
    """Return the number of rows on a page that a client prefers, None without a preference."""
    match = _MAX_PAGE_SIZE.search(prefer)
    return min(max(1, int(match[1])), PAGE_ROWS) if match else None
