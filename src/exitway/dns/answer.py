"""Answers to a workload's DNS queries. Pure, and closed: nothing is ever asked of anyone, so no query carries anything out.

    query                                   answer
    A, AAAA of a host name                  its synthetic address
    A, AAAA of localhost, *.localhost       loopback (RFC 6761, section 6.3)
    any other type of a host name           no data: programs go on with A and AAAA
    PTR of a synthetic or loopback address  the name
    anything else                           there is no such name

That a name has an address here does not mean that it exists, nor that it may be reached: the proxy finds out when it is dialled.
"""

from __future__ import annotations

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from exitway.dns import wire
from exitway.dns.synthetic import Addresses, Synthetic
from exitway.names.host import ends_in_number, is_label

TTL_SECONDS = 60
_SOA = wire.soa(TTL_SECONDS)
_LOOPBACK = Synthetic("127.0.0.1", "::1")
_REVERSE = (dns.name.from_text("in-addr.arpa"), dns.name.from_text("ip6.arpa"))


def answer(query: bytes, addresses: Addresses) -> bytes | None:
    """The answer to one query, without the length that TCP puts before it. None: say nothing, it is not a query."""
    if len(query) < 12 or query[2] & 0x80:
        return None
    plain = wire.read(query)
    if plain is not None and not plain.name.endswith(".arpa"):
        return plain_answer(plain, addresses)
    return parsed_answer(query, addresses)


def parsed_answer(query: bytes, addresses: Addresses) -> bytes:
    """The same for any query that has a header, plain or not."""
    try:
        message = dns.message.from_wire(query)
        response = dns.message.make_response(message, recursion_available=True, our_payload=wire.PAYLOAD_BYTES)
    except dns.exception.DNSException:
        return wire.refusal(query, wire.FORMERR)
    response.set_rcode(_fill(response, message, addresses))
    if not response.answer and response.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        response.authority.append(_authority())
    return response.to_wire()


def plain_answer(query: wire.Query, addresses: Addresses, without: int = 0) -> bytes:
    """The answer to a plain query that is not a reverse one. ``without``: a type that no name has data of."""
    found = synthetic(query.name, addresses)
    if found is None:
        return denial(query)
    if query.rdtype == without:
        return query.response(wire.NOERROR, (), _SOA)
    if query.rdtype == wire.A:
        return query.response(wire.NOERROR, (query.address(TTL_SECONDS, found.ipv4),))
    if query.rdtype == wire.AAAA:
        return query.response(wire.NOERROR, (query.address(TTL_SECONDS, found.ipv6),))
    return query.response(wire.NOERROR, (), _SOA)


def denial(query: wire.Query) -> bytes:
    """There is no such name."""
    return query.response(wire.NXDOMAIN, (), _SOA)


def _fill(response: dns.message.Message, query: dns.message.Message, addresses: Addresses) -> dns.rcode.Rcode:
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if query.edns > 0:
        return dns.rcode.BADVERS
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    if question.name.is_subdomain(_REVERSE[0]) or question.name.is_subdomain(_REVERSE[1]):
        name = _name_at(question.name, addresses)
        if name and question.rdtype == dns.rdatatype.PTR:
            response.answer.append(dns.rrset.from_text(question.name, TTL_SECONDS, "IN", "PTR", f"{name}."))
        return dns.rcode.NOERROR if name else dns.rcode.NXDOMAIN
    found = synthetic(question.name.to_text(omit_final_dot=True).lower(), addresses)
    if found is None:
        return dns.rcode.NXDOMAIN
    if question.rdtype == dns.rdatatype.A:
        response.answer.append(dns.rrset.from_text(question.name, TTL_SECONDS, "IN", "A", found.ipv4))
    elif question.rdtype == dns.rdatatype.AAAA:
        response.answer.append(dns.rrset.from_text(question.name, TTL_SECONDS, "IN", "AAAA", found.ipv6))
    return dns.rcode.NOERROR


def synthetic(name: str, addresses: Addresses) -> Synthetic | None:
    """The addresses of a name (in normal form); None: it is no host name."""
    labels = name.split(".")
    if not all(map(is_label, labels)) or ends_in_number(name):
        return None
    return _LOOPBACK if labels[-1] == "localhost" else addresses.address_of(name)


def _name_at(reverse: dns.name.Name, addresses: Addresses) -> str | None:
    try:
        address = dns.reversename.to_address(reverse)
    except (dns.exception.DNSException, ValueError):
        return None
    return "localhost" if address in _LOOPBACK else addresses.name_of(address)


def _authority() -> dns.rrset.RRset:
    """How long the denial may be remembered (RFC 2308). Ours is the root: there is no zone but this one."""
    numbers = f"1 {TTL_SECONDS} {TTL_SECONDS} {TTL_SECONDS} {TTL_SECONDS}"
    return dns.rrset.from_text(".", TTL_SECONDS, "IN", "SOA", f"exitway.invalid. nobody.invalid. {numbers}")
