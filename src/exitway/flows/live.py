"""What is running now: connections and requests that have been told of, and have not ended. Pure.

Each is known by what tells it from all others in its access log lines (``envoy/access_log.py``), and is kept as the line that told of it: ten
thousand take some 5 MB. Nothing is given up while it runs, or it could not be revoked; so the table has no other bound than the connections that
the proxy holds outside, and where ends may have gone unsaid, :meth:`Live.keep` asks which of those there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

_IDENTITY, _MEASURED, _AFTER = b',"z":{', b',"measured":"', b',"peer":'
_DONE, _AFTER_DONE, _WORKLOAD = b',"chain":', b',"destination":', b',"workload":'
_FIRST = b'{"access":"'
_ENDS = (b'{"access":"TcpConnectionEnd"', b'{"access":"DownstreamEnd"')
_RUNS = (
    b'{"access":"TcpUpstreamConnected"',
    b'{"access":"DownstreamPeriodic"',
    b'{"access":"DownstreamTunnelSuccessfullyEstablished"',
)
_MARK = b'{"access":"Mark"'
_NOTHING_OUTSIDE = b'"from":null'
_CUT = b""


class Parts(NamedTuple):
    """A line in its parts, none of them parsed. No client can shift them: in what it writes, quotes are escaped."""

    beginning: bytes
    """What it has in common with others of its kind, whether they end or not."""
    identity: bytes
    """What tells its connection or request from all others."""
    measured: bytes
    """Milliseconds, and bytes from and to the workload."""
    request: bytes
    """Method and path."""

    @property
    def sort(self) -> bytes:
        """Whose it is, and what was done with it and why, as far as that can be seen without parsing."""
        decided = self.beginning.partition(_DONE)[2].partition(_AFTER_DONE)[0]
        return decided + self.beginning.rpartition(_WORKLOAD)[2]


def split(line: bytes) -> Parts:
    """The parts of a line; empty, where it is not one."""
    beginning, _, this = line.partition(_IDENTITY)
    identity, _, rest = this.partition(_MEASURED)
    measured, _, request = rest.partition(b'"')
    return Parts(beginning.partition(b",")[2], identity, measured, request.partition(_AFTER)[0])


def whole(line: bytes) -> list[bytes]:
    """The line; or its pieces, where one broke off, since the proxy was killed or the disk was full, and the next one stands right behind it.

    No client can write how a line begins: its quotes are escaped.
    """
    if line.find(_FIRST, 1) < 0:
        return [line]
    broken, *others = line.split(_FIRST)
    return [broken] * bool(broken) + [_FIRST + other for other in others]


def is_end(line: bytes) -> bool:
    """Whether the line is the last of its connection or request."""
    return line.startswith(_ENDS)


def runs(line: bytes) -> bool:
    """Whether the line says of a connection or request that it runs."""
    return line.startswith(_RUNS)


def says_nothing(line: bytes) -> bool:
    """Whether the line is of no connection or request: a mark, or empty."""
    return not line or line.startswith(_MARK)


def outside(line: bytes) -> tuple[str, str] | None:
    """The two ends of the connection outside, as ``address:port``. None: the line is broken, as a full disk leaves it, or has not both."""
    try:
        this = json.loads(line)["z"]
        ends = this["from"], this["to"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return ends if all(isinstance(end, str) for end in ends) else None


class Live:
    """The table, in the order of what was told."""

    def __init__(self) -> None:
        self._lines: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._lines

    def begin(self, identity: bytes, line: bytes) -> bool:
        """Something runs. False: that is known, or nothing of it has reached the outside (an empty identity is nothing at all)."""
        if not identity or identity in self._lines or identity.endswith(_NOTHING_OUTSIDE):
            return False
        self._lines[identity] = line
        return True

    def end(self, identity: bytes) -> bool:
        """It has ended, whether it was known or not. False: because it was cut."""
        return self._lines.pop(identity, identity) != _CUT

    def cut(self, identity: bytes) -> None:
        """It was ended from outside; its own end is yet to come."""
        if identity in self._lines:
            self._lines[identity] = _CUT

    def of(self, workload: str) -> list[bytes]:
        """The lines of what runs for a workload, by its id."""
        own = b'"workload":"%b"%b' % (workload.encode(), _IDENTITY)  # no client can write it: its quotes are escaped
        return [line for line in self._lines.values() if own in line]

    def lines(self) -> Iterator[bytes]:
        """The line of each that runs."""
        return filter(None, self._lines.values())

    def keep(self, running: Callable[[bytes], bool]) -> None:
        """Give up what does not run any more, by its line: its end went unsaid, since the proxy was killed or the disk was full."""
        self._lines = {identity: line for identity, line in self._lines.items() if line and running(line)}
