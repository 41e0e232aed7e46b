"""What readers of rules need of a store, be it the file of one machine or the Kubernetes API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from exitway.resources.registry import Registry
from exitway.store.change import Event, parts
from exitway.store.history import History


class Rules:
    """All rules at one revision, and what changes. The revision only grows; what it counts is the store's own business.

    ``registry``: every resource now; ``history``: how many events are remembered at least.
    """

    def __init__(self, registry: Registry, history: int) -> None:
        self.registry = registry
        self._history = History(registry.revision, history)
        self._news = asyncio.Event()
        self._closed = False

    @property
    def revision(self) -> int:
        """The revision of the last change."""
        return self.registry.revision

    def since(self, revision: int) -> Sequence[Event]:
        """The events after that revision that there are now. Raises as :meth:`after`."""
        return self._history.since(revision)

    async def after(self, revision: int) -> Sequence[Event]:
        """The events after that revision, as soon as there are any; none when the store is closed. Whoever follows slowly delays nobody.

        Raises:
            Gone: they are not, or no longer, known.
        """
        while not (events := self.since(revision)) and not self._closed:
            await self._news.wait()
        return events

    def close(self) -> None:
        """End the followers."""
        self._closed = True
        self._wake()

    def _take_in(self, events: Sequence[Event], revision: int) -> None:
        """These have happened. Whoever follows is told by :meth:`_wake`."""
        self.registry = self.registry.changed(*parts(events), revision=revision)
        self._history.add(events)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
