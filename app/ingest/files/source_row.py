"""A row of a data file with the events that it makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.ingest.files.mapping import EventTemplate


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A record of a data file, or a group of records: its events, or why there are none.

    file: the path as the caller gave it. line: where the record starts, from 1. raw: the text of the record.
    events, templates: the events, and the part of the mapping that made each. problems: `code: reason` for everything that
    is wrong, if so. reason: why the row is skipped, if it is. consumed: bytes read so far of all files (of packed files,
    packed bytes); at most `total_size(files)`. count: how many records it stands for.
    """

    file: str
    line: int
    raw: str
    events: Sequence[dict[str, Any]] = ()
    templates: Sequence[EventTemplate] = ()
    problems: Sequence[str] = ()
    reason: str | None = None
    consumed: int = 0
    count: int = 1
