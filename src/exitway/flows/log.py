"""The log at rest: reading what Envoy appends, writing our own lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from exitway.flows.flow import Flow

LARGEST_LOG = 64 * 2**20
"""Bytes of a flow log before it is put aside as ``.1``, in the place of the one before."""

_CHUNK = 4 * 2**20


def now() -> str:
    """The time of a flow that is seen now."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tail:
    """The whole lines that have been appended to a file since the last look. A file that shrank is read from its beginning."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path = path
        self.position = position
        """Bytes read so far, up to the end of a line."""

    def lines(self) -> Iterator[bytes]:
        """New lines, without their ends."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return
        if size < self.position:
            self.position = 0
        with self._path.open("rb") as file:
            while self.position < size:
                file.seek(self.position)
                whole, end, _ = file.read(_CHUNK).rpartition(b"\n")
                if not end:
                    return
                self.position += len(whole) + 1
                yield from whole.split(b"\n")


class FlowLog:
    """Appends flows to a file of mode 0600, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch(mode=0o600)

    def write(self, flows: Iterable[Flow]) -> None:
        """Append the flows; nothing is written for none."""
        text = "".join(f"{flow.line()}\n" for flow in flows)
        if not text:
            return
        if self._path.exists() and self._path.stat().st_size > LARGEST_LOG:
            self._path.replace(f"{self._path}.1")
            self._path.touch(mode=0o600)
        with self._path.open("a") as file:
            file.write(text)
