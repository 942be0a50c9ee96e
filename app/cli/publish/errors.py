"""The reference page of errors, codes and reasons."""

from collections.abc import Iterable

from app.cli.publish.markdown import code, fence, page, table
from app.core import codes

INTRO = """An error response has the content type `application/problem+json`
([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). `code` is for programs and does not change; `detail` is for people
and may. `errors` lists every fault with a JSON pointer into the body; `/query/limit` is the parameter `limit`, and
`/path/metric` a part of the path. A name that does not exist is repeated as `name`, and `did_you_mean` has up to three names
that do. No error repeats other values that you sent."""

EXAMPLE = """{
  "type": "about:blank",
  "title": "Unprocessable Entity",
  "status": 422,
  "detail": "The question has 2 faults; see `errors`.",
  "code": "invalid",
  "errors": [
    {"pointer": "/query/period", "code": "invalid_period", "detail": "…"},
    {"pointer": "/query/group_by", "code": "unrecorded_attribute", "detail": "…", "name": "plann", "did_you_mean": ["plan"]}
  ]
}"""

RETRIES = """## When to send a request again

| what happened | what to do |
|---|---|
| no response, connection cut | Send the same again. Events are counted once, however often you send them. |
| 503, 408 | Send the same again. Wait as long as the header `Retry-After` says, and longer each time (2, 4, 8 … seconds). |
| 500 | Send the same again once. If it fails again, report it. |
| 429 | This key asks too much, or too much at once: send it again after `Retry-After` seconds. Other keys are not affected. |
| other 4xx | Do not send the same again: correct the request first. |
| 200 with `rejected` | Correct the rejected events and send the whole batch again: the accepted ones are duplicates then. |"""

SINGLE_FIELDS = """These stand in `errors` of the problem object, each with the pointer of its field. An item of `rejected` has
its own `errors` with all faults of the event; its `code`, `detail` and `pointer` are those of the first. Sent again unchanged,
it is rejected again."""

PYDANTIC = """Fields are validated by Pydantic, which has these codes besides:"""

REASONS = """A row without a value has a `reason`. It is not an error: the answer is complete, but
this number cannot be computed. Asked again, it is the same until more data arrives. An answer as of a day on which nothing was
known has the `reason` beside its rows, too."""

BACKTEST = """The [back-test](../guides/health.md#back-test) says so of the whole answer, of a cut-off or of accounts: as
`reason`, in `left_out` and in `warnings`."""


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
        "The other events of the batch are not affected. Each item of `rejected` lists all faults of its event in `errors`.",
        table(
            ("code", "meaning", "what to do", "send again?"),
            ([code(c.code), c.meaning, c.action, "as it is, then" if c.retry else "corrected"] for c in codes.EVENT),
        ),
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
        "### Of a back-test",
        BACKTEST,
        table(("reason", "meaning"), ([code(name), meaning] for name, meaning in codes.BACKTEST.items())),
    )


def _without_status(entries: Iterable[codes.Code]) -> str:
    return table(("code", "meaning", "what to do"), ([code(c.code), c.meaning, c.action] for c in entries))


def _with_place(entries: Iterable[codes.Code]) -> str:
    rows = ([code(c.code), c.status, c.meaning, c.action] for c in entries)
    return table(("code", "where", "meaning", "what to do"), rows)
