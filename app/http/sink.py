"""A file to which others write, and whose bytes are taken while they do."""


class Sink:
    """A file in memory that can only be written to. What was taken is gone."""

    def __init__(self) -> None:
        self._parts = bytearray()
        self._position = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        size = len(self._parts)
        self._parts += data
        count = len(self._parts) - size
        self._position += count
        return count

    def take(self) -> bytes:
        """Return the bytes that were written since the last time."""
        data, self._parts = bytes(self._parts), bytearray()
        return data

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
