"""Cuts what runs and may not any more: when a policy changes, all that runs for its workload is decided anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator

from exitway.capture import sock_diag
from exitway.flows.access_log import AccessLogReader
from exitway.flows.flow import Flow
from exitway.flows.live import outside, split
from exitway.flows.log import now

_log = logging.getLogger("exitway")


_BATCH = 100
AGAIN_SECONDS = 5.0
"""After which what could not be cut is tried again."""


class Revoker:
    """Ends the *outer* connection of what is denied now, so exactly that: each carries one request or one connection at a time.

    It does so once the proxy has the policy, so that what is cut does not come back. What began before and is told of only later, is cut then.
    """

    def __init__(
        self, reader: AccessLogReader, settled: Callable[[], Awaitable[object]], tell: Callable[[Iterable[Flow]], None]
    ) -> None:
        self._reader = reader
        self._settled = settled
        self._tell = tell
        self._changed: set[str] = set()
        self._begun: list[bytes] = []
        self._failed: list[bytes] = []
        self._due = asyncio.Event()
        self._cutting = asyncio.Lock()
        self.problem = ""
        """Why something could not be cut; empty: it could."""

    def policy_changed(self, workload: str) -> None:
        """What runs for this workload (its id) is to be decided anew."""
        self._changed.add(workload)
        self._due.set()

    def begun(self, line: bytes) -> None:
        """Something runs, and is told of for the first time: it may have been let out by the policy before."""
        self._begun.append(line)
        self._due.set()

    async def run(self) -> None:
        """Cut what is due, until cancelled."""
        self.problem = sock_diag.unavailable()
        if self.problem:
            self.problem = f"connections that lose their permission cannot be cut and live on: {self.problem}"
            _log.error("%s", self.problem)
        while True:
            await self._due.wait()
            await self._settled()
            await self.cut()
            if self._failed:
                await asyncio.sleep(AGAIN_SECONDS)
                self._begun += self._failed
                self._failed = []
                self._due.set()

    async def cut(self) -> None:
        """Cut what is due; returns when that is done, whoever does it."""
        async with self._cutting:
            lines = [*self._begun, *(line for workload in self._changed for line in self._reader.live.of(workload))]
            self._begun, self._changed = [], set()
            self._due.clear()
            for batch in range(0, len(lines), _BATCH):
                self._tell(list(self._cut(lines[batch : batch + _BATCH])))
                await asyncio.sleep(0)  # others want to be served, too

    def _cut(self, lines: Iterable[bytes]) -> Iterator[Flow]:
        moment = now()
        for line in lines:
            flow = self._reader.revoked(line, moment)
            if flow is not None and self._destroy(line):
                self._reader.live.cut(split(line).identity)
                yield flow

    def _destroy(self, line: bytes) -> bool:
        ends = outside(line)
        try:
            cut = ends is not None and sock_diag.destroy(*ends)
        except OSError as error:
            self._failed.append(line)
            self.problem = f"a connection that has lost its permission could not be cut: {error}"
            _log.error("%s", self.problem)
            return False
        self.problem = ""
        return cut
