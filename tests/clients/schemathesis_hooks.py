"""How Schemathesis writes and reads the kinds of content that it does not know."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_ndjson(context: Any, value: Any) -> bytes:
    """Return a text as it is: the document says of NDJSON only that it is one."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
