"""A file to which others write, and whose bytes are taken while they do."""

import io
from typing import Any


class Sink(io.RawIOBase):
    """A file in memory that can only be written to. What was taken is gone."""

    def __init__(self) -> None:
        self._parts = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = len(self._parts)
        self._parts += data
        return len(self._parts) - size

    def take(self) -> bytes:
        """Return the bytes that were written since the last time."""
        data, self._parts = bytes(self._parts), bytearray()
        return data
