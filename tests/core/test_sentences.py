"""Every error that Pydantic has for a model of ours has a sentence of ours."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from app.core import sentences
from app.core.names import Fault
from app.core.sentences import explain
from app.ingest.define import EVENT_TYPES
from app.ingest.files.mapping_file import ImportMapping
from app.main import build_app
from tests.support.naughty import VALID_IDS

# The errors that a node of a core schema can raise. Nodes that only wrap others raise none.
INTEGERS = {"int_type", "int_parsing", "int_parsing_size", "int_from_float"}
ERRORS: dict[str, set[str]] = {
    "any": set(),
    "bool": {"bool_type", "bool_parsing"},
    "date": set(),
    "definition-ref": set(),
    "definitions": set(),
    "default": set(),
    "dict": {"dict_type", "too_short", "too_long"},
    "float": {"float_type", "float_parsing", "finite_number"},
    "function-after": {"value_error"},
    "function-before": {"value_error"},
    "function-plain": {"value_error"},
    "function-wrap": {"value_error"},
    "int": INTEGERS | {"greater_than", "greater_than_equal", "less_than", "less_than_equal"},
    "list": {"list_type", "too_short", "too_long"},
    "literal": {"literal_error"},
    "model": {"model_type", "model_attributes_type"},
    "model-field": {"missing"},
    "model-fields": {"model_type", "extra_forbidden"},
    "nullable": set(),
    # It raises the errors of its members.
    "union": set(),
    "str": {"string_type", "string_unicode", "string_too_short", "string_too_long", "string_pattern_mismatch"},
    "typed-dict": {"dict_type", "extra_forbidden"},
    "typed-dict-field": {"missing"},
}
# What Pydantic's own sentences contain.
RAW = ("Input should", "should have", "valid string", "valid integer", "not permitted", "Field required", "Value error")


def models() -> list[type[BaseModel]]:
    """The models of parameters and bodies, of all endpoints: every model of the application but that of mapping files."""
    assert build_app  # importing it has imported all routes, which declare them
    mine = {kind for kind in _descendants(BaseModel) if kind.__module__.startswith("app.")}
    return [kind for kind in mine if not kind.__module__.startswith(("app.ingest.files", "app.core.settings"))]


def _descendants(kind: type) -> Iterator[type]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _descendants(subclass)


def schemas() -> dict[str, Any]:
    own = {kind.__name__: kind.__pydantic_core_schema__ for kind in models()}
    return own | {name: event_type.adapter.core_schema for name, event_type in EVENT_TYPES.items()}


def nodes_of(schema: Any) -> Iterator[str]:
    """Yield the types of all nodes of a core schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str) and schema.get("type") in ERRORS.keys() | {"union", "tuple", "set"}:
            yield schema["type"]
        for name, value in schema.items():
            if name not in ("metadata", "serialization", "expected", "config", "json_schema_input_schema"):
                yield from nodes_of(value)
    elif isinstance(schema, list | tuple):
        for item in schema:
            yield from nodes_of(item)


def test_every_error_that_a_model_can_raise_has_a_sentence() -> None:
    assert len(models()) > 15
    assert ImportMapping not in models()
    for name, schema in schemas().items():
        nodes = set(nodes_of(schema))
        assert nodes <= ERRORS.keys(), f"{name}: say in ERRORS what {nodes - ERRORS.keys()} can raise"
        for error in set().union(*(ERRORS[node] for node in nodes)) - {"value_error"}:
            assert error in sentences._SENTENCES, f"{name} can raise {error}"


def test_every_sentence_is_of_an_error_that_exists() -> None:
    assert sentences._SENTENCES.keys() <= set(ErrorType.__args__)


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    float("nan"),
    "",
    "x",
    "x" * 20_000,
    [],
    [1],
    ["a"] * 5000,
    {},
    {"a": 1},
]
VALUES += [{"a": "x" * 5000}, "\ud800", "2026-13-01", *list(VALID_IDS.values())[:5]]


def details(validate: Any, values: dict[str, Any]) -> list[str]:
    try:
        validate(values)
    except ValidationError as error:
        return [explain(each) for each in error.errors(include_url=False)]
    return []


@pytest.mark.parametrize("is_strict", [True, False])
def test_no_value_of_any_field_is_answered_in_the_words_of_pydantic(is_strict: bool) -> None:
    count = 0
    for model in models():
        for field in model.model_fields.values():
            adapter = TypeAdapter(dict[str, field.rebuild_annotation()], config=ConfigDict(strict=is_strict))  # type: ignore[misc]
            for value in VALUES:
                for detail in details(adapter.validate_python, {"field": value}):
                    count += 1
                    assert detail.endswith((".", "?")) and not any(raw in detail for raw in RAW), (model, detail)
                    assert "{" not in detail or "PUT" in detail, detail
    assert count > 500


@pytest.mark.parametrize("type", EVENT_TYPES)
def test_no_value_of_an_event_is_answered_in_the_words_of_pydantic(type: str) -> None:
    event_type = EVENT_TYPES[type]
    fields = event_type.adapter.json_schema()["$defs"]
    names = {name for definition in fields.values() for name in definition.get("properties", {})}
    for value in VALUES:
        for part in ("data", "id", "account_id", "user_id", "occurred_at", "recorded_on"):
            check_details(details(event_type.adapter.validate_python, {"type": type, part: value}))
        for name in names:
            check_details(details(event_type.adapter.validate_python, {"type": type, "data": {name: value}}))


def check_details(texts: list[str]) -> None:
    for detail in texts:
        assert detail.endswith(".") and not any(raw in detail for raw in RAW), detail


def test_an_error_without_a_sentence_is_answered_by_a_plain_one() -> None:
    error = {"type": "url_parsing", "loc": ("site",), "msg": "Input should be a valid URL", "ctx": {"error": "secret"}}
    assert explain(error) == '"site" is not valid here.'


def test_a_fault_has_what_its_schema_says() -> None:
    assert Fault.__required_keys__ == {"pointer", "code", "detail"}
