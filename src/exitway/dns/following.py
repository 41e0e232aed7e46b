"""Where names lead, followed as their records expire."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable

import dns.rcode
import dns.rdatatype

from exitway.dns.upstream import Upstream

_KINDS = (dns.rdatatype.A, dns.rdatatype.AAAA)
_AGAIN_SECONDS = 5.0
"""After which a name is asked for again that nobody could say anything about."""


class Following:
    """``upstream``: whom to ask; it may be replaced.

    ``told``: called with each name and its addresses, IPv4 before IPv6, at first and whenever they change.
    """

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
        known: dict[dns.rdatatype.RdataType, list[str]] = {}
        told: list[str] | None = None
        while True:
            answers = {kind: await self._upstream().resolve(name, kind) for kind in _KINDS}
            for kind, answer in answers.items():
                # where nobody can say, what was known holds
                if answer.rcode != dns.rcode.SERVFAIL or kind not in known:
                    known[kind] = sorted(answer.addresses, key=ipaddress.ip_address)
            addresses = [address for kind in _KINDS for address in known[kind]]
            if addresses != told:
                told = addresses
                self._told(name, tuple(addresses))
            said = all(answer.rcode != dns.rcode.SERVFAIL for answer in answers.values())
            await asyncio.sleep(min(answer.ttl_seconds for answer in answers.values()) if said else _AGAIN_SECONDS)
