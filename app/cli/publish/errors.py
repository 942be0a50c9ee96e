"""The reference page of errors, codes and reasons."""

from collections.abc import Iterable

from app.cli.publish import codes
from app.cli.publish.markdown import code, fence, page, table

INTRO = """An error response has the content type `application/problem+json`
([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). `code` is for programs and does not change; `detail` is for people
and may. Where fields are wrong, `errors` names each with a JSON pointer. No error repeats the values you sent."""

EXAMPLE = """{
  "type": "about:blank",
  "title": "Unprocessable Entity",
  "status": 422,
  "detail": "The query parameters are invalid; see `errors`.",
  "code": "invalid",
  "errors": [{"pointer": "/query/limit", "code": "int_parsing", "detail": "…"}]
}"""

RETRIES = """## When to send a request again

| what happened | what to do |
|---|---|
| no response, connection cut | Send the same again. Events are counted once, however often you send them. |
| 503, 408 | Send the same again. Wait as long as the header `Retry-After` says, and longer each time (2, 4, 8 … seconds). |
| 500 | Send the same again once. If it fails again, report it. |
| 429 | Not used yet. Treat it like 503. |
| other 4xx | Do not send the same again: correct the request first. |
| 200 with `rejected` | Correct the rejected events and send the whole batch again: the accepted ones are duplicates then. |"""

SINGLE_FIELDS = """These stand in `errors` of the problem object, each with the pointer of its field. In `rejected`, an event
with wrong fields has the code and the pointer of the first one."""

PYDANTIC = """Fields are validated by Pydantic, which has further codes. The usual ones:"""

REASONS = """A row without a value has a `reason`. It is not an error: the answer is complete, but
this number cannot be computed."""


def render() -> str:
    """Return the page."""
    return page(
        "Errors and reasons",
        INTRO,
        fence(EXAMPLE, "json"),
        RETRIES,
        "## Requests",
        table(
            ("code", "status", "meaning", "what to do", "send again?"),
            ([code(c.code), c.status, c.meaning, c.action, "yes" if c.retry else "no"] for c in codes.REQUEST),
        ),
        "## Single events",
        "The other events of the batch are not affected. Sent again unchanged, such an event is rejected again, unless "
        "you first add the survey or exchange rate that was missing.",
        _without_status(codes.EVENT),
        "## Single fields",
        SINGLE_FIELDS,
        _without_status(codes.FIELD),
        PYDANTIC,
        _without_status(codes.PYDANTIC),
        "## Importing files",
        "A row of the report has the code of the row or, where an event was rejected, of the [event](#single-events).",
        _with_place(codes.IMPORT),
        "## Starting and commands",
        _with_place(codes.COMMAND),
        "## Reasons",
        REASONS,
        table(("reason", "meaning"), ([code(name), meaning] for name, meaning in codes.REASONS.items())),
    )


def _without_status(entries: Iterable[codes.Code]) -> str:
    return table(("code", "meaning", "what to do"), ([code(c.code), c.meaning, c.action] for c in entries))


def _with_place(entries: Iterable[codes.Code]) -> str:
    rows = ([code(c.code), c.status, c.meaning, c.action] for c in entries)
    return table(("code", "where", "meaning", "what to do"), rows)
