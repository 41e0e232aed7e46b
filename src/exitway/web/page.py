"""The files of the page. They are public, as the code is: they hold nothing of a machine, so no token is asked for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

ROOT = "/exitway/v1/dashboard"
"""Where the server has the page and what it asks for."""

ASKED = ("events", "rule")
"""What the page asks for: for those who know the token."""

_DIRECTORY = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class File:
    """``etag`` is a hash of the content."""

    content: bytes
    type: str
    etag: str


def files() -> dict[str, File]:
    """The files by the last part of their path; that of the page itself is empty."""
    paths = sorted(path for path in _DIRECTORY.iterdir() if path.suffix in _TYPES)
    return {"" if path.name == "index.html" else path.name: _file(path) for path in paths}


def _file(path: Path) -> File:
    content = path.read_bytes()
    return File(content, _TYPES[path.suffix], f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"')
