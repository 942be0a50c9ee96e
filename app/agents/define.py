"""How a tool is declared: a function over its arguments, one block for each tool.

    @tool(arguments=QueryArguments, output=object_schema({...}), instead_of=["GET /v1/query"])
    async def query_metrics(books, arguments):
        "Query metrics: return the numbers of one metric or several, by period and group."
        ...
        return ToolAnswer(text, content)

The name of the function is the name of the tool, its docstring is `title: description`. Tools only read. They call the functions
that the endpoints of the API call, and raise the same errors.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import to_json, to_jsonable_python

from app.books.books import Books

# Of an answer, text and structured content together: what a model reads costs money, and crowds out what it read before.
MAX_BYTES = 32_000
MAX_ROWS = 100


class ToolAnswer(NamedTuple):
    """What a tool answers: the content as a JSON object, and the same as a short text for clients that show only text.

    row_count: of the list that `limit` makes shorter.
    """

    text: str
    content: Mapping[str, Any]
    row_count: int = 0

    @property
    def size(self) -> int:
        """The size of the reply in bytes."""
        return len(self.text.encode()) + len(to_json(self.content))

    def as_json(self) -> dict[str, Any]:
        """Return the content with all values as JSON has them."""
        content: dict[str, Any] = to_jsonable_python(self.content)
        return content


def first_short_enough(build: Callable[[int], ToolAnswer], counts: Iterable[int]) -> ToolAnswer:
    """Return the first answer that is not too long of those with so many items of each list, the most first."""
    answers = (build(count) for count in counts)
    answer = next(answers)
    while answer.size > MAX_BYTES and (shorter := next(answers, None)) is not None:
        answer = shorter
    return answer


Run = Callable[[Books, Any], Awaitable[ToolAnswer]]


@dataclass(frozen=True, slots=True)
class Tool:
    """An entry of the catalogue. instead_of: the endpoints that do the same, which errors and descriptions name."""

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    output: Mapping[str, Any]
    instead_of: Sequence[str]
    run: Run


TOOLS: dict[str, Tool] = {}


def tool(
    *, arguments: type[BaseModel], output: Mapping[str, Any], instead_of: Sequence[str] = ()
) -> Callable[[Run], Tool]:
    """Register a tool. Raises ValueError when it has no `title: description` or its name is taken."""

    def register(run: Run) -> Tool:
        title, colon, description = " ".join((run.__doc__ or "").split()).partition(": ")
        if not colon or run.__name__ in TOOLS:
            raise ValueError(f"The tool {run.__name__} exists already or has no documentation.")
        TOOLS[run.__name__] = entry = Tool(
            name=run.__name__,
            title=title,
            description=description[:1].upper() + description[1:],
            arguments=arguments,
            output=output,
            instead_of=instead_of,
            run=run,
        )
        return entry

    return register
