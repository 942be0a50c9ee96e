"""The static files of the page, as they are sent. They are read once; their address has a hash of the contents of all."""

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import zstandard

from app.core.aside import run_aside

FOLDER = Path(__file__).parent / "static"
ENTRY = "main.js"
_TEXT_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
# The document, which is filled in, and types, which only programmers need.
_NOT_SENT = ("index.html", ".d.ts")
_MIN_COMPRESSED_BYTES = 1_000
_GZIP_LEVEL, _ZSTD_LEVEL = 9, 19
_IMPORT = re.compile(r'^(?:import|export)\b[^"(;=]*"(\.{1,2}/[^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file. bodies: by content coding, what was asked for so far."""

    content_type: str
    content: bytes
    bodies: dict[str, bytes] = field(default_factory=dict)

    async def encode(self, coding: str) -> tuple[str, bytes]:
        """Return a coding and the content in it. Small files have none. The first time takes up to a second, aside."""
        if not coding or len(self.content) < _MIN_COMPRESSED_BYTES or self.content_type.startswith("font/"):
            return "", self.content
        if coding not in self.bodies:
            self.bodies[coding] = await run_aside(lambda: _compress(self.content, coding), items=len(self.content))
        return coding, self.bodies[coding]


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by their paths, such as `views/overview.js`.

    version: a hash of all of them, the first part of their address. modules: those that views share, which a browser
    would otherwise find one after the other.
    """

    version: str
    files: dict[str, Asset]
    modules: tuple[str, ...]


@cache
def load_assets() -> Assets:
    """Return the files. The manifest of the vendored modules is one of them, as are their licences."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.is_file() and not path.name.endswith(_NOT_SENT))
    digest = hashlib.sha256()
    files = {}
    for path in paths:
        name, content = path.relative_to(FOLDER).as_posix(), path.read_bytes()
        digest.update(name.encode() + b"\0" + content)
        files[name] = Asset(_content_type(path), content)
    return Assets(digest.hexdigest()[:16], files, _find_modules(files))


def _content_type(path: Path) -> str:
    return _TEXT_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _compress(content: bytes, coding: str) -> bytes:
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content)
    return gzip.compress(content, _GZIP_LEVEL, mtime=0)


def _find_modules(files: Mapping[str, Asset]) -> tuple[str, ...]:
    """Return the paths of the modules that the first one or a view imports."""
    paths: dict[str, None] = {}
    pending = [ENTRY, *(name for name in files if name.startswith("views/"))]
    while pending:
        name = pending.pop(0)
        for target in _IMPORT.findall(files[name].content.decode()):
            path = (FOLDER / name).parent.joinpath(target).resolve().relative_to(FOLDER.resolve()).as_posix()
            if path not in paths:
                paths[path] = None
                pending.append(path)
    return tuple(paths)
