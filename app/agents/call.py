"""Call a tool: validate its arguments, keep its answer short, and turn errors into what a model can correct itself by."""

from collections.abc import Container, Mapping
from time import perf_counter
from typing import Any, NamedTuple

import structlog
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python
from structlog.contextvars import get_contextvars

from app.agents.define import MAX_BYTES, Tool, ToolAnswer
from app.agents.phrases import join_lines
from app.agents.schemas import adapt
from app.books.books import Books
from app.core.errors import Invalid, Problem, Unavailable, validation_faults
from app.core.names import Fault, field_finder

log = structlog.get_logger(__name__)

# An answer lists no more faults.
_MAX_FAULTS = 20
# The names of arguments for those of parameters.
_OTHER_NAMES = {"metrics": "metric", "metric": "metrics", "account_id": "account", "insight_id": "insight"}


class CallResult(NamedTuple):
    """What a call led to. content: of an error, its problem object."""

    text: str
    content: dict[str, Any]
    is_error: bool


async def call_tool(books: Books, tool: Tool, arguments: Mapping[str, Any]) -> CallResult:
    """Return the answer of a tool, or the error. Raises nothing: a model reads the error and corrects its call."""
    started_at = perf_counter()
    code = None
    try:
        reply = await _run(books, tool, parse_arguments(tool, arguments))
        return CallResult(reply.text, reply.as_json(), is_error=False)
    except Problem as problem:
        code = problem.code
        return _describe_problem(problem, tool.arguments.model_fields)
    except Exception:
        log.exception("the tool failed", tool=tool.name)
        code = "internal_error"
        detail = "Internal error. The log of the service has the details under this request_id."
        return _describe_problem(Problem(detail, code=code, request_id=get_contextvars().get("request_id")))
    finally:
        log.info("tool", tool=tool.name, code=code, duration_ms=round((perf_counter() - started_at) * 1000, 2))


def not_ready() -> CallResult:
    """Return the error of a call before the database is migrated."""
    return _describe_problem(Unavailable("The database is not migrated yet.", code="not_migrated", retry_after=10))


def parse_arguments(tool: Tool, arguments: Mapping[str, Any]) -> BaseModel:
    """Return the arguments of a call. Null stands for an argument that is left out. Raises Invalid."""
    values = {name: value for name, value in arguments.items() if value is not None}
    try:
        return tool.arguments.model_validate(values)
    except ValidationError as error:
        finder = field_finder(tool.arguments.model_json_schema())
        faults = validation_faults(error.errors(include_url=False), fields=finder)
        raise Invalid.of(faults, subject="The call", code="invalid") from None


async def _run(books: Books, tool: Tool, arguments: BaseModel) -> ToolAnswer:
    """Return the answer of a tool, with fewer rows than it might have if it would be too long."""
    reply = await tool.run(books, arguments)
    while (size := reply.size) > MAX_BYTES and reply.row_count > 1:
        # Rows are not of one size, so that a few are left out besides.
        limit = max(1, reply.row_count * MAX_BYTES * 9 // (size * 10))
        arguments = arguments.model_copy(update={"limit": limit})
        reply = await tool.run(books, arguments)
    return reply


def _describe_problem(problem: Problem, fields: Container[str] = ()) -> CallResult:
    """Return an error as its problem object, with the names of arguments and tools instead of those of the API."""
    faults = [_describe_fault(fault, fields) for fault in problem.errors[:_MAX_FAULTS]]
    content: dict[str, Any] = {"code": problem.code, "detail": adapt(problem.detail)}
    if faults:
        content["errors"] = faults
    if (seconds := problem.headers.get("Retry-After", "")).isdigit():
        content["retry_after_seconds"] = int(seconds)
    content |= to_jsonable_python(problem.more)
    lines = [fault["detail"] for fault in faults if fault["detail"] != content["detail"]]
    return CallResult(join_lines(f"Error {problem.code}: {content['detail']}", *lines), content, is_error=True)


def _describe_fault(fault: Fault, fields: Container[str]) -> dict[str, Any]:
    """Return a fault whose pointer is into the arguments. Some have another name than the parameter."""
    pointer = fault["pointer"].removeprefix("/query").removeprefix("/path")
    name = pointer[1:]
    argument = name if name in fields else _OTHER_NAMES.get(name, name)
    pointer = f"/{argument}" if argument in fields else pointer
    return {**fault, "pointer": pointer, "detail": adapt(fault["detail"])}
