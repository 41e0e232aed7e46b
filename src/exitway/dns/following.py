"""Where names lead, followed as their records expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import dns.rcode
import dns.rdatatype

from exitway.dns.upstream import Upstream

_AGAIN_SECONDS = 5.0
"""After which a name is asked for again that nobody could say anything about."""


class Following:
    """``upstream``: whom to ask; it may be replaced. ``told``: called with each name and its addresses at first, and whenever they change."""

    def __init__(self, upstream: Callable[[], Upstream], told: Callable[[str, tuple[str, ...]], None]) -> None:
        self._upstream = upstream
        self._told = told
        self._names: dict[str, asyncio.Task[None]] = {}

    def follow(self, names: Iterable[str]) -> None:
        """Follow these, too."""
        for name in names:
            if name not in self._names:
                self._names[name] = asyncio.create_task(self._follow(name), name=f"follow {name}")

    def leave(self, names: Iterable[str]) -> None:
        """Follow these no more."""
        for name in list(names):
            task = self._names.pop(name, None)
            if task is not None:
                task.cancel()

    def leave_all(self) -> None:
        """Follow none."""
        self.leave(self._names)

    async def _follow(self, name: str) -> None:
        known: tuple[str, ...] | None = None
        while True:
            answers = [await self._upstream().resolve(name, kind) for kind in (dns.rdatatype.A, dns.rdatatype.AAAA)]
            addresses = tuple(sorted(address for answer in answers for address in answer.addresses))
            said = all(answer.rcode != dns.rcode.SERVFAIL for answer in answers)
            if (
                said or addresses or known is None
            ) and addresses != known:  # where nobody can say, what was known holds
                known = addresses
                self._told(name, addresses)
            await asyncio.sleep(min(answer.ttl_seconds for answer in answers) if said else _AGAIN_SECONDS)
