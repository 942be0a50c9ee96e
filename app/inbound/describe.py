"""Sources, deliveries and vendors as the API describes them."""

from decimal import Decimal
from functools import cache
from typing import Any

from app.http.openapi import component, list_schema, map_schema, object_schema, response_schema
from app.inbound.define import VENDORS, Vendor
from app.inbound.deliveries import RawDelivery
from app.inbound.receive import Receipt, Translation, build_result
from app.ingest.outcome import BatchOutcome

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_TIME = {"type": "string", "format": "date-time"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_STATUS = {"type": "string", "enum": ["accepted", "rejected", "ignored", "erased"]}
_REASONS = list_schema("DeliveryReason", {"code": _TEXT, "detail": _TEXT}, {"event": _MAYBE_TEXT, "pointer": _TEXT})
_COUNTS = map_schema("DeliveryCounts", _NUMBER)
_SOURCE = {
    "id": _TEXT,
    "vendor": _TEXT,
    "url": {**_TEXT, "description": "Where the vendor sends to."},
    "secrets": {"type": "array", "items": _TEXT, "description": "The last four characters of each."},
    "mapping": map_schema("SourceMapping") | {"type": ["object", "null"]},
    "options": map_schema("SourceOptions"),
    "api_key": {**_MAYBE_TEXT, "description": "Its last four characters."},
    "put_at": _TIME,
}
_SUMMARY = {
    "id": _TEXT,
    "received_at": _TIME,
    "attempts": _NUMBER,
    "status": _STATUS,
    "reasons": _REASONS,
    "events": _NUMBER,
}
_OUTCOME = {"accepted": _NUMBER, "duplicates": _NUMBER, "rejected": {"type": "array", "items": component("Rejection")}}
_RECEIPT = object_schema("Receipt", {**_OUTCOME, "delivery": _TEXT, "status": _STATUS, "reasons": _REASONS})

SOURCE_SCHEMA = response_schema("The source.", object_schema("Source", _SOURCE))
SOURCES_SCHEMA = response_schema(
    "All sources.",
    object_schema("SourceList", {"sources": list_schema("SourceWithCounts", {**_SOURCE, "deliveries": _COUNTS})}),
)
DELIVERIES_SCHEMA = response_schema(
    "A page of deliveries.",
    object_schema("DeliveryPage", {"deliveries": list_schema("DeliverySummary", _SUMMARY), "next": _MAYBE_TEXT}),
)
_EVENT_KEYS = list_schema("EventKey", {"account_id": _MAYBE_TEXT, "id": _TEXT})
DELIVERY_SCHEMA = response_schema(
    "The delivery.",
    object_schema(
        "Delivery", {**_SUMMARY, "events": _EVENT_KEYS, "headers": map_schema("DeliveryHeaders", _TEXT), "body": _TEXT}
    ),
)
RECEIPT_SCHEMA = response_schema("What became of the delivery.", _RECEIPT)
RECEIPT_SCHEMA[202] = {**RECEIPT_SCHEMA[200], "description": "It is kept, and became no event: `reasons` say why."}
PREVIEW_SCHEMA = response_schema(
    "What it would become.",
    object_schema(
        "DeliveryPreview",
        {
            **_OUTCOME,
            "delivery": _TEXT,
            "status": _STATUS,
            "reasons": _REASONS,
            "events": {"type": "array", "items": map_schema("PreviewEvent")},
        },
    ),
)
REPLAY_SCHEMA = response_schema(
    "How many have which status now.", object_schema("ReplayCounts", {"deliveries": _COUNTS})
)
VENDORS_SCHEMA = response_schema(
    "All vendors.",
    object_schema(
        "VendorList",
        {
            "vendors": list_schema(
                "Vendor",
                {
                    "name": _TEXT,
                    "title": _TEXT,
                    "description": _TEXT,
                    "becomes": list_schema("VendorEvent", {"vendor": _TEXT, "event": _TEXT}),
                    "verified_by": _TEXT,
                    "documentation": _TEXT,
                    "options": map_schema("JsonSchema"),
                    "mapping": map_schema("JsonSchema"),
                    "example": {},
                },
            )
        },
    ),
)


def receipt_to_json(receipt: Receipt) -> dict[str, Any]:
    """Return what became of a delivery."""
    outcome, result = receipt.outcome, receipt.result
    return {
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "rejected": outcome.rejected,
        "delivery": receipt.id,
        "status": result.status,
        "reasons": result.reasons,
    }


def preview_to_json(delivery: RawDelivery, translation: Translation, outcome: BatchOutcome) -> dict[str, Any]:
    """Return what a delivery would become, with its events."""
    receipt = Receipt(delivery.id, build_result(translation, outcome), outcome)
    return receipt_to_json(receipt) | {"events": [_with_floats(event) for event in translation.events]}


def _with_floats(value: Any) -> Any:
    """Return a value with numbers as JSON has them: decimals would be written as texts."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _with_floats(member) for name, member in value.items()}
    return [_with_floats(member) for member in value] if isinstance(value, list) else value


def summary_to_json(row: Any) -> dict[str, Any]:
    """Return a delivery without its body."""
    names = ("id", "received_at", "attempts", "status", "reasons")
    return {name: getattr(row, name) for name in names} | {"events": len(row.event_ids)}


def delivery_to_json(row: Any, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a delivery with its body, as a text."""
    return summary_to_json(row) | {
        "events": events,
        "headers": row.headers,
        "body": bytes(row.body).decode("utf-8", "replace"),
    }


@cache
def list_vendors() -> list[dict[str, Any]]:
    """Return the catalogue of vendors, by name. Nobody may change it."""
    return [_vendor_to_json(VENDORS[name]) for name in sorted(VENDORS)]


def _vendor_to_json(vendor: Vendor) -> dict[str, Any]:
    return {
        "name": vendor.name,
        "title": vendor.title,
        "description": vendor.description,
        "becomes": [{"vendor": own, "event": event} for own, event in vendor.becomes],
        "verified_by": describe_scheme(vendor),
        "documentation": vendor.documentation,
        "options": vendor.options.model_json_schema(),
        "mapping": vendor.mapping.model_json_schema(),
        "example": vendor.example if not isinstance(vendor.example, bytes) else vendor.example.decode(),
    }


def describe_scheme(vendor: Vendor) -> str:
    """Return how deliveries of a vendor are verified, by its example's options."""
    return vendor.scheme_of(vendor.options.model_validate(vendor.example_options)).description
