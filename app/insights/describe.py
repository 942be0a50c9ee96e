"""Detectors as the API and the reference describe them."""

from typing import Any

from app.core.errors import NotFound
from app.core.names import name_fault, nearest_names
from app.http.openapi import list_schema, map_schema, name_schema, object_schema, response_schema
from app.http.vocabularies import add_vocabulary
from app.insights.define import DETECTORS, Detector
from app.insights.sources import MomentSource

add_vocabulary("DetectorName", "The name of a detector of insights.", lambda: sorted(DETECTORS))

_TEXT: dict[str, Any] = {"type": "string"}
DETECTORS_SCHEMA = response_schema(
    "All detectors.",
    object_schema(
        "DetectorList",
        {
            "detectors": list_schema(
                "Detector",
                {
                    "name": name_schema("DetectorName"),
                    "title": _TEXT,
                    "description": _TEXT,
                    "reads": {"type": "array", "items": _TEXT, "description": "The numbers that it looks at."},
                    "thresholds": map_schema(
                        "Thresholds",
                        object_schema("Threshold", {"value": {"type": "number"}, "unit": _TEXT, "description": _TEXT}),
                        description="From which numbers it fires.",
                    ),
                    "sample": {"type": ["string", "null"], "description": "What its sample is."},
                    "advice": _TEXT,
                    "example": object_schema("InsightExample", {"severity": _TEXT, "sentence": _TEXT}),
                },
            )
        },
    ),
)


def detector_of(insight_id: str) -> Detector:
    """Return the detector of an insight's id. Raises NotFound."""
    name = insight_id.partition(":")[0]
    if name not in DETECTORS:
        advice = "GET /v1/insight-detectors lists all detectors."
        nearest = nearest_names(name, DETECTORS)
        fault = name_fault(
            "/path/insight_id", "Unknown insight{}.", name, nearest, code="unknown_insight", advice=advice
        )
        raise NotFound.of([fault])
    return DETECTORS[name]


def list_sources(detector: Detector) -> list[str]:
    """Return what a detector reads, as texts."""
    return [source.description for source in detector.sources.values() if not isinstance(source, MomentSource)]


def describe_detector(detector: Detector) -> dict[str, Any]:
    """Return a detector's entry in the catalogue as a JSON object."""
    return {
        "name": detector.name,
        "title": detector.title,
        "description": detector.description,
        "reads": list_sources(detector),
        "thresholds": {name: entry._asdict() for name, entry in detector.thresholds.items()},
        "sample": detector.sample or None,
        "advice": detector.advice,
        "example": {"severity": detector.fires.severity, "sentence": detector.fires.sentence},
    }
