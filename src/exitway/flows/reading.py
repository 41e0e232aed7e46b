"""A proxy's log from its beginning, read long after it was written: its flows as a history would have them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from exitway.flows.access_log import AccessLogReader
from exitway.flows.entry import Observed
from exitway.flows.flow import Flow


class LogReading:
    """``at``: where the log is, for the flows; they have no ids, since nobody keeps them."""

    def __init__(self, observed: Callable[[str], Observed | None], at: str) -> None:
        self._reader = AccessLogReader(observed)
        self._at = at
        self._flows: dict[int, Flow] = {}

    def take(self, lines: Iterable[bytes]) -> list[Flow]:
        """Read on; the flows that were not there before."""
        told = list(self._reader.flows(lines))
        for flow in told:
            before = self._flows.get(flow.id)
            self._flows[flow.id] = _ended(before, flow) if before else flow
        return [self._shown(flow) for flow in told if flow.count]

    def flows(self) -> list[Flow]:
        """All so far, with what was counted onto each."""
        for repeats in self._reader.known.repeats():
            if flow := self._flows.get(repeats.id):
                self._flows[repeats.id] = replace(
                    flow,
                    count=flow.count + repeats.count,
                    sent=flow.sent + repeats.sent,
                    received=flow.received + repeats.received,
                    last=max(flow.last or flow.time, repeats.last),
                )
        self._reader.known.told()
        return [self._shown(flow) for flow in self._flows.values() if flow.count]

    def forget(self) -> None:
        """Give up what was told; what repeats it is still known for that."""
        self._reader.known.told()
        self._flows.clear()

    def _shown(self, flow: Flow) -> Flow:
        return replace(flow, id=0, at=self._at)


def _ended(flow: Flow, end: Flow) -> Flow:
    """With what is known at the end of it."""
    sent, received = flow.sent + end.sent, flow.received + end.received
    return replace(flow, sent=sent, received=received, duration=end.duration, status=end.status, detail=end.detail)
