"""Which process of a workload a flow is of, as far as it can be told without taking much time."""

from __future__ import annotations

import time
from collections.abc import Mapping

from exitway.capture.owner import owner
from exitway.server.running import Running

SHARE, MOST_SECONDS = 0.05, 0.25
"""Of the time that we look for processes, and how much of it is saved up. A flood of connections must not keep us: of some it is not known."""
_KEPT_SECONDS = 5.0
_MOST_KEPT = 1000


class Owners:
    """Remembers what it has found: a connection carries many requests."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[float, str]] = {}
        self._saved, self._at = MOST_SECONDS, time.monotonic()

    def of(self, running: Mapping[str, Running], identity: str, local: str, remote: str) -> str:
        """``pid/comm`` of the process of this workload (by its id) that has the connection; empty: it is not known."""
        now = time.monotonic()
        connection = identity, local, remote
        until, found = self._found.get(connection, (0.0, ""))
        if until < now:
            one = running.get(identity)
            self._saved, self._at = min(MOST_SECONDS, self._saved + (now - self._at) * SHARE), now
            if one is None or not local or self._saved <= 0:
                return ""
            found = owner(one.netns, one.process.pid, local, remote)
            self._saved -= time.monotonic() - now
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()
            self._found[connection] = time.monotonic() + _KEPT_SECONDS, found
        return found
