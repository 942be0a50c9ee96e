"""An answer in a format, part by part, with the further pages of the answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from time import monotonic

from app.core.errors import Busy, Unavailable
from app.http.encoder import Encoder
from app.http.formats import ROWS_PER_PART, Format
from app.http.tables import Answer, Row, take_batches

# How long a stream waits for other questions before its next page, and for how long between two attempts.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 60.0, 0.5
_BUSY_CODES = ("busy", "too_many_questions")


class EncodedStream:
    """The parts of an answer in a format, encoded one after the other in a thread.

    fields: of the further pages, if it has more.
    """

    def __init__(self, entry: Format, answer: Answer, fields: Sequence[str], *, has_more: bool) -> None:
        self.entry, self._answer, self._fields, self._has_more = entry, answer, fields, has_more

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the parts, the first of which has rows. Raises what loading further pages raises."""
        answer = self._answer
        encoder = await asyncio.to_thread(self.entry.encoder, answer)
        rest = await asyncio.to_thread(encoder.begin)
        if self._has_more and not answer.size and rest:
            # The rows are yet to be found.
            yield rest
            rest = b""
        while True:
            batches = take_batches(answer.rows, ROWS_PER_PART)
            while (part := await asyncio.to_thread(_encode_next, encoder, batches)) is not None:
                if part:
                    yield rest + part
                    rest = b""
            if not self._has_more or answer.next is None or answer.load_more is None:
                break
            answer = await _load_more(answer.load_more, answer.next)
            if self._fields:
                answer = answer.with_fields(self._fields)
        yield rest + await asyncio.to_thread(encoder.end)


async def _load_more(load: Callable[[str], Awaitable[Answer]], cursor: str) -> Answer:
    """Return the next page. The client has the first part and cannot be refused any more, so it waits for others longer."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await load(cursor)
        except (Busy, Unavailable) as problem:
            if problem.code not in _BUSY_CODES or monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)


def _encode_next(encoder: Encoder, batches: Iterator[list[Row]]) -> bytes | None:
    """Return the next rows encoded, None after the last. To compute them is a part of it."""
    rows = next(batches, None)
    return None if rows is None else encoder.add(rows)
