"""The encoder: what turns an answer into the bytes of an output format, part by part."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from app.http.tables import Answer, Row


class Encoder(ABC):
    """Encodes one answer. `begin` comes first, then `add` for all rows in their order, some at a time, then `end`.

    Each returns the bytes that are complete. Rows that are not needed any more must not be kept, since there may be a million.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def begin(self) -> bytes:
        return b""

    @abstractmethod
    def add(self, rows: Sequence[Row]) -> bytes: ...

    def end(self) -> bytes:
        return b""
