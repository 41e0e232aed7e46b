"""What the cluster's DNS says, as far as it is the cluster's to say. Pure.

A service may be another name for one outside (``ExternalName``); the cluster's DNS has looked that up. The pod gets that name's synthetic address
instead, which is what it must dial.
"""

from __future__ import annotations

from dataclasses import replace

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from exitway.dns import wire
from exitway.dns.answer import TTL_SECONDS, synthetic
from exitway.dns.cluster import Cluster, Fate, View, fate

_ELSEWHERE = (b"\x00\x05\x00\x01", b"\x00\x27\x00\x01")
"""Type and class of CNAME and DNAME records."""
_OWN = frozenset({wire.A, wire.AAAA, wire.TXT, wire.PTR})
"""Types whose records come with no others."""


def inside(query: wire.Query, response: bytes, cluster: Cluster, view: View) -> bytes:
    """The response of the cluster's DNS without records of names outside, and with their synthetic addresses."""
    if query.rdtype in _OWN and not any(response.find(mark, 12) >= 0 for mark in _ELSEWHERE):
        return response
    try:
        message = dns.message.from_wire(response)
        own = [dns.name.from_text(domain) for domain in cluster.domains]
        asked = message.question[0].name
        for section in (message.answer, message.authority, message.additional):
            section[:] = [rrset for rrset in section if rrset.name == asked or any(map(rrset.name.is_subdomain, own))]
        target = _followed(message, asked)
        if target != asked and not any(map(target.is_subdomain, own)):
            message.set_rcode(dns.rcode.NOERROR)
            message.answer += _leading(query, target, cluster, view)
        return message.to_wire(max_size=0xFFFF)
    except dns.exception.DNSException:
        return query.response(wire.SERVFAIL)


def _followed(message: dns.message.Message, name: dns.name.Name) -> dns.name.Name:
    """The end of a chain of CNAMEs."""
    known = {rrset.name: rrset[0].target for rrset in message.answer if rrset.rdtype == dns.rdatatype.CNAME}
    while name in known:
        name = known.pop(name)
    return name


def _leading(query: wire.Query, target: dns.name.Name, cluster: Cluster, view: View) -> list[dns.rrset.RRset]:
    name = target.to_text(omit_final_dot=True).lower()
    what = fate(replace(query, name=name), cluster, view)
    found = synthetic(name, view.addresses) if what in {Fate.SYNTHETIC, Fate.FOUND_OUT} else None
    if found is None or query.rdtype not in {wire.A, wire.AAAA} - {view.without}:
        return []
    kind, address = ("A", found.ipv4) if query.rdtype == wire.A else ("AAAA", found.ipv6)
    return [dns.rrset.from_text(target, TTL_SECONDS, "IN", kind, address)]
