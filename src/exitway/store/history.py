"""The last events, for those who follow. Pure; a bounded list in which an event's revision says where it stands."""

from __future__ import annotations

from collections.abc import Sequence

from exitway.store.change import Event, Gone


class History:
    """The events of the revisions ``oldest + 1 .. newest``, at least the last ``limit`` of them."""

    def __init__(self, revision: int, limit: int) -> None:
        self.oldest = revision
        self._limit = limit
        self._events: list[Event] = []

    @property
    def newest(self) -> int:
        """The revision of the last event (or that of the start)."""
        return self.oldest + len(self._events)

    def add(self, events: Sequence[Event]) -> None:
        """Remember them. Their revisions follow on one another."""
        self._events.extend(events)
        if len(self._events) > 2 * self._limit:  # cutting seldom keeps the mean cost of an event constant
            surplus = len(self._events) - self._limit
            del self._events[:surplus]
            self.oldest += surplus

    def since(self, revision: int) -> list[Event]:
        """The events after that revision.

        Raises:
            Gone: some of them are forgotten, or the revision lies in the future (the client knew another store).
        """
        if not self.oldest <= revision <= self.newest:
            raise Gone(f"too old resource version: {revision} ({self.oldest} to {self.newest} are known)")
        return self._events[revision - self.oldest :]
