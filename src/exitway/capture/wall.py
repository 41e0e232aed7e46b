"""The second guard on where names may lead: the kernel's, behind the proxy. Text for ``nft -f -``.

Envoy marks what it sends to a name; what is marked may not go to addresses that no name may lead to, whatever the proxy was told. The exceptions
are those of all workloads of the machine together: which workload has which is the resolver's affair (``dns/resolution.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from exitway.capture.table import digest, elements, removal
from exitway.names.guard import ALWAYS, NEVER, PRIVATE, Excepted, Network
from exitway.names.ranges import joined


@dataclass(frozen=True)
class Wall:
    """One for each server of a machine. ``owner``: what tells them apart, such as the runtime directory."""

    owner: str

    @property
    def table(self) -> str:
        """The name of its nftables table."""
        return f"exitway-wall-{digest(self.owner)}"

    @property
    def mark(self) -> int:
        """The mark of what Envoy sends to names (``SO_MARK``)."""
        return 0x45570000 | int(digest(self.owner)[:4], 16)

    def ruleset(
        self,
        exceptions: Iterable[Excepted],
        *,
        audit: bool = False,
        closed: Iterable[Network] = (),
        never: Iterable[str] = NEVER,
    ) -> str:
        """Replaces it, in one transaction. ``audit``: a workload is let through to all but the addresses that no audit leads to.

        ``closed``: networks that are guarded besides; ``never``: those that no exception leads to.
        """
        guarded = (*(ALWAYS if audit else PRIVATE), *map(str, closed))
        excepted = list(exceptions)
        return f"""\
{removal(self.table)}table inet {self.table} {{
	set excepted4 {{ type ipv4_addr . inet_service; flags interval;{_elements(excepted, 4)} }}
	set excepted6 {{ type ipv6_addr . inet_service; flags interval;{_elements(excepted, 6)} }}

	chain leave {{
		type filter hook output priority filter; policy accept;
		meta mark != {self.mark:#x} accept
		ip daddr {{ {_networks(never, 4)} }} goto refuse
		ip6 daddr {{ {_networks(never, 6)} }} goto refuse
		ip daddr . tcp dport @excepted4 accept
		ip6 daddr . tcp dport @excepted6 accept
		ip daddr {{ {_networks(guarded, 4)} }} goto refuse
		ip6 daddr {{ {_networks(guarded, 6)} }} goto refuse
	}}

	chain refuse {{
		counter
		meta l4proto tcp reject with tcp reset
		drop
	}}
}}
"""


def _networks(networks: Iterable[str], version: int) -> str:
    return ", ".join(map(str, joined(map(ip_network, networks), version)))


def _elements(exceptions: Iterable[Excepted], version: int) -> str:
    ports: dict[int, list[Network]] = {}
    for network, port, allowed in exceptions:
        if allowed:
            ports.setdefault(port, []).append(network)
    return elements(
        f"{network} . {port}" for port, networks in sorted(ports.items()) for network in joined(networks, version)
    )
