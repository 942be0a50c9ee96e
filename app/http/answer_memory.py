"""Answers that are kept in memory, as they are sent: the headers and the body, compressed once for each content coding.

An answer is kept for a question and a state of the data (see `database.data_state`). Another state replaces it. The memory is
that of one process and has a limit; the answers that were not used for the longest time go first.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.types import Send

from app.core import meters
from app.core.aside import MAX_ITEMS, run_aside
from app.http.compression import compress, is_compressed

# One answer may take at most an eighth of the memory.
_LARGEST_PART = 8
# What an answer takes besides its bodies, about.
_OVERHEAD = 2_000

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(slots=True, eq=False)
class KeptAnswer:
    """An answer of status 200.

    question, state: what it answers, see `Poll`. tag: its entity tag. bodies: by content coding, which is empty for none.
    """

    question: bytes
    state: str
    tag: str
    headers: RawHeaders
    bodies: dict[str, bytes]

    @property
    def size(self) -> int:
        """How many bytes it takes in memory, about."""
        return _OVERHEAD + sum(map(len, self.bodies.values()))

    @property
    def content_type(self) -> str:
        return next((value.decode("latin-1") for name, value in self.headers if name == b"content-type"), "")

    async def body_in(self, coding: str) -> tuple[str, bytes]:
        """Return the content coding in which the answer is sent to who accepts `coding`, and its body."""
        plain = self.bodies[""]
        if not coding or not is_compressed(plain, self.content_type):
            return "", plain
        if (body := self.bodies.get(coding)) is None:
            body = self.bodies[coding] = await run_aside(lambda: compress(plain, coding), items=MAX_ITEMS + 1)
        return coding, body

    async def send(self, send: Send, coding: str) -> None:
        """Send it as the response to a request that accepts a content coding."""
        own_coding, body = await self.body_in(coding)
        headers = [*self.headers, (b"content-length", b"%d" % len(body))]
        if own_coding:
            headers.append((b"content-encoding", own_coding.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass(slots=True)
class AnswerMemory:
    """The kept answers of one process. max_bytes: how much they may take; 0: none is kept."""

    max_bytes: int
    _size: int = 0
    _answers: OrderedDict[bytes, KeptAnswer] = field(default_factory=OrderedDict)
    # The size of each answer that `_size` contains.
    _sizes: dict[bytes, int] = field(default_factory=dict)

    def find(self, question: bytes, state: str) -> KeptAnswer | None:
        """Return the answer to a question in a state of the data, if it is kept."""
        answer = self._answers.get(question)
        if answer is None or answer.state != state:
            return None
        self._answers.move_to_end(question)
        return answer

    def keep(self, answer: KeptAnswer) -> None:
        """Keep an answer, or notice that it has grown; it replaces the one to the same question."""
        if self._answers.get(answer.question) is answer and self._sizes[answer.question] == answer.size:
            return
        self._remove(answer.question)
        if answer.size * _LARGEST_PART <= self.max_bytes:
            self._answers[answer.question] = answer
            self._sizes[answer.question] = answer.size
            self._size += answer.size
            while self._size > self.max_bytes:
                self._remove(next(iter(self._answers)))
        meters.KEPT_ANSWERS.set(len(self._answers))
        meters.KEPT_BYTES.set(self._size)

    def clear(self) -> None:
        """Forget all answers."""
        for question in list(self._answers):
            self._remove(question)

    @property
    def size(self) -> int:
        """How many bytes the answers take."""
        return self._size

    def _remove(self, question: bytes) -> None:
        if self._answers.pop(question, None) is not None:
            self._size -= self._sizes.pop(question)
