"""Answers to the proxy's questions (``names/question.py``): where a call that a rule allows may go.

    is                                                            answer
    the SNI is not the name behind the address that was dialled   REFUSED, and nothing is asked of anyone
    ``host.exitway.internal``                                     this machine's loopback, at the ports that a rule names it for
    leads only to addresses that no name may lead to              REFUSED
    has lost its permission while it waited for an answer         SERVFAIL
    otherwise                                                     what the DNS servers of the machine say, without such addresses

Envoy dials just what it is told here, so nothing is looked up a second time. For a workload under audit the refusals are told, and what they were
about is answered all the same, but for addresses that no audit leads to.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from exitway.dns import wire
from exitway.dns.synthetic import Addresses
from exitway.dns.upstream import Resolved, Upstream
from exitway.names.call import Reason
from exitway.names.guard import Excepted, Network, audited, permitted
from exitway.names.host import LOCAL_HOST, Host, ends_in_number, is_name, patterns
from exitway.names.question import Kind, Question, parse

LOOPBACK = "127.0.0.1"
_FAMILIES = (dns.rdatatype.A, dns.rdatatype.AAAA)

Held = TypeVar("Held", bound=Addresses)

MOST_WAITING = 256
"""Questions of one workload that wait for an answer from outside; more fail at once, so that no other workload waits."""


@dataclass(frozen=True)
class Lost:
    """What a policy allowed and its successor does not, by pattern, port and kind (True: lost, False: kept), until a moment of the loop's clock.

    Envoy has decided such a request already when it asks, so what waits for an answer meanwhile is refused it.
    """

    entries: Mapping[tuple[Host, int, Kind], bool] = field(default_factory=dict)
    until: float = 0.0

    def holds(self, question: Question, name: str, now: float) -> bool:
        """Whether the question is about what was lost: by the most specific pattern."""
        if now > self.until:
            return False
        known = (self.entries.get((host, question.port, question.kind)) for host in patterns(name))
        return next((lost for lost in known if lost is not None), False)


@dataclass
class Asker(Generic[Held]):
    """A workload, as far as the resolver knows it. ``local_ports``: of ``host.exitway.internal``; none where it cannot be reached from here.

    ``closed``: networks where no name leads without an exception, like private ones. ``permits``: whether a name may be asked about at all.
    """

    identity: str
    addresses: Held
    exceptions: Sequence[Excepted] = ()
    local_ports: frozenset[int] = frozenset()
    audit: bool = False
    waiting: int = 0
    lost: Lost = field(default_factory=Lost)
    closed: Sequence[Network] = ()
    permits: Callable[[Question, str], bool] = lambda _question, _name: True


Find = Callable[[Question], Awaitable[Asker[Any] | None]]


class Resolution:
    """``askers``: by their label; they and ``upstream`` may be replaced. ``refused`` hears of each refusal: whose, which name and port, why."""

    def __init__(
        self,
        upstream: Upstream,
        askers: Mapping[str, Asker[Any]],
        refused: Callable[[Asker[Any], str, int, Reason], None],
    ) -> None:
        self.upstream = upstream
        self.askers = askers
        self._refused = refused

    async def answer(self, query: bytes, find: Find | None = None) -> bytes | None:
        """The answer to one query, as bytes of a DNS message. None: it is not a query. ``find``: who it is that asks; by default, ``askers`` know."""
        plain = wire.read(query)
        if plain is not None:
            resolved = await self._said(plain.name, plain.rdtype, find)
            records = [plain.address(resolved.ttl_seconds, address) for address in resolved.addresses]
            return plain.response(resolved.rcode, tuple(records))
        try:
            message = dns.message.from_wire(query)
        except dns.exception.DNSException:
            return None
        if message.flags & dns.flags.QR or len(message.question) != 1:
            return None
        response = dns.message.make_response(message, recursion_available=True)
        asked = message.question[0]
        resolved = await self._said(asked.name.to_text(omit_final_dot=True), asked.rdtype, find)
        response.set_rcode(resolved.rcode)
        for address in resolved.addresses:
            kind = dns.rdatatype.to_text(asked.rdtype)
            response.answer.append(dns.rrset.from_text(asked.name, resolved.ttl_seconds, "IN", kind, address))
        return response.to_wire()

    async def _said(self, text: str, rdtype: int, find: Find | None) -> Resolved:
        question = parse(text)
        asker = await (find or self._find)(question) if question else None
        if question is None or asker is None:
            return Resolved(dns.rcode.REFUSED)
        if rdtype not in _FAMILIES:
            return Resolved(dns.rcode.NOERROR)
        return await self._resolve(asker, question, dns.rdatatype.RdataType(rdtype))

    async def _find(self, question: Question) -> Asker[Any] | None:
        return self.askers.get(question.workload)

    async def _resolve(self, asker: Asker[Any], question: Question, rdtype: dns.rdatatype.RdataType) -> Resolved:
        name = self._name(asker, question)
        if not name:
            return Resolved(dns.rcode.REFUSED)
        if name == LOCAL_HOST:
            if question.port not in asker.local_ports:
                self._refused(asker, name, question.port, Reason.ADDRESS)
                return Resolved(dns.rcode.REFUSED)
            return Resolved(dns.rcode.NOERROR, (LOOPBACK,) * (rdtype == dns.rdatatype.A))
        resolved = await self._answered(asker, name, rdtype)
        if asker.lost.holds(question, name, asyncio.get_running_loop().time()) or not asker.permits(question, name):
            self._refused(asker, name, question.port, Reason.REVOKED)
            return Resolved(dns.rcode.SERVFAIL)
        kept = [one for one in resolved.addresses if _permitted(one, question, asker)]
        if not kept and not all(_permitted(one, question, asker) for one in await self._all(name, resolved)):
            self._refused(asker, name, question.port, Reason.ADDRESS)
            if not asker.audit:
                return Resolved(dns.rcode.REFUSED)
            kept = [one for one in resolved.addresses if audited(ipaddress.ip_address(one))]
        return Resolved(resolved.rcode, tuple(kept), resolved.ttl_seconds)

    def _name(self, asker: Asker[Any], question: Question) -> str:
        """The name that the question is about; empty: what was said and what was dialled do not agree, or nothing is enforced by the address."""
        if question.kind is Kind.HTTP:
            return question.name
        name = question.name or asker.addresses.name_of(question.address) or ""
        if question.kind is Kind.TCP and not asker.audit and not asker.addresses.is_pinned(name):
            return ""
        if not name or not asker.addresses.stands_for(question.address, name):
            self._refused(asker, name, question.port, Reason.MISMATCH)
            return name if asker.audit else ""
        return name

    async def _answered(self, asker: Asker[Any], name: str, rdtype: dns.rdatatype.RdataType) -> Resolved:
        if asker.waiting >= MOST_WAITING:
            return Resolved(dns.rcode.SERVFAIL)
        asker.waiting += 1
        try:
            return await self._look_up(name, rdtype)
        finally:
            asker.waiting -= 1

    async def _all(self, name: str, resolved: Resolved) -> tuple[str, ...]:
        """What a name leads to in a family that has something to say: the proxy asks for IPv6 where it was refused IPv4."""
        if resolved.addresses or resolved.rcode != dns.rcode.NOERROR:
            return resolved.addresses
        return (await self._look_up(name, dns.rdatatype.A)).addresses

    async def _look_up(self, name: str, rdtype: dns.rdatatype.RdataType) -> Resolved:
        try:
            address = ipaddress.IPv4Address(name)  # a rule of v1alpha2 may name an address
        except ValueError:
            if not is_name(name.replace("_", "x")) or ends_in_number(name):
                return Resolved(dns.rcode.NXDOMAIN)
            return await self.upstream.resolve(name, rdtype)
        return Resolved(dns.rcode.NOERROR, (str(address),) * (rdtype == dns.rdatatype.A))


def _permitted(address: str, question: Question, asker: Asker[Any]) -> bool:
    return permitted(ipaddress.ip_address(address), question.port, asker.exceptions, asker.closed)
