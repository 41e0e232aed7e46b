"""The lab's names and addresses, and the answers of its DNS server.

Every served name has an IPv4 and an IPv6 address of its own. Addresses: 198.18.0.0/15 (RFC 2544) and 2001:db8::/32 (RFC 3849).
"""

from __future__ import annotations

from collections.abc import Mapping

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST_IPV4, WORLD_IPV4 = "198.18.0.1", "198.18.0.2"
HOST_IPV6, WORLD_IPV6 = "2001:db8::1", "2001:db8::2"
DNS_SERVER = "198.18.0.53"
MARKS = "198.18.0.4"
"""Packets to this address are marks that a test's own reading leaves; see :mod:`exitway.lab.lab`."""
TTL_SECONDS = 1

HTTPBIN = ("httpbin.org", "www.httpbin.org")
"""These are served by the real httpbin; every other address by the mirror."""

UNTRUSTED = "untrusted.lab.test"
"""Its certificate is signed by nobody."""
WRONG_NAME = "wrong-name.lab.test"
"""Its certificate is that of the other names."""
EXPIRED = "expired.lab.test"
"""Its certificate was good until yesterday."""
OLD_TLS = "old-tls.lab.test"
"""It speaks no newer TLS than 1.1."""

_SERVED = (
    *HTTPBIN,
    "www.google.com",
    "api.github.com",
    "a.lab.test",
    "b.lab.test",
    "c.lab.test",
    "wild.lab.test",
    UNTRUSTED,
    WRONG_NAME,
    EXPIRED,
    OLD_TLS,
)

Addresses = Mapping[str, tuple[str, ...]]

ADDRESSES: Addresses = {
    **{name: (f"198.18.1.{n}", f"2001:db8::1:{n:x}") for n, name in enumerate(_SERVED, 1)},
    # below wild.lab.test every name exists
    "*.wild.lab.test": ("198.18.2.1", "2001:db8::2:1"),
    "v4.lab.test": ("198.18.2.2",),
    "v6.lab.test": ("2001:db8::2:3",),
    # names that lead inside
    "loopback.lab.test": ("127.0.0.1", "::1"),
    "private.lab.test": ("10.1.2.3",),
    "metadata.lab.test": ("169.254.169.254",),
    "mapped.lab.test": ("::ffff:10.1.2.3",),
}


def name_of(address: str) -> str:
    """The name that has this address; empty: no name has."""
    return next((name for name, addresses in ADDRESSES.items() if address in addresses), "")


def addresses_of(name: str, changed: Addresses) -> tuple[str, ...] | None:
    """The addresses of a name (lower case, no trailing dot), ``changed`` ones first. None: there is no such name."""
    names = {**ADDRESSES, **changed}
    wildcard = "*.wild.lab.test" if name.endswith(".wild.lab.test") else ""
    return names.get(name, names.get(wildcard))


def answer(query: dns.message.Message, changed: Addresses) -> dns.message.Message:
    """An authoritative answer (RFC 1035): the addresses, nothing for another type, NXDOMAIN for another name."""
    response = dns.message.make_response(query, recursion_available=True)
    response.flags |= dns.flags.AA
    question = query.question[0]
    addresses = addresses_of(asked(query), changed)
    if addresses is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
        return response
    kind = asked_type(query)
    found = [address for address in addresses if kind == ("AAAA" if ":" in address else "A")]
    if found:
        response.answer.append(dns.rrset.from_text_list(question.name, TTL_SECONDS, "IN", kind, found))
    return response


def asked(query: dns.message.Message) -> str:
    """The name that is asked for, lower case, without the trailing dot."""
    return query.question[0].name.to_text(omit_final_dot=True).lower()


def asked_type(query: dns.message.Message) -> str:
    """The type that is asked for, such as ``AAAA``."""
    return dns.rdatatype.to_text(query.question[0].rdtype)


def read(wire: bytes) -> dns.message.Message | None:
    """A query with one question. None: the bytes are something else."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None
    return query if len(query.question) == 1 else None
