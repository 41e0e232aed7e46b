"""Work that may be long, beside an event loop that has other things to do."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")


class Turns:
    """One piece of work at a time, in a thread. The smallest comes first: many large ones keep no small one waiting."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "reviews")
        self._numbers = count()
        self._line: list[tuple[int, int]] = []
        """The sizes of those that wait, each with its number; also of some that wait no more."""
        self._waiting: dict[int, tuple[Callable[[], Any], asyncio.Future[Any]]] = {}
        self._working = False

    async def of(self, size: int, work: Callable[[], T]) -> T:
        """What the work gives back. It may not touch what belongs to the loop."""
        number, done = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = work, done
        heapq.heappush(self._line, (size, number))
        self._begin()
        try:
            result: T = await done
        finally:
            self._waiting.pop(number, None)
        return result

    def _begin(self) -> None:
        while self._line and not self._working:
            _, number = heapq.heappop(self._line)
            if number in self._waiting:
                work, done = self._waiting.pop(number)
                self._working = True
                working = asyncio.get_running_loop().run_in_executor(self._thread, work)
                working.add_done_callback(partial(self._end, done))

    def _end(self, done: asyncio.Future[Any], worked: asyncio.Future[Any]) -> None:
        self._working = False
        error = worked.exception()
        if not done.cancelled():
            if error:
                done.set_exception(error)
            else:
                done.set_result(worked.result())
        self._begin()
