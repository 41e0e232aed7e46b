"""What names resolve to outside: the proxy's own look-ups, at the machine's DNS servers.

Neither /etc/hosts nor search domains are asked: what a name leads to must not depend on a file that somebody may write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver

from exitway.names.address import name_server

PATIENCE_SECONDS = 4.0
MOST_REMEMBERED = 20_000
SHORTEST_TTL, LONGEST_TTL = 1, 300


@dataclass(frozen=True, slots=True)
class Resolved:
    """The addresses of one family that a name has, for how many seconds. ``rcode``: NOERROR, NXDOMAIN, or SERVFAIL where nobody could say."""

    rcode: dns.rcode.Rcode
    addresses: tuple[str, ...] = ()
    ttl_seconds: int = SHORTEST_TTL


class Upstream:
    """Asks DNS servers (``address``, ``address:port`` or ``[address]:port``), in order, with a cache."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [_server(server) for server in servers]
        self._resolver.cache = dns.resolver.LRUCache(MOST_REMEMBERED)

    async def resolve(self, name: str, rdtype: dns.rdatatype.RdataType) -> Resolved:
        """The A or AAAA records of a name, after all its CNAMEs."""
        try:
            answer = await self._resolver.resolve(
                dns.name.from_text(name, dns.name.root),
                rdtype,
                raise_on_no_answer=False,
                search=False,
                lifetime=PATIENCE_SECONDS,
            )
        except dns.resolver.NXDOMAIN:
            return Resolved(dns.rcode.NXDOMAIN)
        except (dns.exception.DNSException, OSError):
            return Resolved(dns.rcode.SERVFAIL)
        addresses = tuple(record.address for record in answer.rrset or ())
        ttl = answer.rrset.ttl if answer.rrset else SHORTEST_TTL
        return Resolved(dns.rcode.NOERROR, addresses, max(SHORTEST_TTL, min(ttl, LONGEST_TTL)))


def _server(text: str) -> dns.nameserver.Nameserver:
    return dns.nameserver.Do53Nameserver(*name_server(text))
