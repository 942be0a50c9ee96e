"""Annotations in charts: a sign above each period of which a reader has to know more than its numbers, and what it means."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.define import ChartAnswer, Spec
from app.charts.marks import TEXT, layer, mark, silent
from app.charts.texts import clean_name, format_value, period_label
from app.metrics.define import METRICS

RESTATED_SIGN = "△"
CHANGE_SIGN = "▼"
_CHANGES = ("target", "health_model")


def describe_restatement(own: Mapping[str, Any], unit: str, currency: str) -> str:
    """Return in words how a number was restated."""
    before = "no value" if own["from"] is None else format_value(own["from"], unit, currency)
    return f"restated on {own['on']}, before {before}"


def annotation_layers(answer: ChartAnswer, metrics: Sequence[str], labels: Sequence[str], x: Spec) -> list[Spec]:
    """Return the layers of the signs above a plot. metrics, labels: those of the plot. x: the encoding of its periods."""
    restatements = _values(answer, metrics, labels, ("restatement",))
    changes = _values(answer, metrics, labels, _CHANGES)
    top = {"y": {"value": 0}}
    layers: list[Spec] = []
    if changes:
        layers += [
            layer(silent("rule", "reference"), x, data=changes),
            layer(mark("text", "annotation", dx=7), x | top | {"text": {"value": CHANGE_SIGN}} | TEXT, data=changes),
        ]
    if restatements:
        layers.append(
            layer(mark("text", "annotation"), x | top | {"text": {"value": RESTATED_SIGN}} | TEXT, data=restatements)
        )
    return layers


def _values(
    answer: ChartAnswer, metrics: Sequence[str], labels: Sequence[str], kinds: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a value for each period that has annotations of these kinds, with their sentences."""
    sentences: dict[str, list[str]] = {}
    for own in answer.annotations:
        if own["kind"] in kinds and own["metric"] in metrics:
            sentences.setdefault(_label(own), []).append(_sentence(own, answer.currency))
    return [
        {"label": label, "text": f"{label}: {'; '.join(dict.fromkeys(sentences[label]))}"}
        for label in labels
        if label in sentences
    ]


def _label(own: Mapping[str, Any]) -> str:
    return period_label(own["period"], own["start"], own["end"])


def _sentence(own: Mapping[str, Any], currency: str) -> str:
    metric = METRICS[own["metric"]]
    metric = metric.conventions.get(own["convention"], metric)
    if own["kind"] == "health_model":
        return f"version {own['to']} of the health model from {own['on']} on"
    group = "".join(f", {clean_name(value)}" for value in own.get("group", {}).values())
    if own["kind"] == "target":
        before, after = (format_value(own[name], metric.unit, currency) for name in ("from", "to"))
        return f"target {clean_name(own['name'])}{group} changed from {before} to {after} on {own['on']}"
    return f"{metric.title}{group} {describe_restatement(own, metric.unit, currency)}"


def annotation_notes(answer: ChartAnswer, *, has_signs: bool = True) -> list[str | None]:
    """Return the sentences under the title: what signs mean, and versions of definitions. has_signs: whether signs are drawn."""
    kinds = {own["kind"] for own in answer.annotations}
    notes: list[str | None] = []
    if "restatement" in kinds:
        sign = f"{RESTATED_SIGN} Restated" if has_signs else "Restated"
        notes.append(f"{sign} after the end of the period{'' if has_signs else ': ' + _restated_names(answer)}.")
    names = {"target": "target", "health_model": "health model"}
    if has_signs and (changes := [names[kind] for kind in _CHANGES if kind in kinds]):
        notes.append(f"{CHANGE_SIGN} {' or '.join(changes).capitalize()} has changed.")
    if "unknown_restatements" in kinds:
        notes.append("Restatements are not marked: there are too many late days in this range.")
    versions = {name: version for name, version in answer.question.get("metrics", {}).items() if version > 1}
    if versions:
        notes.append(f"Definition: {', '.join(f'{name}, version {number}' for name, number in versions.items())}.")
    return notes


def _restated_names(answer: ChartAnswer) -> str:
    restatements = [own for own in answer.annotations if own["kind"] == "restatement"]
    return ", ".join(dict.fromkeys(f"{METRICS[own['metric']].title} ({_label(own)})" for own in restatements))


def annotation_summary(answer: ChartAnswer) -> str:
    """Return what the annotations say, for those who do not see the signs; empty without any."""
    sentences = [f"{_label(own)}: {_sentence(own, answer.currency)}" for own in answer.annotations if "start" in own]
    return f" {'; '.join(sentences)}." if sentences else ""
