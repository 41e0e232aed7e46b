"""What Envoy has logged and nobody has read yet: of its log, and of the one before, which may just have been put aside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from exitway.flows.log import Tail
from exitway.server.supervise import aside

_FIRST_BYTES = 4096


class Unread:
    """Chunks of lines, each once, also by another reader that begins where this one had come to (``mark``)."""

    def __init__(self, access_log: Path, mark: str = "") -> None:
        self._path = access_log
        before, _, position = mark.partition(" ")
        self._tails = [Tail(aside(access_log)), Tail(access_log)]
        for index, tail in enumerate(self._tails):
            if before and before == _identity(tail.path):
                tail.position = int(position)
                del self._tails[:index]  # what was put aside before it was read
                break

    @property
    def mark(self) -> str:
        """How far it is read. A file is known by how it begins: there are times in there."""
        tail = self._tails[0]
        return f"{_identity(tail.path)} {tail.position}" if tail.position else ""

    @property
    def aside(self) -> bool:
        """Whether something of the log that was put aside may yet be to read."""
        return len(self._tails) > 1

    @property
    def unread(self) -> int:
        """Bytes that are yet to be read."""
        return sum(tail.unread for tail in self._tails)

    def chunks(self) -> Iterator[list[bytes]]:
        """All that is there now, chunk by chunk; the mark is behind the last one."""
        while True:
            chunk = self._tails[0].chunk()
            if chunk:
                yield chunk
            elif len(self._tails) > 1:
                del self._tails[0]
            else:
                return

    def rotated(self) -> None:
        """The log was put aside; Envoy begins another, and has ended writing this one."""
        self._tails = [Tail(aside(self._path), self._tails[-1].position), Tail(self._path)]


def _identity(path: Path) -> str:
    """Of a file that has a whole line at least; else empty."""
    try:
        with path.open("rb") as file:
            first, end, _ = file.read(_FIRST_BYTES).partition(b"\n")
    except OSError:
        return ""
    return hashlib.blake2b(first, digest_size=8).hexdigest() if end or len(first) == _FIRST_BYTES else ""
