"""What has been told of, so that what repeats it is counted instead: found by comparing bytes, without parsing a line. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from exitway.flows.flow import Flow, Repeats, is_stamp
from exitway.flows.live import Parts

MOST_REMEMBERED = 20_000
"""Beyond it, all of the workload that has the most are forgotten, and told once again. They take some 12 MB, at most 30."""

_LONG = 64
"""Bytes of a method and a path from which on only their hash is remembered."""

DAY, SECOND = len("2027-01-01"), len("2027-01-01T00:00:00")
"""Characters of a time that are equal within one."""

_AT = len('"at":"')
_MOST_MEASURED = 2**50
"""Milliseconds or bytes. What is more was never measured, and many such would be more than SQLite's integers hold."""
_WORKLOAD = b',"workload":"'


class _Use:
    """A flow that was told of. ``period``: how the times begin that count as repeats of it."""

    __slots__ = ("count", "id", "last", "period", "received", "sent")

    def __init__(self, identity: int, period: bytes) -> None:
        self.id, self.period = identity, period
        self.count = self.sent = self.received = 0
        self.last = b""


class Known:
    """By workload. Repeats are counted until they are :meth:`told`."""

    def __init__(self) -> None:
        self._of: dict[bytes, dict[bytes, _Use | None]] = {}
        self._remembered = 0
        self._counted: dict[int, _Use] = {}

    def __contains__(self, parts: Parts) -> bool:
        return self._find(parts) is not None

    def _find(self, parts: Parts) -> _Use | None:
        beginning, _, workload = parts.beginning.rpartition(_WORKLOAD)
        uses = self._of.get(workload)
        if uses is None:
            return None
        use = uses.get(beginning)
        if use is None and beginning in uses:  # known by its method and path
            use = uses.get(beginning + _short(parts.request))
        return use if use is not None and parts.identity.startswith(use.period, _AT) else None

    def count(self, parts: Parts) -> bool:
        """Count the line, if it repeats a flow that was told of in the same period; whether it does."""
        use = self._find(parts)
        if use is not None:
            self._add(use, parts)
        return use is not None

    def count_onto(self, identity: int, parts: Parts) -> None:
        """Count the line onto the flow of this id, whatever that is of."""
        self._add(_Use(identity, b"never"), parts)

    def repeated(self, identity: int, time: str) -> None:
        """Count what no line tells of onto the flow of this id."""
        use = self._counted.setdefault(identity, _Use(identity, b"never"))
        use.count += 1
        use.last = time.encode()

    def _add(self, use: _Use, parts: Parts) -> None:
        use = self._counted.setdefault(use.id, use)
        _, sent, received = measured(parts)
        use.count += 1
        use.sent += sent
        use.received += received
        use.last = parts.identity[_AT : parts.identity.find(b'"', _AT)]

    def remember(self, parts: Parts, flow: Flow) -> None:
        """This flow was told of."""
        if self._remembered >= MOST_REMEMBERED:
            self._remembered -= len(self._of.pop(max(self._of, key=lambda one: len(self._of[one]))))
        beginning, _, workload = parts.beginning.rpartition(_WORKLOAD)
        uses = self._of.setdefault(workload, {})
        before = len(uses)
        denied = not flow.decision.allowed and not flow.audit
        use = _Use(flow.id, parts.identity[_AT : _AT + (SECOND if denied else DAY)])
        if denied or flow.audit:
            uses[beginning] = None
            uses[beginning + _short(parts.request)] = use
        else:
            uses[beginning] = use
        self._remembered += len(uses) - before

    def forget(self, workload: str) -> None:
        """What this workload (its id) does from now on is to be told anew: another rule may be why."""
        self._remembered -= len(self._of.pop(f'{workload}"'.encode(), ()))

    def repeats(self) -> list[Repeats]:
        """What was counted, and not yet told."""
        counted = self._counted.values()
        return [Repeats(use.id, use.count, use.sent, use.received, _time(use.last)) for use in counted]

    def told(self, gone: Collection[int] = ()) -> None:
        """The repeats were told. ``gone``: ids of flows that are no more; what is counted onto them is told anew from now on."""
        for use in self._counted.values():
            use.count = use.sent = use.received = 0
            if use.id in gone:
                use.period = b"never"
        self._counted = {}


def _short(request: bytes) -> bytes:
    """What stands for a method and a path, however long these are."""
    return request if len(request) < _LONG else hashlib.blake2b(request, digest_size=16).digest()


def _time(written: bytes) -> str:
    """Empty: it is none. A line that repeats another is counted without a look at all of it."""
    text = written.decode(errors="replace")
    return text if is_stamp(text) else ""


def measured(parts: Parts) -> tuple[int, int, int]:
    """Milliseconds, and bytes that the workload has sent and received."""
    try:
        duration, sent, received = map(int, parts.measured.split())
    except ValueError:  # "-": not known
        return 0, 0, 0
    known = 0 <= duration < _MOST_MEASURED and 0 <= sent < _MOST_MEASURED and 0 <= received < _MOST_MEASURED
    return (duration, sent, received) if known else (0, 0, 0)
