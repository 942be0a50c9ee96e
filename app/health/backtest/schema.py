"""The members of a back-test's answer: their OpenAPI schema, and their columns in a table."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.health.model import BANDS
from app.http.openapi import list_schema, map_schema, object_schema, response_schema
from app.http.tables import Answer, TableColumn, column, columns
from app.metrics.schema import NUMBER_SCHEMA, rows_schema

_DAY = {"type": "string", "format": "date"}
_INTEGER = {"type": "integer"}
_OPTIONAL_INTEGER = {"type": ["integer", "null"]}
_OPTIONAL_TEXT = {"type": ["string", "null"]}
_COUNTS = map_schema("CountsByReason", _INTEGER)
_INTERVAL = {"type": ["array", "null"], "items": {"type": "number"}}
_HORIZON = {"horizon_days": _INTEGER | {"description": "How many days after the cut-off count."}}
_LEFT_OUT_REASONS = (
    "`not_recorded_then` (was a customer, which was recorded later), `left_before` (had left by the cut-off, which was recorded "
    "later), `cancellation_known` (it was known already that the account would leave), `not_enough_data` (no score)"
)
_AUC = NUMBER_SCHEMA | {
    "description": "The share of pairs of an account that churned and one that did not in which the former had the lower score, "
    "from 0 to 1. 0.5 is chance."
}
_LIFT = NUMBER_SCHEMA | {"description": "How many times as often as all of them the worst-scored tenth churned."}
_FIGURES: dict[str, Any] = {
    "observations": _OPTIONAL_INTEGER | {"description": "The number of scores that are tested."},
    "accounts": _OPTIONAL_INTEGER | {"description": "The number of different accounts among them."},
    "churned": _OPTIONAL_INTEGER
    | {"description": "How many churned within the horizon (or contracted, with that `outcome`)."},
    "churn_rate": NUMBER_SCHEMA | {"description": "`churned` as a percentage of `observations`."},
    "interval": _INTERVAL
    | {
        "description": "Of `churn_rate`, at 95%: the Wilson interval of the effective number of observations, since an account "
        "recurs at every cut-off."
    },
}
_POSITION = {
    "cut_off": _DAY | {"description": "The scores are those of this day, as known at its end."},
    "until": _DAY | {"description": "The last day of the horizon."},
}
_QUESTION = object_schema(
    "BacktestQuestion",
    {"start": _DAY, "end": _DAY, "horizon_days": _INTEGER, "outcome": {"type": "string"}},
    {"model": {"type": ["integer", "string"]}, "as_of": _DAY},
    description="The question that was answered, with its defaults.",
)
BACKTEST_SCHEMA = response_schema(
    "How well the scores of the past predicted who churned afterwards.",
    object_schema(
        "Backtest",
        {
            "question": _QUESTION,
            "verdict": {
                "type": "string",
                "enum": ["predicts", "no_better_than_chance", "inverted", "cannot_tell"],
                "description": "By the interval of the AUC: all above 0.5, across it, all below.",
            },
            "reason": _OPTIONAL_TEXT
            | {
                "description": "Why there is no verdict: `too_few_churned`, `too_few_retained`, `not_recorded_then`, "
                "`not_enough_data`, `horizon_not_closed`, `no_customers`, `nothing_known_yet`."
            },
            "detail": {"type": "string", "description": "The same as a sentence."},
            **_HORIZON,
            "observed_until": _DAY
            | {
                "description": "The last day on which it is known who churned. A cut-off whose horizon ends later is left out."
            },
            "auc": _AUC,
            "auc_interval": _INTERVAL
            | {"description": "At 95%, by bootstrap over accounts, always with the same seed."},
            "resamples": _INTEGER | {"description": "The number of resamples of the bootstrap."},
            "total": object_schema("BacktestTotal", _HORIZON | _FIGURES | {"lift": _LIFT}),
            "cut_offs": list_schema(
                "BacktestCutOff",
                _HORIZON
                | _POSITION
                | {
                    "model_version": _OPTIONAL_INTEGER
                    | {"description": "The version of the model that made the scores."}
                }
                | _FIGURES
                | {
                    "auc": _AUC,
                    "lift": _LIFT,
                    "left_out": _COUNTS
                    | {"description": f"Accounts that are left out, by reason: {_LEFT_OUT_REASONS}."},
                    "reason": _OPTIONAL_TEXT
                    | {"description": "Why the cut-off is left out or, of one that is used, has no AUC."},
                    "used": {"type": "boolean", "description": "Whether the cut-off counts in the other figures."},
                },
            ),
            "bands": list_schema(
                "BacktestBand",
                _HORIZON
                | {"band": {"type": "string", "enum": [*BANDS]}}
                | _FIGURES
                | {
                    "lift": NUMBER_SCHEMA
                    | {"description": "How many times as often as all of them those of the band churned."}
                },
            ),
            "calibration": list_schema(
                "CalibrationPoint",
                _HORIZON
                | {"score_from": NUMBER_SCHEMA, "score_to": NUMBER_SCHEMA, "average_score": NUMBER_SCHEMA}
                | _FIGURES,
            )
            | {
                "description": "Churn by tenths of the scale: what a score has meant. It is made of all observations as they "
                "are, without resampling."
            },
            "roc": list_schema(
                "RocPoint",
                _HORIZON
                | {
                    "score_below": _INTEGER | {"description": "A limit of the score, in points."},
                    "observations": _INTEGER | {"description": "How many scores are below it."},
                    "churned": _INTEGER | {"description": "How many of them churned."},
                    "found_percent": NUMBER_SCHEMA | {"description": "`churned` as a percentage of all that churned."},
                    "false_alarm_percent": NUMBER_SCHEMA
                    | {"description": "The others below the limit as a percentage of all that did not churn."},
                },
            )
            | {
                "description": "The ROC curve: what would have been found by looking at the accounts below each limit, from "
                "nobody to everybody. Limits are whole points, so the area under it may differ a little from `auc`. Empty "
                "without an AUC."
            },
            "cancellation_known": object_schema(
                "KnownCancellations",
                _HORIZON
                | _FIGURES
                | {"auc_with_them": _AUC | {"description": "The AUC that counting them would have made."}},
            )
            | {
                "description": "Accounts of which it was known at the cut-off that they would leave. They count nowhere else."
            },
            "left_out": object_schema(
                "LeftOut",
                {
                    "cut_offs": _COUNTS | {"description": "Numbers of cut-offs, by reason."},
                    "accounts": _COUNTS | {"description": f"Of all cut-offs together, by reason: {_LEFT_OUT_REASONS}."},
                },
            ),
            "model_versions": {"type": "array", "items": _INTEGER},
            "warnings": list_schema("BacktestWarning", {"code": {"type": "string"}, "detail": {"type": "string"}}),
            "next": {"type": ["string", "null"], "description": "Always null: a report has no pages."},
        },
    ),
    table=True,
    chart=True,
)

_TEXT: dict[str, Any] = {"type": "string"}
# A row for the total, each cut-off, band and tenth of the scale, and each reason to leave something out.
_COLUMNS: list[TableColumn] = [
    *columns({"part": _TEXT, "name": _TEXT, "until": _DAY, **_HORIZON, "model_version": _INTEGER}),
    *columns(_FIGURES, (name for name in _FIGURES if name != "interval")),
    *columns(
        dict.fromkeys(
            (
                "low",
                "high",
                "auc",
                "auc_low",
                "auc_high",
                "lift",
                "average_score",
                "found_percent",
                "false_alarm_percent",
            ),
            NUMBER_SCHEMA,
        )
    ),
    column("reason", _TEXT),
]


def report_answer(report: Mapping[str, Any]) -> Answer:
    """Return a report as an answer, of which the table has a row for each figure."""
    rows = list(_table_rows(report))
    return Answer("backtest", {**report, "next": None}, _COLUMNS, table_rows=rows)


def _table_rows(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    low, high = report["auc_interval"] or (None, None)
    whole = {"auc": report["auc"], "auc_low": low, "auc_high": high, "reason": report["reason"]}
    yield _flatten("total", report["verdict"], report["total"]) | whole
    for own in report["cut_offs"]:
        yield _flatten("cut_off", own["cut_off"], own)
    for own in report["bands"]:
        yield _flatten("band", own["band"], own)
    for own in report["calibration"]:
        yield _flatten("calibration", f"{own['score_from']} to {own['score_to']}", own)
    for own in report["roc"]:
        yield {"part": "roc", "name": f"below {own['score_below']}", **own}
    yield _flatten("cancellation_known", "all", report["cancellation_known"])
    for reason, count in report["left_out"]["accounts"].items():
        yield {"part": "left_out", "name": "accounts", "observations": count, "reason": reason}
    for reason, count in report["left_out"]["cut_offs"].items():
        yield {"part": "left_out", "name": "cut_offs", "observations": count, "reason": reason}


def _flatten(part: str, name: Any, figures: Mapping[str, Any]) -> dict[str, Any]:
    low, high = figures["interval"] or (None, None)
    return {"part": part, "name": str(name), **figures, "low": low, "high": high}


SCORE_ROW_SCHEMA: dict[str, Any] = {
    **_POSITION,
    **_HORIZON,
    "model_version": _INTEGER,
    "account": {"type": "string"},
    "score": NUMBER_SCHEMA | {"description": "From 0 to 100; null without enough data."},
    "band": _OPTIONAL_TEXT,
    "coverage": {"type": "number", "description": "The share of the model's weight that had data, from 0 to 1."},
    "churned": {"type": "boolean", "description": "Within the horizon (or contracted, with that `outcome`)."},
    "left_out": _OPTIONAL_TEXT | {"description": "Why it is not tested: `cancellation_known` or `not_enough_data`."},
}
SCORES_SCHEMA = rows_schema(
    "BacktestScore", "The scores of customers at each cut-off, and who churned.", SCORE_ROW_SCHEMA
)
