"""The catalogue of event types, for pickers and for programs that send events."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.ingest.define import EVENT_TYPES
from app.ingest.describe import FIELD_TYPES, list_event_types
from tests.support.service import Service


@pytest.fixture(scope="module")
def entries(shared: Service) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in shared.get("/v1/event-types")["event_types"]}


def fields(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in entry["fields"]}


def test_every_event_type_is_listed_with_its_fields_and_an_example(entries: dict[str, dict[str, Any]]) -> None:
    assert list(entries) == sorted(EVENT_TYPES)
    entry = entries["subscription.changed"]
    assert (entry["needs_account"], entry["needs_user"]) == (True, False)
    assert entry["example"]["type"] == "subscription.changed"
    assert entry["description"].startswith("A subscription")
    own = fields(entry)
    assert own["subscription_id"] | {"description": ""} == {
        "name": "subscription_id",
        "type": "text",
        "required": True,
        "description": "",
        "max_length": 128,
    }
    assert (own["mrr"]["type"], own["mrr"]["required"]) == ("money", False)
    assert own["interval"]["values"] == ["week", "month", "quarter", "year"]
    assert fields(entries["session.ended"])["duration_seconds"]["type"] == "integer"
    assert fields(entries["account.updated"])["attributes"]["type"] == "attributes"
    assert fields(entries["account.updated"])["extra"]["type"] == "object"
    assert entries["cost.recorded"]["needs_account"] is False
    assert entries["user.registered"]["needs_user"] is True


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_an_example_has_the_fields_that_its_type_lists_with_these_types(name: str) -> None:
    [entry] = [entry for entry in list_event_types() if entry["name"] == name]
    own, data = fields(entry), entry["example"]["data"]
    assert data.keys() <= own.keys()
    assert {field for field in own if own[field]["required"]} <= data.keys()
    python_types = {
        "text": str, "money": (str, int, float), "integer": int, "boolean": bool, "time": str, "date": str,
        "texts": list, "attributes": dict, "object": dict,
    }  # fmt: skip
    assert python_types.keys() == set(FIELD_TYPES)
    assert [field for field in data if not isinstance(data[field], python_types[own[field]["type"]])] == []
    assert all(field["description"] for field in own.values()), name


def limits() -> Iterator[tuple[str, str, Any]]:
    """Yield a value beyond each limit of each field: event type, field, value."""
    for entry in list_event_types():
        for field in entry["fields"]:
            if field["type"] == "integer" and "maximum" in field:
                yield entry["name"], field["name"], field["maximum"] + 1
            if "values" in field:
                yield entry["name"], field["name"], "unheard"
            if "max_length" in field:
                yield entry["name"], field["name"], "x" * (field["max_length"] + 1)
            if field["type"] == "texts":
                yield entry["name"], field["name"], ["x"] * (field["max_items"] + 1)


def test_what_is_beyond_a_listed_limit_is_rejected(shared: Service) -> None:
    examples = {entry["name"]: entry["example"] for entry in list_event_types()}
    cases = list(limits())
    assert len(cases) > 40
    events = [
        examples[name] | {"id": f"beyond-{number}", "data": examples[name]["data"] | {field: value}}
        for number, (name, field, value) in enumerate(cases)
    ]
    rejected = {
        own["index"]: own["errors"] for own in shared.request("POST", "/v1/events", json=events).json()["rejected"]
    }
    for number, (name, field, _) in enumerate(cases):
        assert f"/data/{field}" in {fault["pointer"].removesuffix("/0") for fault in rejected[number]}, (name, field)
