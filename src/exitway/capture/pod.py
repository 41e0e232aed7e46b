"""The capture of a pod. Text: ``ip -batch -`` and ``nft -f -`` make it so, in the pod's network namespace. Pure.

A pod is not sealed: it has interfaces, and talks inside its cluster. What it sends is one of these, and the first counts:

1. To itself: delivered; but for TCP, only from an address of its own: with IPv6 anybody may send from another, such as the resolver's to the proxy.
2. An answer to what came in from elsewhere, neighbour discovery, or sent by the proxy of a sidecar: it leaves.
3. A question to a name server, wherever to: led to Exitway's resolver.
4. To the cluster's ranges: it leaves. They never hold metadata, loopback or link-local addresses.
5. TCP to anywhere else: marked, routed back in by ``lo``, and there given to the proxy. Where no proxy listens, it is refused.
6. All else (UDP, QUIC, ICMP, SCTP, source-routed, ...): refused, at once.

The chain ``last`` sees where a packet really goes, after all routing, and is the wall behind these: a socket may be bound to an interface.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exitway.capture.ruleset import BEGUN, LOG_GROUP
from exitway.capture.table import comment, elements, removal
from exitway.names.address import CAPTURE_PORT, TCP_PORT
from exitway.names.cluster import ADDRESS_MARK, CAPTURE_TABLE, CAPTURED_MARK, INBOUND_MARK, PROXY_MARK
from exitway.names.guard import ALWAYS, ALWAYS_NETWORKS, NEVER, Network
from exitway.names.ranges import joined, without

_FAMILIES = ((4, "ip", "ipv4_addr", "127.0.0.1"), (6, "ip6", "ipv6_addr", "[::1]"))
_DNS = 53


@dataclass(frozen=True, slots=True)
class PodCapture:
    """What differs between pods.

    ``cluster``: the ranges that are let through. ``resolver``: addresses, at most one of each family, and the port that questions to name
    servers are led to. ``dns_ports``: where the cluster's own name servers listen besides 53. ``proxied``: a sidecar's Envoy sends from
    here, and what it marks leaves. ``recorded``: somebody reads the packets that are refused (``nflog.py``), and steers TCP (``steering.py``).
    """

    cluster: tuple[Network, ...]
    resolver: tuple[str, ...]
    resolver_port: int = _DNS
    dns_ports: tuple[int, ...] = ()
    proxied: bool = False
    recorded: bool = False


def rules() -> str:
    """For ``ip -4 -batch -`` and ``ip -6 -batch -`` alike: captured packets have no way but :func:`route`."""
    captured = f"fwmark {CAPTURED_MARK:#x}"
    return f"rule add pref 1 {captured} lookup {CAPTURE_TABLE}\nrule add pref 2 {captured} prohibit\n"


def route(link: str, metric: str) -> str:
    """For the same: back in. ``link``: ``lo``, and each other interface, for the sockets that are bound to it; ``metric``: ``lo`` has the least."""
    return f"route replace local default dev {link} table {CAPTURE_TABLE} metric {metric}\n"


def ruleset(capture: PodCapture, owner: str) -> str:
    """Replaces the table in one transaction. ``owner`` is written on it: whoever finds it knows whose it is."""
    return f"""\
{removal("exitway")}table inet exitway {{
	{comment(owner)}
{_sets(capture)}
	chain arrive {{
		type filter hook prerouting priority mangle; policy accept;
		iif != "lo" ct state new ct mark set {INBOUND_MARK:#x}
		iif != "lo" accept
		meta mark != {CAPTURED_MARK:#x} accept
{_lines(_steered(capture))}
		meta l4proto tcp reject with tcp reset
		drop
	}}

	chain leave {{
		type route hook output priority mangle; policy drop;
{_lines(_proxied(capture))}
		icmpv6 type {{ {_NEIGHBOURS} }} accept
		meta l4proto != tcp fib saddr type != local goto refuse
		fib daddr type local accept
		fib saddr type != local goto refuse
		ip option lsrr exists goto refuse
		ip option ssrr exists goto refuse
		exthdr rt exists goto refuse
		ct direction reply ct mark {INBOUND_MARK:#x} accept
{_lines(_asking(capture))}
		ip daddr @cluster4 accept
		ip6 daddr @cluster6 accept
		ct state invalid drop
{_lines([BEGUN] * capture.recorded)}
		meta l4proto tcp meta mark set {CAPTURED_MARK:#x} accept
		goto refuse
	}}

	chain proxy {{
{_lines(_guarded())}
		accept
	}}

	chain ask {{
		ct state invalid drop
		meta l4proto udp limit rate over 2000/second burst 500 packets drop
		accept
	}}

	chain lead {{
		type nat hook output priority -100; policy accept;
		fib daddr type local accept
		meta mark {{ {PROXY_MARK:#x}, {ADDRESS_MARK:#x} }} accept
{_lines(_led(capture))}
	}}

	chain last {{
		type filter hook postrouting priority filter; policy accept;
		oif "lo" accept
		meta mark {CAPTURED_MARK:#x} drop
		fib daddr type local drop
		ct direction reply ct mark {INBOUND_MARK:#x} accept
{_lines(_unled(capture))}
	}}

	chain across {{
		type filter hook forward priority filter; policy drop;
	}}

	chain refuse {{
{_lines([f"limit rate 20/second burst 40 packets log group {LOG_GROUP} snaplen 128"] * capture.recorded)}
		meta l4proto tcp reject with tcp reset
		reject with icmpx admin-prohibited
	}}
}}
"""


_NEIGHBOURS = "nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, mld2-listener-report"
"""Sent by the kernel alone, to the link. Without reports of listeners, a bridge may not pass on solicitations (RFC 4541)."""


def _sets(capture: PodCapture) -> str:
    cluster = [part for network in capture.cluster for part in without(network, ALWAYS_NETWORKS)]
    sets = [
        f"\tset cluster{version} {{ type {kind}; flags interval;{elements(joined(cluster, version))} }}\n"
        for version, _, kind, _ in _FAMILIES
    ]
    steered = [
        f"\tset tcp{version} {{ type {kind} . inet_service; flags interval; }}\n" for version, _, kind, _ in _FAMILIES
    ]
    return "".join(sets + steered * capture.recorded)


def _steered(capture: PodCapture) -> Iterable[str]:
    if capture.recorded:
        for version, ip, _, loopback in _FAMILIES:
            yield f"{ip} daddr . tcp dport @tcp{version} tproxy {ip} to {loopback}:{TCP_PORT} accept"
    for version, ip, _, loopback in _FAMILIES:
        yield f"meta nfproto ipv{version} meta l4proto tcp tproxy {ip} to {loopback}:{CAPTURE_PORT} accept"


def _proxied(capture: PodCapture) -> Iterable[str]:
    if capture.proxied:
        yield f"meta mark {PROXY_MARK:#x} meta l4proto tcp goto proxy"
        yield f"meta mark {ADDRESS_MARK:#x} meta l4proto tcp accept"


def _guarded() -> Iterable[str]:
    """The second guard on where names lead, behind the resolver's. Ranges of the cluster may lie in what is nobody's (240.0.0.0/4)."""
    yield from (f"{ip} daddr {{ {_of(ALWAYS, version)} }} goto refuse" for version, ip, _, _ in _FAMILIES)
    yield from (f"{ip} daddr @cluster{version} accept" for version, ip, _, _ in _FAMILIES)
    yield from (f"{ip} daddr {{ {_of(NEVER, version)} }} goto refuse" for version, ip, _, _ in _FAMILIES)


def _of(networks: Iterable[str], version: int) -> str:
    return ", ".join(network for network in networks if (":" in network) == (version == 6))


def _asking(capture: PodCapture) -> Iterable[str]:
    """Questions that can be led nowhere are refused: those of a family that the resolver does not speak."""
    for version, question in _questions(capture):
        yield f"{question} goto {'ask' if _resolver(capture, version) else 'refuse'}"


def _led(capture: PodCapture) -> Iterable[str]:
    for version, question in _questions(capture):
        if address := _resolver(capture, version):
            to = f"[{address}]" if version == 6 else address
            yield f"{question} dnat {_FAMILIES[version == 6][1]} to {to}:{capture.resolver_port}"


def _unled(capture: PodCapture) -> Iterable[str]:
    """What the kernel did not translate, such as a packet of a connection that it has lost sight of."""
    marked = f" meta mark != {{ {PROXY_MARK:#x}, {ADDRESS_MARK:#x} }}" * capture.proxied
    for version, question in _questions(capture):
        address = _resolver(capture, version)
        elsewhere = f" {_FAMILIES[version == 6][1]} daddr != {address}" if address else ""
        yield f"{question}{elsewhere}{marked} drop"


def _questions(capture: PodCapture) -> Iterable[tuple[int, str]]:
    ports = ", ".join(map(str, capture.dns_ports))
    for version, ip, _, _ in _FAMILIES:
        yield version, f"meta nfproto ipv{version} meta l4proto {{ tcp, udp }} th dport {_DNS}"
        if ports:
            yield version, f"{ip} daddr @cluster{version} meta l4proto {{ tcp, udp }} th dport {{ {ports} }}"


def _resolver(capture: PodCapture, version: int) -> str:
    return next((address for address in capture.resolver if (":" in address) == (version == 6)), "")


def _lines(rules: Iterable[str]) -> str:
    return "\n".join(f"\t\t{rule}" for rule in rules)
