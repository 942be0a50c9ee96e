"""The process that makes pictures of specifications. It is run as a script, imports nothing of ours, and knows no secret.

It reads requests from standard input and writes results to standard output, one after the other, until its input ends. A
request is a format (one byte), a scale, a length and that many bytes of JSON; a result is 1 or 0 (a picture or an error), a
length and bytes. It ends by itself when nothing comes for a while, or when it has grown: the next request starts another one.
"""

import contextlib
import os
import resource
import select
import struct
import sys
from typing import Any

REQUEST, RESULT = struct.Struct("!sdI"), struct.Struct("!BI")
FORMATS = {b"s": "svg", b"p": "png"}
VEGA_LITE = "6.4"
# Of memory that it may write to, in bytes. The JavaScript engine ends the process beyond it.
MAX_MEMORY = 2**30
# It ends after a picture when it is larger than this, in kilobytes.
_GROWN = 400 * 1024
_IDLE_SECONDS = 300
_MAX_PICTURES = 500


def main() -> None:
    """Serve requests."""
    sys.path[:] = sys.argv[1:]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    # Nothing but results goes to the pipe.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for _ in range(_MAX_PICTURES):
        if not select.select([0], [], [], _IDLE_SECONDS)[0] or not (head := _read(REQUEST.size)):
            return
        letter, scale, length = REQUEST.unpack(head)
        try:
            is_picture, content = True, render(_read(length).decode(), FORMATS[letter], scale)
        except Exception as error:
            is_picture, content = False, f"{type(error).__name__}: {error}".encode()[:2_000]
        output.write(RESULT.pack(is_picture, len(content)) + content)
        output.flush()
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > _GROWN:
            return


def _read(count: int) -> bytes:
    """Return so many bytes of standard input; fewer at its end."""
    parts: list[bytes] = []
    while count and (part := os.read(0, min(count, 2**20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def render(specification: str, format: str, scale: float) -> bytes:
    """Return a picture of a Vega-Lite specification. It may load nothing."""
    import vl_convert

    options: dict[str, Any] = {"vl_version": VEGA_LITE, "allowed_base_urls": []}
    if format == "svg":
        svg: str = vl_convert.vegalite_to_svg(specification, **options)
        return svg.encode()
    png: bytes = vl_convert.vegalite_to_png(specification, scale=scale, **options)
    return png


if __name__ == "__main__":
    main()
