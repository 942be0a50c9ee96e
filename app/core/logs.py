"""The log: every line is one JSON object, whether this service, uvicorn, SQLAlchemy or a warning writes it.

A line has `timestamp` (RFC 3339, UTC), `level`, `logger`, `event`, the bound context (such as `request_id`) and the fields of
the call; `exception` holds a traceback as one string. Lines are ASCII without control characters, so that no client can forge
a line or send escape sequences to a terminal. What looks like a key or a password is masked, however it is spelled: see `mask`.
"""

import asyncio
import contextlib
import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.types import EventDict, Processor

from app.core import secret_texts, traces


def _add_trace_id(_logger: Any, _method: str, entry: EventDict) -> EventDict:
    """Add the id of the trace that is being recorded, unless the client's is there."""
    if "trace_id" not in entry and (trace_id := traces.current_trace_id()):
        entry["trace_id"] = trace_id
    return entry


_PROCESSORS: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    _add_trace_id,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_VERBOSE_LOGGERS = ("alembic", "asyncio", "httpcore", "httpx", "mcp", "urllib3")  # httpx even logs complete URLs
_SECRET_FIELDS = frozenset({"admin_key", "api_key", "authorization", "database_url", "password", "secret", "x-api-key"})


def configure(level: str) -> None:
    """Send every log line of this process of `level` (debug, info, warning, error) or above to stderr as JSON.

    May be called again. Handlers that others added to the root logger stay.
    """
    root = logging.getLogger()
    root.setLevel(level.upper())
    if not any(isinstance(handler, _JsonHandler) for handler in root.handlers):
        root.addHandler(_JsonHandler())
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns about what it also raises, and that is handled
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"  # the middleware logs the requests
    # uvicorn compares the level of this logger itself before it composes trace lines.
    logging.getLogger("uvicorn.error").setLevel(level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.stdlib.filter_by_level, *_PROCESSORS, ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )


def configure_for_people() -> None:
    """Send warnings and errors of this process to stderr as plain lines: for commands that a person runs."""
    structlog.configure(processors=[_render_for_people], logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def _render_for_people(_logger: Any, level: str, entry: EventDict) -> str:
    if level in ("debug", "info"):
        raise structlog.DropEvent
    event, fields = entry.pop("event"), _mask(entry)
    return "; ".join([f"{level.capitalize()}: {event}", *(f"{name}: {value}" for name, value in fields.items())])


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Return False for the traceback of a request that a shutdown canceled: the request's own line records that."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def write_request_line(logger: str, **fields: Any) -> None:
    """Write the line of a request as `structlog.get_logger(logger).info("request", …)` does, in a third of its time.

    structlog and `logging` take longer than all else that is done for an answer from memory.
    """
    handlers = logging.getLogger().handlers
    if len(handlers) != 1 or not isinstance(handlers[0], _JsonHandler):
        structlog.get_logger(logger).info("request", **fields)
    elif logging.getLogger(logger).isEnabledFor(logging.INFO):
        timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        entry: EventDict = {"timestamp": timestamp, "level": "info", "event": "request", **fields}
        entry = _add_trace_id(None, "info", structlog.contextvars.merge_contextvars(None, "info", entry))
        handlers[0].write(_render_fields({**entry, "logger": logger}))


class _JsonHandler(logging.Handler):
    """Writes each record as one JSON line to the current sys.stderr, which tests replace."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(
            ProcessorFormatter(
                foreign_pre_chain=_PROCESSORS,
                processors=[
                    structlog.processors.format_exc_info,
                    structlog.processors.StackInfoRenderer(),
                    ProcessorFormatter.remove_processors_meta,
                    _render,
                ],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # a faulty log call must not fail the request, nor write lines that are not JSON
            line = _to_json({"level": "error", "logger": record.name, "event": f"unloggable: {type(error).__name__}"})
        self.write(line)

    def write(self, line: str) -> None:
        """Write a line to the current sys.stderr."""
        with contextlib.suppress(OSError, ValueError):  # nobody reads the log any more
            sys.stderr.write(line + "\n")


def _render(_logger: Any, _method: str, entry: EventDict) -> str:
    fields = {name: entry.pop(name) for name in ("timestamp", "level", "event")}
    fields.update(entry)
    return _render_fields(fields)


def _render_fields(fields: Mapping[str, Any]) -> str:
    line = _to_json(fields)
    return _to_json(_mask(fields)) if secret_texts.may_be_in(line) else line


# `json.dumps` makes an encoder for each line.
_encode = json.JSONEncoder(default=str, allow_nan=False).encode


def _to_json(entry: Mapping[str, Any]) -> str:
    try:
        line = _encode(entry)
    except ValueError:  # JSON has no NaN and no Infinity
        line = json.dumps(_mask(entry), allow_nan=False)
    return line.replace("\x7f", "\\u007f")


def _mask(value: Any) -> Any:
    """Return `value` with the secrets in it replaced by `***`, at any depth."""
    if isinstance(value, Mapping):
        return {k: "***" if str(k).lower() in _SECRET_FIELDS else _mask(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask(item) for item in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return mask(str(value))


def mask(text: str) -> str:
    """Return a text with the secrets in it replaced by `***`: keys, passwords, and ids of users who are being erased."""
    return secret_texts.mask(text) if secret_texts.may_be_in(text) else text


def hide(secret: str) -> None:
    """Mask this text, too, in every line from now on: for secrets that do not look like one."""
    secret_texts.add(secret)
