"""The OpenAPI schemas of answers about health."""

from typing import Any

from app.health.answers import HEALTH_REASON_SCHEMA, HEALTH_SCHEMA
from app.health.card import load_overview_member
from app.health.model import HealthModel
from app.health.overrides import OVERRIDE_SCHEMA
from app.http.openapi import body_schema, component, list_schema, object_schema, response_schema
from app.http.tables import column, columns
from app.metrics.offers import OFFERS
from app.metrics.schema import NUMBER_SCHEMA

_TEXT = {"type": "string"}
_OPTIONAL_TEXT = {"type": ["string", "null"]}
_DAY = {"type": "string", "format": "date"}
_INTEGER = {"type": "integer"}
_BAND = HEALTH_SCHEMA["band"]
_NEXT = {"type": ["string", "null"], "description": "The cursor of the next page; null on the last one."}
_ACCOUNT = {"account": _TEXT} | HEALTH_SCHEMA
_ABOUT: dict[str, Any] = {
    "customer": {"type": "boolean", "description": "Whether its MRR is above zero at the end of the day."},
    "mrr": {"type": "string", "format": "decimal", "description": "MRR at the end of the day, in the base currency."},
}

_NAME = _OPTIONAL_TEXT | {"description": "The attribute `name` at the end of the day; null without one."}
_DETAILS: dict[str, Any] = {
    "score_change": NUMBER_SCHEMA | {"description": "With `include=change`. Null without a score on one of the days."},
    "mrr_change": {"type": "string", "format": "decimal", "description": "With `include=change`."},
    "active_users": _INTEGER | {"description": "With `include=activity`: those of the last 28 days."},
    "last_active_on": {
        "type": ["string", "null"],
        "format": "date",
        "description": "With `include=activity`: the last day with an active user; null if there never was one.",
    },
}
_WEAKEST: dict[str, Any] = {
    "component": _TEXT,
    "title": _TEXT,
    "value": NUMBER_SCHEMA,
    "unit": _TEXT,
    "score": NUMBER_SCHEMA,
    "points_lost": NUMBER_SCHEMA,
}
HEALTH_LIST_SCHEMA = response_schema(
    "A page of accounts with their health, and the number of all selected accounts by band.",
    object_schema(
        "HealthPage",
        {
            "as_of": _DAY,
            "model_version": _INTEGER,
            "bands": list_schema("HealthBandCount", {"band": _BAND, "accounts": _INTEGER, "mrr": _TEXT})
            | {
                "description": "All selected accounts, also those of other bands than asked for; null: without a score."
            },
            "accounts": list_schema(
                "AccountHealth",
                _ACCOUNT
                | _ABOUT
                | {
                    "name": _NAME,
                    "weakest": object_schema("WeakestComponent", _WEAKEST)
                    | {
                        "type": ["object", "null"],
                        "description": "The component that costs the account most points.",
                    },
                },
                HEALTH_REASON_SCHEMA | _DETAILS,
            ),
            "next": _NEXT,
        },
        {"reason": {"type": "string", "description": "`nothing_known_yet` before the first recorded day."}},
    ),
    table=True,
    chart=True,
)
_COLUMN_SCHEMA = _ACCOUNT | HEALTH_REASON_SCHEMA | _ABOUT | {"name": _NAME}
# Flags are a text; the weakest component and the override are columns.
HEALTH_COLUMNS = [
    *columns(_COLUMN_SCHEMA, ("account", "score", "band", "coverage", "reason", "customer", "mrr")),
    column("flags", _TEXT, read=lambda row: " ".join(row["flags"])),
    *(
        column(f"weakest_{name}", _WEAKEST[name], path=("weakest", name))
        for name in ("component", "value", "unit", "score", "points_lost")
    ),
    *(
        column(f"override_{name}", OVERRIDE_SCHEMA["properties"][name], path=("override", name))
        for name in ("score", "reason", "author", "expires_on")
    ),
    *columns(_COLUMN_SCHEMA, ("name",)),
]
# Those of members that have to be asked for, by the name of `include`.
HEALTH_DETAIL_COLUMNS = [
    (name, own)
    for name, members in (("change", ("score_change", "mrr_change")), ("activity", ("active_users", "last_active_on")))
    for own in columns(_DETAILS, members)
]

