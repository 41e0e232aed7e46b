"""Envoy's access log lines (``envoy/access_log.py``) to flows. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from exitway.flows.entry import Observed, read
from exitway.flows.fields import Unreadable
from exitway.flows.flow import Flow
from exitway.flows.known import Known
from exitway.flows.live import Live, Parts, is_end, runs, says_nothing, split, whole
from exitway.names.call import Decision, Reason, Verdict

CROWD = "(and others, too many at once to tell each)"
"""In the detail of a flow onto which others are counted that are not alike."""


class AccessLogReader:
    """Turns lines into flows: each denial, and each use of an allowed destination, but what repeats one is counted.

    That is a denial like another one of the same second, and a use like another one of the same day under the same policy. Under audit, methods and
    paths have to be alike, too. What runs for long is told when it begins, and once more, with a count of 0, when it has ended.

    ``live``: what runs, as far as it was told. ``unreadable``: lines that could not be read, so of what they say there may be no flow;
    ``why``: what is wrong with the last of them.
    """

    def __init__(self, observed: Callable[[str], Observed | None], ids: Iterator[int] | None = None) -> None:
        """``ids``: of the flows, one after the other."""
        self._observed = observed
        self._ids = ids or itertools.count(1)
        self.known = Known()
        self.live = Live()
        self.unreadable = 0
        self.why = ""
        self._running: dict[bytes, Flow] = {}

    def recall(self, lines: Iterable[bytes]) -> None:
        """Take in what an earlier reader has read: what of it runs still. Nothing is told."""
        for line in itertools.chain.from_iterable(map(whole, lines)):
            identity = split(line).identity
            if is_end(line):
                self.live.end(identity)
            elif runs(line):
                self.live.begin(identity, line)

    def flows(
        self, lines: Iterable[bytes], begun: Callable[[bytes], None] = lambda _: None, *, hurry: bool = False
    ) -> Iterator[Flow]:
        """The flows worth telling; ``begun`` gets the line of all that runs and is told of for the first time.

        A line of a workload that is not known any more is passed over, and one that cannot be read is counted. ``hurry``: there are too many to read.
        Of each workload, what is denied for the same reason, or let out, is counted onto one flow then.
        """
        crowds: dict[bytes, Flow] = {}
        for line in itertools.chain.from_iterable(map(whole, lines)):
            parts = split(line)
            try:
                yield from self._of(line, parts, begun, crowds if hurry else None)
            except Unreadable as error:
                self._broken(line, error)

    def _of(
        self, line: bytes, parts: Parts, begun: Callable[[bytes], None], crowds: dict[bytes, Flow] | None
    ) -> Iterator[Flow]:
        """``crowds``: the flows onto which others are counted, where there are too many."""
        if is_end(line) and parts.identity:
            yield from self._end(parts, line, crowds)
        elif runs(line) and parts.identity:
            if self.live.begin(parts.identity, line):
                begun(line)
                yield from self._begun(parts, line) if crowds is None else ()
        elif not says_nothing(line):
            raise Unreadable("its beginning or its end is missing")

    def _broken(self, line: bytes, error: Unreadable) -> None:
        """It costs this line only. What it says to run could not be decided anew, so it is not kept."""
        self.unreadable += 1
        self.why = str(error)
        if runs(line):
            self.live.end(split(line).identity)

    def _end(self, parts: Parts, line: bytes, crowds: dict[bytes, Flow] | None) -> Iterator[Flow]:
        before = self._running.pop(parts.identity, None)
        if not self.live.end(parts.identity) or (not before and self.known.count(parts)):
            return
        if crowds is None or before:
            yield from self._ended(parts, line, before)
        elif crowd := crowds.get(parts.sort):
            self.known.count_onto(crowd.id, parts)
        else:
            for flow in self._ended(parts, line, None):
                crowds[parts.sort] = flow
                yield replace(flow, detail=f"{flow.detail} {CROWD}".strip())

    def _begun(self, parts: Parts, line: bytes) -> Iterator[Flow]:
        """What runs for long is not told only when it ends."""
        entry = None if parts in self.known else read(line, self._observed)
        if entry is not None:
            flow = self._running[parts.identity] = entry.let_out(next(self._ids))
            self.known.remember(parts, flow)
            yield flow

    def _ended(self, parts: Parts, line: bytes, before: Flow | None) -> Iterator[Flow]:
        entry = read(line, self._observed)
        if entry is None:
            return
        if before:
            flow = entry.seen(before.id)
            sent, received = flow.sent - before.sent, flow.received - before.received
            yield replace(flow, decision=before.decision, count=0, sent=sent, received=received)
        else:
            flow = entry.seen(next(self._ids))
            self.known.remember(parts, flow)
            yield flow

    def keep(self, running: Callable[[bytes], bool]) -> None:
        """As :meth:`Live.keep`."""
        self.live.keep(running)
        self._running = {identity: flow for identity, flow in self._running.items() if identity in self.live}

    def revoked(self, line: bytes, time: str) -> Flow | None:
        """What is to be told when the connection or request of this line is cut at ``time``. None: it is not to be cut."""
        try:
            entry = read(line, self._observed)
        except Unreadable as error:
            self._broken(line, error)
            return None
        if entry is None:
            return None
        decided = entry.still(entry.observed.policy)
        if decided.allowed or entry.observed.policy.audit:
            return None
        before = entry.still(entry.observed.former) if entry.observed.former else decided
        why = " ".join(filter(None, (decided.reason, str(decided.because or ""))))
        return entry.flow(time, Decision(Verdict.DENY, Reason.REVOKED, before.because if before.allowed else None), why)
