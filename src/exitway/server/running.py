"""A workload that is served: what serves it inside its network namespace, and whether the proxy listens there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exitway.capture.netns import in_netns
from exitway.capture.nflog import RefusalLog
from exitway.names.address import CAPTURE_PORT, TCP_PORT
from exitway.processes import Process
from exitway.server.program import Member

_LISTEN = "0A"
"""TCP_LISTEN, as /proc/net/tcp writes it."""


@dataclass
class Running:
    """A workload with what serves it inside its network namespace. ``process``: one that is in there."""

    member: Member
    process: Process
    refusals: RefusalLog | None = None
    watch: asyncio.Task[None] | None = None

    @property
    def netns(self) -> Path:
        """Its network namespace."""
        return Path(self.member.netns)

    def close(self) -> None:
        """Serve it no more; may be called by its own watch."""
        if self.refusals is not None:
            self.refusals.close()
        if self.watch is not None and self.watch is not asyncio.current_task():
            self.watch.cancel()


def listening(netns: Path) -> bool:
    """Whether both of the proxy's ports are listened on in there, over IPv4 and IPv6.

    Seen in the kernel's table: a connection would be recorded.

    Raises:
        OSError: there is no namespace at the path.
    """
    return in_netns(netns, _accepts)


def _accepts() -> bool:
    four, six = (Path("/proc/thread-self/net") / table for table in ("tcp", "tcp6"))
    tables = (four, six) if six.exists() else (four,)
    return all({CAPTURE_PORT, TCP_PORT} <= set(_listening_ports(table)) for table in tables)


def _listening_ports(table: Path) -> Iterator[int]:
    for line in table.read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == _LISTEN:
            yield int(local.rpartition(":")[2], 16)