COMPONENT_SCHEMA: dict[str, Any] = {
    "id": _TEXT,
    "title": _TEXT,
    "kind": _TEXT,
    "metric": _OPTIONAL_TEXT,
    "category": _OPTIONAL_TEXT,
    "value": NUMBER_SCHEMA | {"description": "Null without data: the component takes no part."},
    "unit": _TEXT,
    "poor": {"type": "number"},
    "good": {"type": "number"},
    "score": NUMBER_SCHEMA | {"description": "From 0 at `poor` to 100 at `good`."},
    "weight": {"type": "number", "description": "Its share of the score; those of all components add up to 1."},
    "contribution": {"type": "number", "description": "Its points of the score; all contributions add up to it."},
}
_VERSION = {
    "version": _INTEGER | {"description": "0 is the model that comes with the service."},
    "effective_from": {"type": ["string", "null"], "format": "date", "description": "The first day on which it holds."},
    "recorded_on": {"type": ["string", "null"], "format": "date", "description": "The day on which it was put."},
    "author": _OPTIONAL_TEXT | {"description": "The id of the key that put it."},
}
CARD_MEMBERS: dict[str, Any] = (
    HEALTH_SCHEMA
    | _ABOUT
    | {
        "model_version": _INTEGER,
        "weights_of_segment": _OPTIONAL_TEXT | {"description": "The segment whose weights were used."},
        "components": list_schema("HealthComponentScore", COMPONENT_SCHEMA),
    }
)
_POINT: dict[str, Any] = {
    "period": _TEXT,
    "on": _DAY,
    "complete": {"type": "boolean"},
    "score": NUMBER_SCHEMA | {"description": "On that day, as it is known on the day `as_of`."},
    "band": _BAND,
    "model_version": _INTEGER,
    "as_known_then": NUMBER_SCHEMA | {"description": "On that day, as it was known at its end."},
    "model_version_then": _INTEGER,
    "restated": {"type": "boolean", "description": "Whether the two scores differ."},
}
CARD_COLUMNS = columns(_POINT)
_CARD = object_schema(
    "HealthCard",
    {
        "account": _TEXT,
        "as_of": _DAY,
        **CARD_MEMBERS,
        "history": list_schema("HealthHistoryPoint", _POINT),
        "versions": list_schema("HealthModelVersionNote", _VERSION)
        | {"description": "Versions of the model that begin within the history."},
    },
    HEALTH_REASON_SCHEMA,
)
CARD_SCHEMA = response_schema("The health of the account; as a table, its history.", _CARD, table=True, chart=True)
OFFERS.add_account_member("health", load_overview_member, _CARD)
_SIDE = object_schema(
    "ComponentSide",
    {"value": NUMBER_SCHEMA, "score": NUMBER_SCHEMA, "weight": {"type": "number"}, "contribution": NUMBER_SCHEMA},
)
_SIDE_MEMBERS = ("score", "band", "coverage", "model_version", "weights_of_segment")
_DIFFERENCE_SIDE = object_schema(
    "HealthSide", {"on": _DAY, **{name: CARD_MEMBERS[name] for name in _SIDE_MEMBERS}}, HEALTH_REASON_SCHEMA
)
EXPLANATION_SCHEMA = response_schema(
    "The difference of two scores as differences of contributions.",
    object_schema(
        "HealthExplanation",
        {
            "account": _TEXT,
            "knowledge": _TEXT,
            "from": _DIFFERENCE_SIDE,
            "to": _DIFFERENCE_SIDE,
            "difference": NUMBER_SCHEMA,
            "sentence": _TEXT,
            "differences": list_schema(
                "ComponentDifference",
                {
                    "component": _TEXT,
                    "title": _TEXT,
                    "unit": _TEXT,
                    "from": _SIDE | {"type": ["object", "null"]},
                    "to": _SIDE | {"type": ["object", "null"]},
                    "difference": {"type": "number", "description": "All differences add up to that of the scores."},
                    "by_value": {"type": "number", "description": "Because of the component's own score."},
                    "by_weight": {"type": "number", "description": "Because of its share of the score."},
                    "sentence": _TEXT,
                },
            ),
        },
        HEALTH_REASON_SCHEMA,
    ),
)
# The example is not used: the model is not a body itself.
body_schema(HealthModel, {})
_MODEL = component("HealthModel")
MODEL_SCHEMA = response_schema(
    "A version of the model.", object_schema("HealthModelVersion", _VERSION | {"model": _MODEL})
)
VERSIONS_SCHEMA = response_schema(
    "All versions of the model, the latest first.",
    object_schema(
        "HealthModelVersionList", {"versions": list_schema("HealthModelVersion", _VERSION | {"model": _MODEL})}
    ),
)
_SCORE = object_schema("BandedScore", {"score": NUMBER_SCHEMA, "band": _BAND})
PREVIEW_SCHEMA = response_schema(
    "How today's customers would move between the bands.",
    object_schema(
        "HealthPreview",
        {
            "as_of": _DAY,
            "model_version": _INTEGER | {"description": "The version that it is compared with."},
            "accounts": _INTEGER,
            "changed": _INTEGER | {"description": "How many would be in another band."},
            "bands": list_schema("BandMove", {"from": _BAND, "to": _BAND, "accounts": _INTEGER}),
            "moves": list_schema(
                "AccountMove", {"account": _TEXT, "from": _SCORE, "to": _SCORE, "difference": NUMBER_SCHEMA}
            )
            | {"description": "Accounts that would be in another band, those whose score would change most first."},
        },
    ),
)
