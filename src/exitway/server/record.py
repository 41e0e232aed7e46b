"""What was seen, written down: Envoy's access log and the kernel's refusals become the flow log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from exitway.capture.nflog import Refused
from exitway.flows.access_log import AccessLogReader, Observed
from exitway.flows.flow import Flow
from exitway.flows.log import FlowLog, Tail
from exitway.names.call import Decision, Reason, Verdict
from exitway.policy.policy import Policy
from exitway.server.program import Member
from exitway.server.supervise import rotate

_log = logging.getLogger("exitway")

INTERVAL_SECONDS = 0.1
PAUSE_SECONDS = 5.0
MOST_OBSERVED = 10_000
"""Workloads, ended ones included, whose lines can still be read: Envoy writes its log a moment after the fact."""


class Recorder:
    """Follows the access log and writes flows."""

    def __init__(self, access_log: Path, flow_log: Path) -> None:
        self._access_log = access_log
        self._position = access_log.with_suffix(".position")
        self._tail = Tail(access_log, self._last_position())
        self._log = FlowLog(flow_log)
        self._observed: dict[str, Observed] = {}
        self._reader = AccessLogReader(self._observed.get)

    def observe(
        self,
        member: Member,
        policy: Policy,
        name_of: Callable[[str], str | None],
        refusal: Callable[[str, int], Reason | None],
    ) -> None:
        """From now on, lines of this workload are read with this policy."""
        self._observed.pop(member.id, None)
        self._observed[member.id] = Observed(str(member.workload), policy, name_of, refusal)
        if len(self._observed) > MOST_OBSERVED:
            del self._observed[next(iter(self._observed))]

    def refused(self, member: Member, name: str | None, refused: Refused) -> None:
        """Write down what the kernel refused: whatever is not TCP."""
        decision = Decision(Verdict.DENY, Reason.NOT_CAPTURED)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        flow = Flow(now, str(member.workload), name or "", refused.address, refused.port, refused.protocol, decision)
        self._log.write([flow])

    async def follow(self, admin_socket: Path) -> None:
        """Write flows as they come, until cancelled. A disk that is full costs records, never service."""
        while True:
            try:
                await self._follow(admin_socket)
            except OSError as error:
                _log.warning("flows are lost: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _follow(self, admin_socket: Path) -> None:
        self.catch_up()
        aside = rotate(self._access_log, admin_socket)
        if aside is not None:
            await asyncio.sleep(INTERVAL_SECONDS)  # Envoy may still have been writing
            rest = Tail(aside, self._tail.position)
            self._tail = Tail(self._access_log)
            self._log.write(self._reader.flows(rest.lines()))
            aside.unlink()

    def catch_up(self) -> None:
        """Write the flows of all that Envoy has logged so far."""
        before = self._tail.position
        self._log.write(self._reader.flows(self._tail.lines()))
        if self._tail.position != before:
            self._position.write_text(str(self._tail.position))

    def close(self) -> None:
        """Write what is left to write. Envoy has ended, so its log is of no more use."""
        self.catch_up()
        for path in (self._access_log, self._position):
            path.unlink(missing_ok=True)

    def _last_position(self) -> int:
        """How far a server before this one has read."""
        try:
            return int(self._position.read_text())
        except (OSError, ValueError):
            return 0
