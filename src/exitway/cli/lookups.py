"""What ``exitway analyze`` asks outside, if it is told to: DNS servers about names, and servers whether they speak TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import TypeVar

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from exitway.analyze.facts import Lookup
from exitway.names.address import name_server
from exitway.names.guard import permitted

_AT_ONCE = 32
_PATIENCE_SECONDS = 5.0
_TLS_PORT = 443

T = TypeVar("T")


def look_up(names: Sequence[str], servers: Sequence[str]) -> tuple[dict[str, Lookup], list[str]]:
    """What DNS says of the names, and those about which no server could say anything. ``servers``: none: those of the machine."""
    return _answers(asyncio.run(_of_each(names, lambda name: _look_up(name, _resolver(servers)))))


def probe(lookups: Mapping[str, Lookup], names: Iterable[str]) -> tuple[dict[str, bool], list[str]]:
    """Whether servers of the names complete a TLS handshake at port 443 with a certificate that the system trusts, and say nothing more.

    Only public addresses are dialled. The second value: the names that could not be tried.
    """
    open_to_all = {
        name: [one for one in lookups[name].addresses if permitted(ip_address(one), _TLS_PORT, ())]
        for name in names
        if name in lookups
    }
    return _answers(asyncio.run(_of_each(list(open_to_all), lambda name: _speaks_tls(name, open_to_all[name]))))


def _answers(found: Mapping[str, T | None]) -> tuple[dict[str, T], list[str]]:
    known = {name: answer for name, answer in found.items() if answer is not None}
    return known, [name for name in found if name not in known]


async def _of_each(names: Sequence[str], ask: Callable[[str], Awaitable[T | None]]) -> dict[str, T | None]:
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> T | None:
        async with free:
            return await ask(name)

    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def _resolver(servers: Sequence[str]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*name_server(server)) for server in servers]
    return resolver


async def _look_up(name: str, resolver: dns.asyncresolver.Resolver) -> Lookup | None:
    addresses: list[str] = []
    aliases: dict[str, None] = {}
    for rdtype in ("A", "AAAA"):
        try:
            answer = await resolver.resolve(f"{name}.", rdtype, raise_on_no_answer=False, lifetime=_PATIENCE_SECONDS)
        except dns.resolver.NXDOMAIN:
            return Lookup(exists=False)
        except (dns.exception.DNSException, OSError):
            return None
        addresses += [record.address for record in answer.rrset or ()]
        if str(answer.canonical_name).rstrip(".") != name:
            chain = [record.target for record_set in answer.chaining_result.cnames for record in record_set]
            aliases |= dict.fromkeys(str(target).rstrip(".").lower() for target in chain)
    return Lookup(tuple(addresses), tuple(aliases))


async def _speaks_tls(name: str, addresses: Sequence[str]) -> bool | None:
    for address in addresses:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                _, writer = await asyncio.open_connection(
                    address, _TLS_PORT, ssl=ssl.create_default_context(), server_hostname=name
                )
        except (ConnectionRefusedError, ssl.SSLError):
            return False
        except (OSError, TimeoutError):
            continue
        writer.transport.abort()
        return True
    return None
