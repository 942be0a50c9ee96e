"""The catalogue of topics."""

import re

import jsonschema
import pytest

from app.webhooks.define import TOPICS
from tests.support.service import Service

CONTRACT = {
    "alert.triggered",
    "alert.resolved",
    "health.band_changed",
    "feedback.received",
    "mrr.moved",
    "target.missed",
    "target.met",
    "metric.restated",
}


def test_the_topics_are_those_of_the_contract() -> None:
    assert set(TOPICS) == CONTRACT


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_the_example_of_a_topic_is_as_its_schema_says(name: str) -> None:
    entry = TOPICS[name]
    jsonschema.Draft202012Validator.check_schema(entry.schema)
    jsonschema.validate(entry.example, entry.schema)


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_a_schema_refuses_what_it_does_not_name(name: str) -> None:
    entry = TOPICS[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(entry.example | {"surprise": 1}, entry.schema)
    for field in entry.schema["required"]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: value for key, value in entry.example.items() if key != field}, entry.schema)


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_a_topic_has_a_name_that_standard_webhooks_allows(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", name)


def test_the_catalogue_is_published(shared: Service) -> None:
    topics = shared.get("/v1/webhook-topics")["topics"]
    assert {topic["name"]: topic["example"] for topic in topics} == {t.name: t.example for t in TOPICS.values()}
    assert all(topic["title"] and topic["description"] and topic["schema"] for topic in topics)
