"""What becomes of a pod's query: who may answer it, and that nobody outside the cluster is asked. Pure.

    name                                                             fate
    in a domain of the cluster, in a form that its names have        CLUSTER: its own DNS is asked
    of a pod's or a service's address (PTR)                          CLUSTER
    in a search domain of the nodes or of the pod, that a rule has   SYNTHETIC
    the same, that a pattern of a rule has                           FOUND_OUT: SYNTHETIC if it exists outside, which the rule lets the pod learn
    in such a search domain, otherwise                               NOWHERE
    of one label, or in ``svc``, that no rule has                    NOWHERE
    anything else                                                    SYNTHETIC

Names are searched for (``ndots:5``): a program that asks for ``api.example`` asks for ``api.example.shop.svc.cluster.local`` first, and for
``api.example.corp.example`` where the node is in ``corp.example``. Each of these must be denied, or the search stops there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_network
from typing import Any

from exitway.dns import wire
from exitway.dns.synthetic import Addresses
from exitway.names.guard import Network
from exitway.names.host import Host, patterns

DOMAINS = ("cluster.local",)
_HEXADECIMAL = frozenset("0123456789abcdef")
_MOST_LABELS = 3
"""Of a name that the cluster may have without its domain: ``web-0.nginx.shop``."""


class Fate(Enum):
    """What becomes of a query."""

    CLUSTER = auto()
    NOWHERE = auto()
    REFUSED = auto()
    FOUND_OUT = auto()
    SYNTHETIC = auto()


@dataclass(frozen=True, slots=True)
class Cluster:
    """``servers``: the cluster's DNS (``address``, ``address:port``); ``domains``: its own, the first one is that of services.

    ``ranges``: of pods and services, and single addresses of nodes; ``search``: the domains that nodes give to their pods.
    """

    servers: tuple[str, ...]
    domains: tuple[str, ...] = DOMAINS
    ranges: tuple[Network, ...] = ()
    search: tuple[str, ...] = ()

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Cluster:
        """Read what :meth:`json` has written."""
        servers, domains, ranges, search = (said[part] for part in ("servers", "domains", "ranges", "search"))
        return cls(tuple(servers), tuple(domains), tuple(map(ip_network, ranges)), tuple(search))

    @property
    def json(self) -> dict[str, Any]:
        """For a message to another process."""
        ranges = [str(network) for network in self.ranges]
        return {"servers": self.servers, "domains": self.domains, "ranges": ranges, "search": self.search}


@dataclass(frozen=True, slots=True)
class View:
    """What a name means depends on who asks. ``search``: the pod's own domains; ``named``: the names and patterns that its rules speak of.

    Of the names and patterns, :func:`of_interest` is enough. ``without``: A or AAAA, where the pod has no address of that family to dial from.
    """

    addresses: Addresses
    namespace: str = ""
    search: tuple[str, ...] = ()
    named: Container[Host] = frozenset()
    without: int = 0


def fate(query: wire.Query, cluster: Cluster, view: View) -> Fate:
    """What becomes of a query whose name is in normal form."""
    name = query.name
    domain = next((domain for domain in cluster.domains if _is_in(name, domain)), None)
    if domain is not None:
        if query.rdtype == wire.OPT or 128 <= query.rdtype < 255:
            return Fate.REFUSED  # transfers, and what is about messages
        return Fate.CLUSTER if _has_form(name.removesuffix(domain).removesuffix(".")) else Fate.NOWHERE
    if name.endswith(".arpa"):
        address = reversed_address(name) if query.rdtype == wire.PTR else None
        return Fate.CLUSTER if address and _is_of_cluster(address, cluster) else Fate.SYNTHETIC
    return _outside(name, cluster, view)


def _is_of_cluster(address: ipaddress.IPv4Address | ipaddress.IPv6Address, cluster: Cluster) -> bool:
    """Not a node's: many clusters' DNS asks for what it does not know outside."""
    return any(address in network for network in cluster.ranges if network.prefixlen < network.max_prefixlen)


def _outside(name: str, cluster: Cluster, view: View) -> Fate:
    if _is_in(name, "localhost"):
        return Fate.SYNTHETIC  # which is what it always is
    within = [domain for domain in (*cluster.search, *view.search) if name.endswith(f".{domain}")]
    if within:
        found = pattern(name, view.named)
        if found is None or not any(_is_in(found.suffix.removeprefix("."), domain) for domain in within):
            return Fate.NOWHERE
        return Fate.FOUND_OUT if found.wildcard else Fate.SYNTHETIC
    if ("." not in name or name.endswith(".svc")) and Host(name) not in view.named:
        return Fate.NOWHERE
    return Fate.SYNTHETIC


def pattern(name: str, named: Container[Host]) -> Host | None:
    """The most specific pattern that matches a name."""
    return next((host for host in patterns(name) if host in named), None)


def neighbours(name: str, cluster: Cluster, view: View) -> tuple[str, ...]:
    """What the cluster has if a name that is to have a synthetic address is rather one of the cluster's own, at the end of a search for it.

    ``db.shop`` is a service, or was to be one, if there is a namespace ``shop``; ``web-0.nginx`` a pod if there is a service ``nginx``; but not
    if a rule :func:`speaks_of` it.
    """
    labels = name.split(".")
    if not 1 < len(labels) <= _MOST_LABELS:
        return ()
    parents = [".".join(labels[1:])]
    if len(labels) == 2 and view.namespace:
        parents.append(f"{labels[1]}.{view.namespace}")
    return tuple(f"{parent}.svc.{cluster.domains[0]}" for parent in parents)


def speaks_of(name: str, view: View) -> bool:
    """Whether a rule has the name, be it by a pattern, but for the pattern of all names."""
    found = pattern(name, view.named)
    return found is not None and bool(found.suffix)


def of_interest(hosts: Iterable[Host], cluster: Cluster, search: Iterable[str] = ()) -> frozenset[Host]:
    """The names and patterns that a :class:`View` may need."""
    domains = (*cluster.search, *search)
    return frozenset(
        host
        for host in hosts
        if host.suffix.count(".") < _MOST_LABELS
        or any(_is_in(host.suffix.removeprefix("."), domain) for domain in domains)
    )


def reversed_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a reverse name (lower case) spells out in full."""
    labels = name.split(".")
    try:
        if labels[4:] == ["in-addr", "arpa"]:
            return ipaddress.IPv4Address(".".join(reversed(labels[:4])))
        if labels[32:] == ["ip6", "arpa"] and _HEXADECIMAL.issuperset(labels[:32]):
            return ipaddress.IPv6Address(int("".join(reversed(labels[:32])), 16))
    except ValueError:
        pass
    return None


def read_resolv_conf(text: str) -> Cluster:
    """What the kubelet tells a pod (resolv.conf(5)) that has ``dnsPolicy: ClusterFirst``."""
    servers: list[str] = []
    search: list[str] = []
    for words in map(str.split, text.splitlines()):
        if words[:1] == ["nameserver"]:
            servers += words[1:2]
        elif words[:1] == ["search"]:
            search = [domain.lower().strip(".") for domain in words[1:]]
    own = tuple(domain.removeprefix("svc.") for domain in search if domain.startswith("svc."))
    others = [domain for domain in search if domain and not any(_is_in(domain, one) for one in own)]
    return Cluster(tuple(servers), own or DOMAINS, search=tuple(others))


def _is_in(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _has_form(rest: str) -> bool:
    """Whether the cluster may have such a name (github.com/kubernetes/dns, docs/specification.md).

    Some clusters' DNS takes what is longer for a name outside that is being searched for, and asks for that (CoreDNS' ``autopath``).
    """
    labels = rest.split(".")
    if labels[-1] == "svc":
        most = 4 if labels[0].startswith("_") and labels[1].startswith("_") else 3
        return len(labels) - 1 <= most
    return labels[-1] != "pod" or len(labels) <= 3
