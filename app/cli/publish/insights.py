"""The reference page of insights: every detector, by topic."""

import inspect
import re
from collections.abc import Iterator
from itertools import groupby

from app.cli.publish.markdown import bullets, code, page, table
from app.insights.define import DETECTORS, Detector, Threshold
from app.insights.describe import list_sources

INTRO = """Every detector of `GET /v1/insights`: what it reads, from which thresholds it fires, and what to do next.
[Insights](../guides/insights.md) explains how to use them. `GET /v1/insight-detectors` returns the same catalogue as JSON.

Detectors read complete days and months only, and end before today (with `as_of`, before that day). An insight whose sample is
under 5 observations is left out; under 20 its confidence is `low`, under 100 `medium`. A fact that is counted and not estimated
has no sample, and its confidence is `high`. The examples are those on which the tests run."""


def render() -> str:
    """Return the page."""
    detectors = list(DETECTORS.values())
    summary = table(
        ("detector", "title", "what it says"), ([_link(own), own.title, _first_sentence(own)] for own in detectors)
    )
    sections = (
        part
        for module, own in groupby(detectors, key=lambda own: inspect.getmodule(own.formula))
        for part in _topic(inspect.getdoc(module) or "", list(own))
    )
    return page("Insights", INTRO, summary, *sections)


def _link(detector: Detector) -> str:
    return f"[{code(detector.name)}](#{detector.name})"


def _first_sentence(detector: Detector) -> str:
    return f"{detector.description.partition('. ')[0].removesuffix('.')}."


def _topic(documentation: str, detectors: list[Detector]) -> Iterator[str]:
    heading = re.split(r"[:.]", documentation.removeprefix("Detectors of "))[0]
    yield f"## {heading[:1].upper()}{heading[1:]}"
    for detector in detectors:
        yield f"### {code(detector.name)}"
        yield f"**{detector.title}:** {detector.description}"
        yield bullets(
            [
                *(f"Reads: {source}" for source in list_sources(detector)),
                f"Sample: {detector.sample}" if detector.sample else "Sample: none, it is a fact",
                f"Next: {detector.advice}",
            ]
        )
        yield table(("threshold", "value", "meaning"), map(_threshold, *zip(*detector.thresholds.items(), strict=True)))
        yield f"Example ({detector.fires.severity}): {detector.fires.sentence}"


def _threshold(name: str, entry: Threshold) -> list[str]:
    return [code(name), f"{entry.value:g} {entry.unit}", entry.description]
