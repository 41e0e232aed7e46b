"""The lab's names and addresses, and the answers of its DNS server.

Every served name has an IPv4 and an IPv6 address of its own. Addresses: 198.18.0.0/15 (RFC 2544) and 2001:db8::/32 (RFC 3849).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

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
    "db.lab.test",
    "cache.lab.test",
)

Addresses = Mapping[str, tuple[str, ...]]

INSIDE: Addresses = {
    # kind of address: addresses that no name may lead to; their names are KIND.inside.lab.test
    "unspecified": ("0.0.0.0", "::"),  # noqa: S104  nothing is bound to it
    "this-network": ("0.1.2.3",),
    "loopback": ("127.0.0.1", "::1"),
    "loopback-53": ("127.0.0.53",),
    "private-10": ("10.1.2.3",),
    "private-172": ("172.31.255.254",),
    "private-192": ("192.168.1.1",),
    "cgnat": ("100.64.0.1",),
    "link-local": ("169.254.1.1", "fe80::1"),
    "site-local": ("fec0::1",),
    "unique-local": ("fc00::1", "fd12:3456::1"),
    "protocol-assignments": ("192.0.0.1",),
    "multicast": ("224.0.0.251", "ff02::1"),
    "broadcast": ("255.255.255.255",),
    "reserved": ("247.1.2.3",),
    "synthetic": ("240.240.0.1", "2001:2::1"),
    "metadata": ("169.254.169.254", "fd00:ec2::254"),
    "metadata-ecs": ("169.254.170.2",),
    "metadata-azure": ("168.63.129.16",),
    "metadata-alibaba": ("100.100.100.200",),
    "metadata-oracle": ("192.0.0.192",),
    # forms that embed another address
    "compatible": ("::127.0.0.1",),
    "mapped": ("::ffff:127.0.0.1",),
    "mapped-metadata": ("::ffff:169.254.169.254",),
    "mapped-public": ("::ffff:198.18.1.1",),
    "nat64": ("64:ff9b::7f00:1",),
    "nat64-metadata": ("64:ff9b::a9fe:a9fe",),
    "nat64-local": ("64:ff9b:1::a9fe:a9fe",),
    "6to4": ("2002:7f00:1::1",),
    "6to4-metadata": ("2002:a9fe:a9fe::1",),
    "teredo": ("2001:0:7f00:1::1",),
    # not every address of an answer is good
    "mixed": ("198.18.2.5", "127.0.0.1"),
    "mixed-versions": ("198.18.2.6", "::1"),
}

ALIASES: Mapping[str, str] = {
    "alias.lab.test": "alias-of-alias.lab.test",
    "alias-of-alias.lab.test": "a.lab.test",
    "alias.inside.lab.test": "metadata.inside.lab.test",
    "loop.lab.test": "loop-of-loop.lab.test",
    "loop-of-loop.lab.test": "loop.lab.test",
}
"""CNAME records (RFC 1034, 3.6.2)."""

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
    **{f"{kind}.inside.lab.test": addresses for kind, addresses in INSIDE.items()},
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
    chain = [asked(query)]
    while chain[-1] in ALIASES and chain[-1] not in chain[:-1]:
        chain.append(ALIASES[chain[-1]])
    for name, alias in pairwise(chain):
        response.answer.append(_records(name, "CNAME", [f"{alias}."]))
    addresses = () if chain[-1] in ALIASES else addresses_of(chain[-1], changed)
    if addresses is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
        return response
    kind = asked_type(query)
    found = [address for address in addresses if kind == ("AAAA" if ":" in address else "A")]
    if found:
        response.answer.append(_records(chain[-1], kind, found))
    return response


def _records(name: str, kind: str, values: Sequence[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(f"{name}.", TTL_SECONDS, "IN", kind, values)


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
