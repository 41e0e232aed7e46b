"""The bodies of reviews: how large one may be, and how much of all is held. Everybody in a cluster may send some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from exitway.api.body import read_bytes
from exitway.api.status import Refusal

LARGEST_BYTES = 7 * 2**20
"""The API server takes objects of up to 3 MiB (``MaxRequestBodyBytes``), and a review may have two of them: as it is, and as it was."""
MOST_VALUES = 250_000
"""In one body. A rule with 100,000 names, and as many that it had, has fewer."""
HELD_BYTES = 64 * 2**20
"""Of all bodies together, also of those that are still coming."""
ANSWER_SECONDS = 30.0
"""The API server waits no longer (``timeoutSeconds`` of a webhook)."""


class Bodies:
    """Those that are held. Where there is no room for all, the largest gives way: what an API server sends is small."""

    def __init__(self) -> None:
        self._held: dict[asyncio.Timeout, int] = {}

    @asynccontextmanager
    async def held(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, for as long as it is worked on. Raises Refusal: it is too large, or has to give way."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS) as until:
                try:
                    yield await read_bytes(request, LARGEST_BYTES, lambda length: self._hold(until, length))
                finally:
                    self._held.pop(until, None)
        except TimeoutError:
            raise Refusal(503, "ServiceUnavailable", "there is no time or no room for this request now") from None

    def _hold(self, until: asyncio.Timeout, length: int) -> None:
        self._held[until] = length
        while sum(self._held.values()) > HELD_BYTES:
            largest = max(self._held, key=self._held.__getitem__)
            del self._held[largest]
            if not largest.expired():
                largest.reschedule(0)
