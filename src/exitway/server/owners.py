"""Which process of a workload a flow is of, as far as it can be told without taking much time."""

from __future__ import annotations

import time
from collections.abc import Mapping

from exitway.capture.owner import owner
from exitway.server.running import Running

SHARE, MOST_SECONDS = 0.05, 0.25
"""Of the time that we look for processes, and how much of it is saved up. A flood of connections must not keep us: of some it is not known."""
_KEPT_SECONDS = 5.0
_BEGUN_SECONDS = 10.0
"""How long it is kept who began a connection: its line in the log is read later, but its port must not be another's by then."""
_MOST_KEPT = 2000


class Owners:
    """Remembers what it has found: a connection carries many requests."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[float, str]] = {}
        self._saved, self._at = MOST_SECONDS, time.monotonic()

    def began(self, running: Mapping[str, Running], identity: str, local: str, remote: str) -> None:
        """A connection of this workload has just begun: a short command will soon be gone."""
        self._found.pop((identity, local, remote), None)  # of an earlier one with the same port
        if found := self._look(running, identity, local, remote):
            self._keep((identity, local, remote), found, _BEGUN_SECONDS)

    def of(self, running: Mapping[str, Running], identity: str, local: str, remote: str) -> str:
        """``pid/comm`` of the process of this workload (by its id) that has the connection; empty: it is not known."""
        connection = identity, local, remote
        until, found = self._found.get(connection, (0.0, ""))
        if until < time.monotonic():
            looked = self._look(running, identity, local, remote) if local else None
            if looked is None:
                return ""
            found = looked
            self._keep(connection, found, _KEPT_SECONDS)
        return found

    def _look(self, running: Mapping[str, Running], identity: str, local: str, remote: str) -> str | None:
        """Empty: it cannot be told; None: there is no time for it, or no such workload."""
        now = time.monotonic()
        self._saved, self._at = min(MOST_SECONDS, self._saved + (now - self._at) * SHARE), now
        one = running.get(identity)
        if one is None or self._saved <= 0:
            return None
        found = owner(one.netns, one.process.pid, local, remote)
        self._saved -= time.monotonic() - now
        return found

    def _keep(self, connection: tuple[str, str, str], found: str, seconds: float) -> None:
        if len(self._found) >= _MOST_KEPT:
            del self._found[next(iter(self._found))]
        self._found[connection] = time.monotonic() + seconds, found
