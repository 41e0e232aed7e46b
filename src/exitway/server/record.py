"""What was seen, written down: Envoy's access log and the kernel's refusals become flows in the history.

Where in the access log we have come to is written with the flows, so a server that is killed loses none of them and tells none twice.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from exitway.capture import sock_diag
from exitway.capture.nflog import Opened, Refused
from exitway.flows.access_log import AccessLogReader
from exitway.flows.entry import Observed
from exitway.flows.flow import Flow, Repeats
from exitway.flows.history import History, Lost
from exitway.flows.known import SECOND
from exitway.flows.live import outside
from exitway.flows.log import Tail, now
from exitway.flows.retention import prune
from exitway.names.address import bracketed
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.policy.decide import decide
from exitway.policy.policy import Policy
from exitway.server.program import Member
from exitway.server.supervise import aside, rotate
from exitway.server.unread import Unread

_log = logging.getLogger("exitway")

INTERVAL_SECONDS = 0.1
PAUSE_SECONDS = 5.0
READ_SECONDS = 1.0
"""After which the log is looked after, however much of it is yet to be read."""

MUCH_UNREAD, MUCH_AT_LAST = 64 * 2**20, 8 * 2**20
"""Bytes from which on lines are counted rather than read; and when we end. So a flood that is faster than we are fills neither memory nor disk."""

RETAIN_SECONDS = 10.0
"""Between two looks at how much there is: a flood writes some megabytes a second."""
MOST_OBSERVED = 10_000
"""Workloads, ended ones included, whose lines can still be read: Envoy writes its log a moment after the fact."""

REPEATS_SECONDS = 0.5
"""How long repeats may wait for other things to be written with."""

MUCH_PENDING = 2_000
"""Flows that are written at once, rather than with the next ones."""

MOST_REFUSED = 100
"""Different packets of one second that are remembered, to count those alike: the kernel tells 20 of each workload."""

MOST_PENDING = 20_000
"""Flows that wait for a history that cannot be written."""

MUCH_LIVE = 50_000
"""Entries from which on it is worth asking whether all of them are there."""


class Recorder:
    """Follows the access log and writes flows. ``reader.live`` survives us: it is in the log, and what runs while that is rotated is carried over."""

    def __init__(self, access_log: Path, flow_db: Path) -> None:
        self._access_log = access_log
        self._carried = access_log.with_suffix(".live")
        self._history = History(flow_db)
        self._ids = itertools.count(self._history.next_id)
        self._unread = Unread(access_log, self._history.mark)
        self._carrying = self._unread.aside
        self._pending: list[Flow] = []
        self._committed = 0.0
        self._observed: dict[str, Observed] = {}
        self.reader = AccessLogReader(self._observed.get, self._ids)
        self._refused: dict[tuple[str, Refused, str], int] = {}
        self._much_live = MUCH_LIVE
        self.wrote: Callable[[Sequence[Flow], Sequence[Repeats]], None] = lambda *_: None
        """Hears of flows that were written, and of repeats that were counted onto some."""
        self._unwritten = 0
        self._warned = False
        self.problem = ""
        """Why flows cannot be written; empty: they can."""
        self._round = asyncio.Event()
        self._recall()

    def observe(
        self,
        member: Member,
        policy: Policy,
        name_of: Callable[[str], str | None],
        refusal: Callable[[str, int], Reason | None],
        process: Callable[[str, str], str],
    ) -> bool:
        """From now on, lines of this workload are read with this policy. True: it is another one than before."""
        before = self._observed.pop(member.id, None)
        changed = before is None or before.policy is not policy
        former = (before.policy if changed else before.former) if before else None
        workload = member.workload
        self._observed[member.id] = Observed(str(workload), policy, name_of, refusal, former, workload.labels, process)
        if changed:
            self.reader.known.forget(member.id)
        if len(self._observed) > MOST_OBSERVED:
            del self._observed[next(iter(self._observed))]
        return changed

    def find(self, identity: int) -> Flow | None:
        """The flow with this id; None: the history has given it up."""
        return self._history.get(identity)

    def tell(self, flows: Iterable[Flow]) -> None:
        """Write flows down with the next ones."""
        self._pending += (replace(flow, id=next(self._ids)) for flow in flows)

    def refused(self, member: Member, name: str | None, refused: Refused) -> None:
        """Write down what the kernel refused: whatever is not TCP. What is alike within a second is counted."""
        decision = Decision(Verdict.DENY, Reason.NOT_CAPTURED)
        moment = now()
        alike = member.id, refused, moment[:SECOND]
        if identity := self._refused.get(alike):
            self.reader.known.repeated(identity, moment)
            return
        if len(self._refused) >= MOST_REFUSED:
            self._refused.clear()
        self._refused[alike] = next(self._ids)
        flow = Flow(moment, str(member.workload), name or "", refused.address, refused.port, refused.protocol, decision)
        self._pending.append(replace(flow, id=self._refused[alike], labels=member.workload.labels))

    def opened(self, member: Member, opened: Opened, *, refused: bool) -> None:
        """Write down the first use of a destination past the proxy. ``refused``: its name leads to no address that it may lead to."""
        observed = self._observed.get(member.id)
        if observed is None:  # before it has a policy, nothing is let past the proxy for it
            return
        call = _call(observed, opened.address, opened.port)
        decision = decide(observed.policy, call)
        if refused:
            decision = Decision(Verdict.DENY, Reason.ADDRESS, decision.because)
        process = observed.process(opened.local, f"{bracketed(opened.address)}:{opened.port}")
        self._direct(observed, call, decision, process=process)

    def cut(self, identity: str, address: str, port: int) -> None:
        """Write down that connections of a workload past the proxy were ended, because nothing allows them any more; it may have ended with them."""
        observed = self._observed.get(identity)
        if observed is None:
            return
        call = _call(observed, address, port)
        before, decided = decide(observed.former or observed.policy, call), decide(observed.policy, call)
        because = before.because if before.direct else None
        self._direct(observed, call, Decision(Verdict.DENY, Reason.REVOKED, because, direct=True), decided.reason)

    def _direct(self, observed: Observed, call: Call, decision: Decision, detail: str = "", process: str = "") -> None:
        flow = Flow(now(), observed.workload, call.asked or "", call.address, call.port, "TCP", decision, detail)
        self.tell([replace(flow, process=process)])

    @property
    def lost(self) -> int:
        """Flows that could not be written, and lines that could not be read, since we began."""
        return self._unwritten + self.reader.unreadable

    async def up_to_now(self) -> None:
        """Wait until all is written that the log holds now."""
        for _ in ("begun already", "begun from now on"):
            await self._round.wait()
        self._commit(at_once=True)

    async def follow(self, admin_socket: Path, begun: Callable[[bytes], None]) -> None:
        """Write flows as they come, until cancelled; ``begun`` gets the line of all that runs, when it is first told of."""
        while True:
            try:
                all_read = await self._read(begun)
                self._commit()
                await self._keep_small(admin_socket)
                if len(self.reader.live) > self._much_live:
                    self._forget_dead()
            except OSError as error:
                _log.warning("the access log cannot be read, or not be kept small: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                if all_read:
                    ended, self._round = self._round, asyncio.Event()
                    ended.set()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def retain(self, days: int, megabytes: int) -> None:
        """Give up what is too old or too much, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(prune, self._history.path, datetime.now(UTC), days, megabytes)
            except OSError as error:
                _log.warning("flows are not given up: %s", error)
            await asyncio.sleep(RETAIN_SECONDS)

    async def _keep_small(self, admin_socket: Path) -> None:
        """A log that is put aside goes when it is read; only then the next one is."""
        if self._unread.aside:
            return
        if self._carrying:
            self._commit(at_once=True)
            self._carry_over()
            self._carrying = False
        if rotate(self._access_log, admin_socket):
            await asyncio.sleep(INTERVAL_SECONDS)  # Envoy may still have been writing
            self._unread.rotated()
            self._carrying = True

    async def _read(self, begun: Callable[[bytes], None]) -> bool:
        """What is there; whether that was all. It takes a third of a processor at most: a flood is not to take from the proxy what requests need."""
        until = time.monotonic() + READ_SECONDS
        for chunk in self._unread.chunks():
            before = time.monotonic()
            self._take(chunk, begun, MUCH_UNREAD)
            await asyncio.sleep(2 * (time.monotonic() - before))
            if before > until:
                return False
        return True

    def _take(self, lines: Iterable[bytes], begun: Callable[[bytes], None], much: int) -> None:
        self._pending += self.reader.flows(lines, begun, hurry=self._unread.unread > much)
        if self.reader.unreadable and not self._warned:
            self._warned = True  # the others are counted
            _log.warning("a line of the access log cannot be read, and is in no flow: %s", self.reader.why)
        if len(self._pending) > MUCH_PENDING:
            self._commit()

    def catch_up(self, begun: Callable[[bytes], None] = lambda _: None) -> None:
        """Write the flows of all that Envoy has logged so far."""
        for chunk in self._unread.chunks():
            self._take(chunk, begun, MUCH_AT_LAST)
        self._commit(at_once=True)

    def _commit(self, *, at_once: bool = False) -> None:
        """Write what there is. A disk that is full costs records, never service."""
        now, mark = time.monotonic(), self._unread.mark
        due = now - self._committed > REPEATS_SECONDS and (mark != self._history.mark or self.reader.known.repeats())
        waits = self.problem and now - self._committed < PAUSE_SECONDS
        if not at_once and (waits or not (self._pending or due)):
            return
        self._committed = now
        repeats = self.reader.known.repeats()
        try:
            self.reader.known.told(self._history.write(self._pending, repeats, mark))
        except Lost as error:
            self._failed(error)
            return
        written, self._pending, self.problem = self._pending, [], ""
        self.wrote(written, repeats)

    def _failed(self, error: Lost) -> None:
        """What cannot be written now waits, but not without bound; of what has to be given up, uses go before denials."""
        self.problem = f"flows cannot be written: {error}"
        _log.warning("%s", self.problem)
        if len(self.reader.known.repeats()) > MOST_PENDING:
            self.reader.known.told()
        if (surplus := len(self._pending) - MOST_PENDING) > 0:
            self._pending.sort(key=lambda flow: (flow.decision.allowed, flow.id))
            del self._pending[MOST_PENDING:]
            self._pending.sort(key=lambda flow: flow.id)
            self._unwritten += surplus
            self.problem += f"; {self._unwritten} are lost"

    def close(self) -> None:
        """Write what is left to write. Envoy has ended, so its log is of no more use."""
        self.catch_up()
        self._history.close()
        if self.problem:
            _log.error("%s", self.problem)
        for path in (self._access_log, self._carried):
            path.unlink(missing_ok=True)

    def _recall(self) -> None:
        """What runs, from what an earlier server has left: it was killed, and Envoy went on."""
        for path in (self._carried, aside(self._access_log), self._access_log):
            self.reader.recall(Tail(path).lines())
        try:
            self._forget_dead()
        except OSError as error:
            _log.warning("what runs is not known well: %s", error)

    def _carry_over(self) -> None:
        """Keep what runs, and let the log go that was put aside."""
        draft = self._carried.with_suffix(".draft")
        draft.write_bytes(b"".join(line + b"\n" for line in self.reader.live.lines()))
        draft.replace(self._carried)
        aside(self._access_log).unlink(missing_ok=True)

    def _forget_dead(self) -> None:
        if len(self.reader.live):
            connections = sock_diag.connections()
            self.reader.keep(lambda line: outside(line) in connections)
        self._much_live = max(MUCH_LIVE, 2 * len(self.reader.live))


def _call(observed: Observed, address: str, port: int) -> Call:
    return Call(Sort.TCP, port, address=address, asked=observed.name_of(address) or "")
