"""How often something may be done: so many times a second, and more at once after a rest."""

from __future__ import annotations

import asyncio
import random
import time

_LONGEST_PAUSE = 3.0


class Pace:
    """``per_second`` in the long run, ``burst`` at once after a rest; after failures pauses that grow."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second, self._burst = per_second, burst
        self._allowance, self._at = burst, time.monotonic()
        self.failures = 0

    async def turn(self) -> None:
        """Wait for it."""
        now = time.monotonic()
        self._allowance = min(self._burst, self._allowance + (now - self._at) * self._per_second) - 1.0
        self._at = now
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / self._per_second)

    async def failed(self, at_least_seconds: float = 0.0) -> None:
        """Wait longer than the last time."""
        self.failures += 1
        pause = min(_LONGEST_PAUSE, 0.2 * 2.0 ** min(self.failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - to spread load
        await asyncio.sleep(max(pause, at_least_seconds))
