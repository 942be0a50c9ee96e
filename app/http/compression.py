"""The content codings of responses: which a client accepts, which bodies are compressed, and how."""

import gzip

import zstandard
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES

from app.http.formats import FORMATS
from app.http.preferences import read_preferences
from app.http.remember import remember_short

# In the order in which they are preferred.
CODINGS = ("zstd", "gzip")
# Compression shrinks long tables to a tenth; for short answers it would only cost time.
MIN_COMPRESSED_BYTES = 16_384
GZIP_LEVEL, _ZSTD_LEVEL = 4, 3
# Those of content that is compressed already.
UNCOMPRESSED_TYPES = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    *(entry.media_type for entry in FORMATS.values() if not entry.is_text),
)


@remember_short(256)
def choose_coding(accept_encoding: str) -> str:
    """Return the content coding for a client with this header `Accept-Encoding`; empty for none.

    >>> choose_coding("gzip;q=0.5, zstd;q=0, br")
    'gzip'
    """
    qualities = dict(read_preferences(accept_encoding))
    accepted = [(qualities.get(name, qualities.get("*", 0.0)), name) for name in CODINGS]
    best = max(accepted, key=lambda own: own[0])
    return best[1] if best[0] > 0 else ""


def is_compressed(body: bytes, content_type: str) -> bool:
    """Return whether a body of this type is compressed for a client that accepts that."""
    return len(body) >= MIN_COMPRESSED_BYTES and content_type.partition(";")[0] not in UNCOMPRESSED_TYPES


def compress(body: bytes, coding: str) -> bytes:
    """Return a body in a content coding."""
    if coding == "gzip":
        return gzip.compress(body, GZIP_LEVEL, mtime=0)
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
