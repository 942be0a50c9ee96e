"""The reference page of vendors: who sends, how it is verified, and what becomes what."""

import json
from collections.abc import Iterator
from typing import Any

from app.cli.publish.markdown import code, fence, page, table
from app.inbound.define import VENDORS, Vendor
from app.inbound.describe import describe_scheme

INTRO = """Whose deliveries `POST /v1/inbound/{source}` understands. [Deliveries](../guides/crm/inbound.md) explains how to set up
a source. `GET /v1/inbound-vendors` returns the same catalogue as JSON. The examples are those on which the tests run."""


def render() -> str:
    """Return the page."""
    vendors = sorted(VENDORS.values(), key=lambda own: own.title)
    summary = table(("vendor", "name"), ([f"[{own.title}](#{own.name})", code(own.name)] for own in vendors))
    return page("Vendors", INTRO, summary, *(part for own in vendors for part in _vendor(own)))


def _vendor(vendor: Vendor) -> Iterator[str]:
    yield f"## {vendor.name}"
    yield f"**{vendor.title}** ([documentation]({vendor.documentation})). {vendor.description}"
    yield f"Verified by: {describe_scheme(vendor)}"
    yield table(("what is sent", "becomes"), vendor.becomes)
    fields: dict[str, Any] = vendor.options.model_json_schema().get("properties", {})
    defaults = vendor.options().model_dump(mode="json")
    yield table(
        ("option", "default", "meaning"),
        ([code(name), code(json.dumps(defaults[name])), own.get("description", "")] for name, own in fields.items()),
    )
    if vendor.example_mapping is not None:
        yield "A mapping:"
        yield fence(json.dumps(vendor.example_mapping, indent=2), "json")
    yield "Example:"
    if isinstance(vendor.example, bytes):
        yield fence(vendor.example.decode(), "xml")
    else:
        yield fence(json.dumps(vendor.example, indent=2, ensure_ascii=False), "json")
