"""Which process of a workload a flow is of, as far as it can be told without taking much time."""

from __future__ import annotations

import time
from collections.abc import Mapping

from exitway.capture.owner import owner
from exitway.server.running import Running

SHARE = 0.05
"""Of the time that we look for processes; what comes in between is not known. A flood of connections must not keep us."""
_KEPT_SECONDS = 5.0
_MOST_KEPT = 1000


class Owners:
    """Remembers what it has found: a connection carries many requests."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[float, str]] = {}
        self._next = 0.0

    def of(self, running: Mapping[str, Running], identity: str, local: str, remote: str) -> str:
        """``pid/comm`` of the process of this workload (by its id) that has the connection; empty: it is not known."""
        now = time.monotonic()
        connection = identity, local, remote
        until, found = self._found.get(connection, (0.0, ""))
        if until < now:
            one = running.get(identity)
            if one is None or not local or now < self._next:
                return ""
            found = owner(one.netns, one.process.pid, local, remote)
            self._next = time.monotonic() + (time.monotonic() - now) / SHARE
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()
            self._found[connection] = time.monotonic() + _KEPT_SECONDS, found
        return found
