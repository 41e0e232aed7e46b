"""Reading what Envoy appends to its access log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from exitway.flows.flow import stamp

_CHUNK = 2**18
"""Bytes. Envoy's lines are shorter: what others say is cut in them (``envoy/access_log.py``)."""


def now() -> str:
    """The time of a flow that is seen now."""
    return stamp(datetime.now(UTC))


class Tail:
    """The whole lines that have been appended to a file since the last look. A file that shrank is read from its beginning.

    What is longer than a chunk is no line of Envoy's, and comes in pieces: nothing waits behind it.
    """

    def __init__(self, path: Path, position: int = 0) -> None:
        self.path = path
        self.position = position
        """Bytes read so far, up to the end of a line."""

    @property
    def unread(self) -> int:
        """Bytes that there are beyond."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return 0
        return size - self.position if size >= self.position else size

    def lines(self) -> Iterator[bytes]:
        """New lines, without their ends."""
        while chunk := self.chunk():
            yield from chunk

    def chunk(self) -> list[bytes]:
        """Some of them, the next ones; the position is behind them. None: there are no more."""
        unread = self.unread
        if not unread:
            return []
        if self.path.stat().st_size < self.position:
            self.position = 0
        with self.path.open("rb") as file:
            file.seek(self.position)
            read = file.read(_CHUNK)
        whole, end, piece = read.rpartition(b"\n")
        if end:
            self.position += len(whole) + 1
            return whole.split(b"\n")
        if len(piece) < _CHUNK:
            return []
        self.position += len(piece)
        return [piece]
