"""The arguments of tools. They are parameters of the API, with their descriptions, so that there is no second text."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.agents.define import MAX_ROWS
from app.agents.phrases import first_sentence

DEFAULT_ROWS = 40


class ToolArguments(BaseModel):
    """Base class of the arguments of a tool. Unknown ones are errors: the model believes that they have an effect."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PageArguments(ToolArguments):
    """The arguments of an answer of several pages."""

    limit: int = Field(DEFAULT_ROWS, ge=1, le=MAX_ROWS, description="Maximum number of rows.")
    cursor: str | None = Field(
        None, max_length=4_000, description="`next` of the answer before, with the same other arguments: what follows."
    )


def choose_arguments(
    name: str,
    model: type[BaseModel],
    *fields: str,
    base: type[ToolArguments] = ToolArguments,
    is_brief: bool = True,
    defaults: Mapping[str, Any] | None = None,
) -> type[ToolArguments]:
    """Return a model with some fields of another one.

    is_brief: with the first sentences of their descriptions only; the whole ones belong to one tool. defaults: other ones than
    theirs.
    """
    members: dict[str, Any] = {}
    for field_name in fields:
        field = copy(model.model_fields[field_name])
        if is_brief and field.description:
            field.description = first_sentence(field.description)
        if defaults and field_name in defaults:
            field.default = defaults[field_name]
        members[field_name] = (field.annotation, field)
    return create_model(name, __base__=base, **members)
