"""What one asker may have of a server that serves many; if nothing else is said, of a name server. Pure: time is told."""

from __future__ import annotations

from collections import OrderedDict

RATE, BURST = 2000.0, 4000.0
"""Queries in a second, and at once. A share costs a tenth of what a process can answer."""
MOST_WAITING = 128
"""Queries that wait for somebody else's answer."""
_MOST_KNOWN = 50_000


class Share:
    """``rate`` queries in a second, ``burst`` at once after a rest. ``waiting``: how many queries of this asker wait."""

    __slots__ = ("_burst", "_left", "_rate", "_since", "waiting")

    def __init__(self, now: float, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._since, self.waiting = burst, now, 0

    def take(self, now: float) -> bool:
        """Whether one more query may be answered."""
        self._left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Shares:
    """The shares of all askers, by their address."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._known: OrderedDict[str, Share] = OrderedDict()

    def of(self, address: str, now: float) -> Share:
        """The share of an asker; one that has not asked for long, or never, has a full one."""
        share = self._known.get(address)
        if share is None:
            share = self._known[address] = Share(now, self._rate, self._burst)
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return share
