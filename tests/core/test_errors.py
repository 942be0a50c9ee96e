"""Details of validation errors: they name the field and say what to do, and repeat no value."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.core.errors import Problem, ServiceError, validation_faults


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    score: int
    tags: Annotated[list[str], Field(min_length=1, max_length=2)] = ["a"]


class Question(BaseModel):
    fields: Annotated[list[str], BeforeValidator(lambda raw: raw.split(",") if isinstance(raw, str) else raw)] = Field(
        [], max_length=100
    )
    name: Annotated[str, BeforeValidator(str.strip), Field(max_length=10)] = ""


def fault_of(values: dict[str, Any], *, prefix: tuple[str, ...] = ()) -> tuple[str, str, str]:
    """Return pointer, code and detail of the only fault of a form."""
    with pytest.raises(ValidationError) as error:
        Form.model_validate(values)
    errors = error.value.errors(include_url=False, include_input=False)
    [fault] = validation_faults([e | {"loc": (*prefix, *e["loc"])} for e in errors])
    return fault["pointer"], fault["code"], fault["detail"]


@pytest.mark.parametrize(
    ("values", "pointer", "code", "detail"),
    [
        ({}, "/score", "missing", 'Field "score" is required.'),
        ({"score": 1, "secret": 2}, "/secret", "extra_forbidden", 'Unknown field "secret".'),
        ({"score": 1, "tags": []}, "/tags", "too_short", '"tags" must have at least one item.'),
        ({"score": 1, "tags": ["a"] * 3}, "/tags", "too_long", '"tags" must have at most 2 items.'),
        (
            {"score": "secret"},
            "/score",
            "int_parsing",
            '"score" must be a whole number, without decimals.',
        ),
    ],
)
def test_a_fault_names_its_field_and_repeats_no_value(
    values: dict[str, Any], pointer: str, code: str, detail: str
) -> None:
    assert fault_of(values) == (pointer, code, detail)


def test_a_fault_of_a_query_string_speaks_of_parameters() -> None:
    assert fault_of({}, prefix=("query",)) == ("/query/score", "missing", 'Parameter "score" is required.')
    assert fault_of({"score": 1, "x": 2}, prefix=("query",))[2] == 'Unknown parameter "x".'


def test_a_body_may_have_a_field_named_query() -> None:
    assert fault_of({"score": 1, "query": 2}) == ("/query", "extra_forbidden", 'Unknown field "query".')


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def test_every_error_response_has_a_status_and_a_code_of_its_own() -> None:
    problems = [cls for cls in subclasses(Problem) if cls.__module__ == "app.core.errors" and cls is not Problem]
    assert len({(cls.status, cls.code) for cls in problems}) == len(problems)
    assert all(issubclass(cls, ServiceError) for cls in problems)


def test_a_list_that_a_text_with_commas_writes_has_items() -> None:
    for values, detail in (
        ({"fields": ",".join("x" * 101)}, '"fields" must have at most 100 items.'),
        ({"fields": ["x"] * 101}, '"fields" must have at most 100 items.'),
        ({"name": "x,y" * 20}, '"name" must have at most 10 characters.'),
    ):
        with pytest.raises(ValidationError) as error:
            Question.model_validate(values)
        [fault] = validation_faults(error.value.errors())
        assert fault["detail"] == detail
