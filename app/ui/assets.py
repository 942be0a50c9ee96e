"""The static files of the page, as they are sent. They are read once; their address has a hash of the contents of all."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import zstandard

FOLDER = Path(__file__).parent / "static"
_TEXT_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
# The document, which is filled in, and types, which only programmers need.
_NOT_SENT = ("index.html", ".d.ts")
_MIN_COMPRESSED_BYTES = 1_000
_GZIP_LEVEL, _ZSTD_LEVEL = 9, 19


@dataclass(frozen=True, slots=True)
class Asset:
    """A file. bodies: by content coding, empty for none."""

    content_type: str
    bodies: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by their paths, such as `views/overview.js`. version: a hash of all of them, the first part of their address."""

    version: str
    files: dict[str, Asset]


@cache
def load_assets() -> Assets:
    """Return the files. The manifest of the vendored modules is one of them, as are their licences."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.is_file() and not path.name.endswith(_NOT_SENT))
    digest = hashlib.sha256()
    files = {}
    for path in paths:
        name, content = path.relative_to(FOLDER).as_posix(), path.read_bytes()
        digest.update(name.encode() + b"\0" + content)
        files[name] = _read(path, content)
    return Assets(digest.hexdigest()[:16], files)


def _read(path: Path, content: bytes) -> Asset:
    content_type = _TEXT_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    bodies = {"": content}
    if len(content) >= _MIN_COMPRESSED_BYTES and not content_type.startswith("font/"):
        bodies["gzip"] = gzip.compress(content, _GZIP_LEVEL, mtime=0)
        bodies["zstd"] = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content)
    return Asset(content_type, bodies)
