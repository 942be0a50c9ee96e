"""The log: every line is one JSON object, whoever wrote it — this service, uvicorn, SQLAlchemy, a warning.

A line has `timestamp` (RFC 3339, UTC), `level`, `logger`, `event`, what is bound (such as `request_id`) and what the
call adds; `exception` holds a traceback as one string. Lines are ASCII without control characters, so that no client
can forge a line or paint a terminal, and what looks like a key is masked.
"""

import asyncio
import contextlib
import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.types import EventDict, Processor

_COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_CHATTY = ("alembic", "asyncio", "httpcore", "httpx", "urllib3")  # httpx even logs whole addresses
_SECRET_FIELDS = frozenset({"admin_key", "api_key", "authorization", "database_url", "password", "secret", "x-api-key"})
_HINTS = ("api", "auth", "bearer", "password", "secret", "_key", "database_url", "://", "personal")
_SECRETS = (
    (re.compile(r"(api(?:_|%5f)key=)[^&\s\"'\\]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"((?:authorization|x-api-key)['\"]?\s*[:=,]\s*b?['\"]?)[^'\"\r\n]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(bearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"(/users/).+?(/personal-data)", re.IGNORECASE), r"\1***\2"),  # who is erased
    (re.compile(r"(://[^:/@\s]*:)[^@\s]+@"), r"\1***@"),
)


def configure(level: str) -> None:
    """Send every log line of this process of `level` (debug, info, warning, error) or above to stderr as JSON.

    May be called again; handlers that others put on the root logger stay.
    """
    root = logging.getLogger()
    root.setLevel(level.upper())
    if not any(isinstance(handler, _Lines) for handler in root.handlers):
        root.addHandler(_Lines())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of what it raises, and what is raised is seen to
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"  # the shell writes a line for each request
    # uvicorn compares the level of this very logger before it composes lines that nobody reads.
    logging.getLogger("uvicorn.error").setLevel(level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.stdlib.filter_by_level, *_COMMON, ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )


def _is_news(record: logging.LogRecord) -> bool:
    """Not the traceback of a request that a stop has cut: the request's own line tells it."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class _Lines(logging.Handler):
    """Writes to whatever sys.stderr is at the time, one write a line."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(
            ProcessorFormatter(
                foreign_pre_chain=_COMMON,
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
        except Exception as error:  # a log call at fault must not fail the request, nor print lines that are no JSON
            line = _line({"level": "error", "logger": record.name, "event": f"unloggable: {type(error).__name__}"})
        with contextlib.suppress(OSError, ValueError):  # nobody reads the log any more
            sys.stderr.write(line + "\n")


def _render(_logger: Any, _method: str, entry: EventDict) -> str:
    ordered = {name: entry.pop(name) for name in ("timestamp", "level", "event")}
    ordered.update(entry)
    line = _line(ordered)
    return _line(_masked(ordered)) if _may_tell(line) else line


def _may_tell(text: str) -> bool:
    """Whether it is worth looking for secrets in `text`; it seldom is, and this is quick."""
    lowered = text.lower().replace("api_key=***", "")
    return any(hint in lowered for hint in _HINTS)


def _line(entry: Mapping[str, Any]) -> str:
    try:
        line = json.dumps(entry, default=str, allow_nan=False)
    except ValueError:  # NaN and Infinity are no JSON
        line = json.dumps(_masked(entry), allow_nan=False)
    return line.replace("\x7f", "\\u007f")


def _masked(value: Any) -> Any:
    """`value` with the secrets in it replaced by `***`, at any depth."""
    if isinstance(value, Mapping):
        return {k: "***" if str(k).lower() in _SECRET_FIELDS else _masked(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item) for item in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value)
    if not _may_tell(text):
        return text
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
