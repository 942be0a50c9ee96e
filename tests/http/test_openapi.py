"""The OpenAPI document is what generators of clients need: names for all operations and objects, scopes, statuses, examples."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from app.core import codes
from app.core.settings import Settings
from app.http.components import OPEN_ENUM, build_components
from app.http.openapi import list_schema, map_schema, name_schema, object_schema
from app.ingest.define import EVENT_TYPES
from app.main import build_app
from app.metrics.define import METRICS
from tests.access.test_access import REQUIRED_SCOPES
from tests.support.service import Service

VERBS = ("list", "get", "query", "put", "patch", "delete", "create", "post", "check", "count")
ACTIONS = ("preview", "replay", "redeliver", "rotate", "test")
KEYWORDS = ("anyOf", "oneOf", "allOf", "prefixItems")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    document: dict[str, Any] = build_app(Settings(_env_file=None)).openapi()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def parts(schema: dict[str, Any], *, is_component: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield a schema and all that is in it, each with whether it is a component itself."""
    yield schema, is_component
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from parts(schema[keyword])
    for own in (*schema.get("properties", {}).values(), *(own for name in KEYWORDS for own in schema.get(name, ()))):
        yield from parts(own)


def schemas(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield every schema of the document with the place where it is."""
    for name, component in document["components"]["schemas"].items():
        yield from ((name, own, is_component) for own, is_component in parts(component, is_component=True))
    for path, method, operation in operations(document):
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        media = [own for content in contents for own in content.get("content", {}).values()]
        for holder in (*operation.get("parameters", ()), *media):
            if "schema" in holder:
                yield from ((f"{method} {path}", own, is_component) for own, is_component in parts(holder["schema"]))


def test_every_operation_has_an_id_that_begins_with_a_verb(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert {"query", "getMetric", "postEvents", "listAccounts", "putSegment"} <= set(ids)
    assert [name for name in ids if not re.fullmatch(rf"({'|'.join(VERBS + ACTIONS)})([A-Z][a-z]+)*", name)] == []


def test_every_object_is_a_component_with_members(document: dict[str, Any]) -> None:
    objects = [(place, own, top) for place, own, top in schemas(document) if own.get("type") == "object"]
    assert [(place, own) for place, own, is_component in objects if not is_component] == []
    assert [place for place, own, _ in objects if not {"properties", "additionalProperties"} & own.keys()] == []
    names = document["components"]["schemas"]
    assert {"Row", "Metric", "Account", "Rejection", "Problem", "Answer", "Event", "Question"} <= names.keys()


def test_no_component_has_a_member_of_its_own_name_which_generated_code_would_confuse(document: dict[str, Any]) -> None:
    def snake(name: str) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()

    components = document["components"]["schemas"].items()
    assert [name for name, own in components if snake(name) in own.get("properties", ())] == []


def test_vocabularies_are_enumerations_of_their_catalogues(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    assert components["MetricName"]["enum"] == sorted(METRICS)
    assert components["EventType"]["enum"] == sorted(EVENT_TYPES)
    assert components["Granularity"]["enum"] == ["day", "week", "month", "quarter", "year", "total"]
    assert components["Scope"]["enum"] == ["ingest", "read", "admin"]
    assert set(components["Reason"]["enum"]) == {*codes.REASONS, *codes.BACKTEST}
    assert {entry.code for entry in codes.REQUEST} <= set(components["ProblemCode"]["enum"])


def test_what_clients_send_is_closed_and_what_they_read_is_open(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    reading = components["Row"]["properties"]["metric"]
    assert (reading["type"], reading[OPEN_ENUM]) == ("string", sorted(METRICS))
    [path_parameter] = [
        own for own in document["paths"]["/v1/metrics/{metric}"]["get"]["parameters"] if own["in"] == "path"
    ]
    assert path_parameter["schema"]["$ref"] == "#/components/schemas/MetricName"
    for name in ("Row", "Problem", "Fault", "Rejection", "Alert", "Standing", "Key", "Insight", "Account"):
        assert [own for own, is_component in parts(components[name]) if "enum" in own] == [], name


def test_a_metric_that_is_not_in_the_enumeration_is_refused_as_before(shared: Service) -> None:
    answer = shared.request("GET", "/v1/metrics/npss")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_metric")
    answer = shared.request("GET", "/v1/query", params={"metrics": "npss"})
    assert (answer.status_code, answer.json()["errors"][0]["did_you_mean"][0]) == (422, "nps")
    # Several names in one parameter are accepted, though the document knows only one each.
    assert shared.request("GET", "/v1/query", params={"metrics": "nps,mrr"}).status_code == 200


def test_every_operation_says_which_scopes_its_key_needs(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if path.startswith("/v1/segment/"):
            # The libraries of Segment send the key in their own ways, of which each operation tells.
            continue
        scopes = REQUIRED_SCOPES.get((method.upper(), path), "").split()
        assert operation.get("x-required-scopes", []) == scopes, (method, path)
        for requirement in operation.get("security", ()):
            [(scheme, roles)] = requirement.items()
            assert roles == scopes
            # Only a key whose only scope is `read` may be in a URL.
            assert scheme != "url" or (method, scopes) == ("get", ["read"])
        assert all(f"`{scope}`" in operation["description"] for scope in scopes)


def test_every_operation_has_the_statuses_that_it_can_answer(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        statuses = set(operation["responses"])
        assert "default" in statuses
        if not path.startswith("/v1"):
            continue
        assert {"400", "401", "422", "500", "503"} <= statuses
        assert ("304" in statuses) == (method == "get")
        assert ("403" in statuses) == bool(operation["security"])
        assert ("413" in statuses) == ("415" in statuses) == ("requestBody" in operation)
        assert ("429" in statuses) == ("read" in operation.get("x-required-scopes", ()))
    assert "409" in document["paths"]["/v1/surveys/{survey_id}"]["put"]["responses"]
    assert "201" in document["paths"]["/v1/keys"]["post"]["responses"]
    assert "404" in document["paths"]["/v1/metrics/{metric}"]["get"]["responses"]


def test_the_example_of_a_problem_is_one(document: dict[str, Any]) -> None:
    validator = Draft202012Validator({"$ref": "#/components/schemas/Problem", "components": document["components"]})
    responses = document["components"]["responses"]
    assert len(responses) >= 11
    for response in responses.values():
        for media in response["content"].values():
            if "example" in media:
                validator.validate(media["example"])


def test_every_type_of_event_has_a_real_event_as_example(document: dict[str, Any]) -> None:
    event = document["components"]["schemas"]["Event"]
    assert event["discriminator"]["mapping"].keys() == EVENT_TYPES.keys()
    examples = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert examples.keys() >= EVENT_TYPES.keys()
    validator = Draft202012Validator({"$ref": "#/components/schemas/Events", "components": document["components"]})
    for name, example in examples.items():
        validator.validate(example["value"])
        if name in EVENT_TYPES:
            assert example["value"]["type"] == name


def test_every_tag_is_described_and_used(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"]}
    assert {tag for _, _, operation in operations(document) for tag in operation["tags"]} == described
    assert all(tag["description"].endswith(".") for tag in document["tags"])
    assert document["servers"] and document["info"]["contact"] and document["info"]["license"]


def components_of(*response: dict[str, Any]) -> dict[str, Any]:
    responses = {"200": {"content": {str(number): {"schema": own} for number, own in enumerate(response)}}}
    return build_components({}, [{"operationId": "x", "responses": responses}])


def test_objects_without_a_name_and_two_with_the_same_are_errors() -> None:
    with pytest.raises(ValueError, match="has no name"):
        components_of({"type": "object", "properties": {}})
    with pytest.raises(ValueError, match="has no name or no members"):
        components_of({"type": "object", "title": "Empty"})
    with pytest.raises(ValueError, match="have the name Same"):
        components_of(object_schema("Same", {"a": {}}), object_schema("Same", {"b": {}}))


LEAVES = st.sampled_from([{"type": "string"}, {"type": ["integer", "null"]}, name_schema("Granularity")])
MEMBERS = st.dictionaries(st.sampled_from(["enum", "properties", "required", "items", "a"]), LEAVES, max_size=3)


@given(MEMBERS, MEMBERS, st.booleans())
def test_any_nested_objects_become_components_however_their_members_are_called(
    outer: dict[str, Any], inner: dict[str, Any], nullable: bool
) -> None:
    nested = object_schema("Inner", inner) | ({"type": ["object", "null"]} if nullable else {})
    members = outer | {
        "nested": nested,
        "list": list_schema("Inner", inner),
        "map": map_schema("Map", {"type": "string"}),
    }
    components = components_of(object_schema("Outer", members))
    assert {"Outer", "Inner", "Map"} <= components.keys()
    assert components["Outer"]["properties"].keys() == members.keys()
    assert components["Inner"].get("properties", {}).keys() == inner.keys()
    inline = [
        own
        for name in ("Outer", "Inner")
        for own, top in parts(components[name], is_component=True)
        if own.get("type") == "object" and not top
    ]
    assert inline == []


def test_the_events_of_the_examples_are_accepted(service: Service) -> None:
    document = service.get("/openapi.json")
    examples = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    batch = [example["value"] for example in examples.values()]
    answer = service.request("POST", "/v1/events", json=batch).json()
    assert (answer["accepted"], answer["rejected"]) == (len(batch), [])
