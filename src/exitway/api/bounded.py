"""Connections of strangers: not too many at once, and none that does nothing. Before a request is read, whoever reaches the listener is one."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 200
IDLE_SECONDS = 30.0
"""How long a connection may stand without a request, or without its client reading what it is answered."""


class Bounded(H11Protocol):
    """uvicorn's HTTP/1.1, which itself waits for ever: for a first request, for the rest of one, and for whoever does not read.

    Who comes when there are too many takes the place of the one that has waited longest without a request, so nobody is kept out by connections
    that ask for nothing. Where all are being answered, there is no place.
    """

    waiting_since: float
    """By the loop's clock, where :attr:`waits`."""
    _paused_since: float | None = None
    _looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and begin to look after it."""
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        self._look()
        if len(self.connections) > MOST_CONNECTIONS:
            others = [cast("Bounded", one) for one in self.connections if one is not self]
            waiting = [one for one in others if one.waits]
            min(waiting, key=lambda one: one.waiting_since, default=self).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look after it no more."""
        super().connection_lost(exc)
        if self._looking:
            self._looking.cancel()

    @property
    def waits(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def on_response_complete(self) -> None:
        """From now on it waits for the next request."""
        self.waiting_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Its client has much to read."""
        self._paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Its client has read."""
        self._paused_since = None
        super().resume_writing()

    def _look(self) -> None:
        now = self.loop.time()
        since = self._paused_since or (self.waiting_since if self.waits else now)
        if now - since >= IDLE_SECONDS:
            self.abort()
        else:
            self._looking = self.loop.call_later(IDLE_SECONDS - (now - since), self._look)

    def abort(self) -> None:
        """At once: to close it would be to wait until its client has read all."""
        self.connections.discard(self)
        self.transport.abort()
