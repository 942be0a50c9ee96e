"""The catalogue of detectors: each fires on its example, and is quiet just below its threshold."""

import inspect

import pytest

from app.insights.define import DETECTORS, SEVERITIES, Detector
from app.insights.describe import describe_detector
from app.insights.engine import confidence_of
from app.insights.numbers import find_metric
from app.insights.sources import AccountSource, MetricSource, OfferSource
from app.metrics.offers import OFFERS

ALL = [pytest.param(detector, id=name) for name, detector in sorted(DETECTORS.items())]


def test_there_are_more_than_a_dozen_detectors() -> None:
    assert len(DETECTORS) >= 15


@pytest.mark.parametrize("detector", ALL)
def test_a_detector_fires_on_its_example(detector: Detector) -> None:
    findings = detector.detect(detector.fires.inputs)
    assert [(finding.severity, finding.sentence) for finding in findings] == [detector.fires[:2]]
    assert findings[0].question.startswith("/v1/")
    assert confidence_of(findings[0].sample_size)


@pytest.mark.parametrize("detector", ALL)
def test_a_detector_is_quiet_just_below_its_threshold(detector: Detector) -> None:
    assert detector.detect(detector.quiet) == []


@pytest.mark.parametrize("detector", ALL)
def test_an_example_has_a_value_for_every_source(detector: Detector) -> None:
    assert detector.fires.inputs.keys() == detector.quiet.keys() == detector.sources.keys()


@pytest.mark.parametrize("detector", ALL)
def test_a_detector_reads_the_same_twice_and_changes_nothing(detector: Detector) -> None:
    assert detector.detect(detector.fires.inputs) == detector.detect(detector.fires.inputs)


@pytest.mark.parametrize("detector", ALL)
def test_the_sources_of_a_detector_exist(detector: Detector) -> None:
    for source in detector.sources.values():
        if isinstance(source, MetricSource):
            assert find_metric(source)
        elif isinstance(source, OfferSource):
            assert getattr(OFFERS, source.name)
        elif isinstance(source, AccountSource):
            assert source.columns


@pytest.mark.parametrize("detector", ALL)
def test_a_detector_says_what_it_is(detector: Detector) -> None:
    described = describe_detector(detector)
    assert described["title"] and described["description"].endswith(".") and described["advice"].endswith(".")
    assert described["reads"] and described["thresholds"]
    assert detector.fires.severity in SEVERITIES
    # Thresholds come after the sources, by name only.
    parameters = inspect.signature(detector.formula).parameters
    assert {name for name, own in parameters.items() if own.kind is own.KEYWORD_ONLY} == set(detector.thresholds)


@pytest.mark.parametrize(
    ("sample_size", "confidence"),
    [(None, "high"), (0, None), (4, None), (5, "low"), (19, "low"), (20, "medium"), (99, "medium"), (100, "high")],
)
def test_the_confidence_follows_from_the_sample(sample_size: int | None, confidence: str | None) -> None:
    assert confidence_of(sample_size) == confidence
