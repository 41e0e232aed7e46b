"""Which connections may leave: the matcher of a listener, which chooses a filter chain for each connection.

Names (TLS) and networks (TCP) are decided here, before any filter runs: a filter that decides on the first byte comes too late, the name
would have been resolved and dialled by then. A change of the matcher alone drains no connection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from exitway.envoy.api import Json
from exitway.envoy.wire import extension
from exitway.names.address import SYNTHETIC, Pinned
from exitway.names.call import Sort, Verdict
from exitway.names.guard import ALWAYS, NEVER
from exitway.names.host import LOCAL_HOST, Host
from exitway.policy.decide import by_name
from exitway.policy.policy import Policy
from exitway.resources.intent import Network

HTTP = "http"
TLS = "tls"
TCP = "tcp"
NAMED = "tcp-name"
DENY = "deny"

_INPUTS = "envoy.extensions.matching.common_inputs.network.v3."
_IP_MATCHER = "xds.type.matcher.v3.IPMatcher"
_SERVER_NAME_MATCHER = "xds.type.matcher.v3.ServerNameMatcher"


def filter_chain_matcher(policy: Policy, pinned: Pinned) -> Json:
    """TCP by network and port, whatever is spoken; then TLS by name and port, and clear-text HTTP to its routes; the rest is refused.

    ``pinned``: TCP by name, where no other listener does that.
    """
    if policy.audit:
        names = [{"domains": ["*"], "on_match": _chain(TLS)}]
        tls = _custom("ServerNameInput", _SERVER_NAME_MATCHER, _chain(NAMED), domain_matchers=names)
        return _audited(_tree("TransportProtocolInput", {"tls": tls, "raw_buffer": _http(_chain(NAMED))}))
    http = _http(_chain(DENY))
    by_protocol = _tree("TransportProtocolInput", {"tls": _tls(policy), "raw_buffer": http})
    matcher: Json = _networks(policy, by_protocol, pinned)["matcher"]
    return matcher


def tcp_matcher(policy: Policy, pinned: Pinned) -> Json:
    """TCP by network and port, and by the synthetic addresses of names; the rest is refused.

    Networks get the same verdict here as from :func:`filter_chain_matcher`.
    """
    if policy.audit:
        return _audited(_chain(NAMED))
    refused = _custom(
        "DestinationIPInput", _IP_MATCHER, range_matchers=[{"ranges": _ranges(SYNTHETIC), "on_match": _chain(DENY)}]
    )
    matcher: Json = _networks(policy, refused, pinned)["matcher"]
    return matcher


def _audited(named: Json) -> Json:
    """Everything is let through, by the name that stands behind the address or as it was dialled, but to addresses that no audit leads to."""
    always = [network for network in map(ip_network, (*ALWAYS, *NEVER)) if network not in SYNTHETIC]
    matchers = [
        {"ranges": _ranges(always), "on_match": _chain(DENY)},
        {"ranges": _ranges(SYNTHETIC), "on_match": named},
    ]
    matcher: Json = _custom("DestinationIPInput", _IP_MATCHER, _chain(TCP), range_matchers=matchers)["matcher"]
    return matcher


def _http(otherwise: Json) -> Json:
    spoken = ("'http/1.0'", "'http/1.1'", "'h2c'")
    return _tree("ApplicationProtocolInput", dict.fromkeys(spoken, _chain(HTTP)), otherwise)


def _tls(policy: Policy) -> Json:
    names: defaultdict[int, dict[str, list[str]]] = defaultdict(lambda: {TLS: [], DENY: []})
    for host, permissions in policy.hosts.items():
        if host.wildcard and host.suffix and not host.suffix.startswith("."):
            continue  # Envoy knows only ``*.`` here; a rule for TLS names no other form, so what such a pattern allows it has from a wider one
        for (port, sort), said in permissions.items():
            if sort is Sort.TLS:
                names[port][TLS if said[0].verdict is Verdict.ALLOW else DENY].append(str(host))
    for chains in names.values():
        if Host(LOCAL_HOST) in policy.hosts and LOCAL_HOST not in chains[TLS] + chains[DENY]:
            chains[DENY].append(LOCAL_HOST)  # a pattern does not mean it
    return _tree("DestinationPortInput", {str(port): _server_names(chains) for port, chains in sorted(names.items())})


def _server_names(chains: Mapping[str, list[str]]) -> Json:
    matchers = [{"domains": sorted(names), "on_match": _chain(chain)} for chain, names in chains.items() if names]
    return _custom("ServerNameInput", _SERVER_NAME_MATCHER, domain_matchers=matchers)


def _networks(policy: Policy, otherwise: Json, pinned: Pinned) -> Json:
    networks: defaultdict[int, dict[str, list[Network]]] = defaultdict(lambda: {TCP: [], NAMED: [], DENY: []})
    for network, permissions in policy.networks.items():
        for (port, sort), said in permissions.items():
            if sort is Sort.TCP:
                networks[port][TCP if said[0].verdict is Verdict.ALLOW else DENY].append(network)
    for name, addresses in pinned.items():
        for (port, sort), said in by_name(policy, name).items():
            if sort is Sort.TCP:
                chain = NAMED if said[0].verdict is Verdict.ALLOW else DENY
                networks[port][chain] += map(ip_network, addresses)
    ports = {str(port): _addresses(chains, otherwise) for port, chains in sorted(networks.items())}
    return _tree("DestinationPortInput", ports, otherwise)


def _addresses(chains: Mapping[str, list[Network]], otherwise: Json) -> Json:
    matchers = [
        {"ranges": _ranges(networks), "on_match": _chain(chain)} for chain, networks in chains.items() if networks
    ]
    # behind a synthetic address stands a name: no network that holds more than the one address holds it
    matchers.append({"ranges": _ranges(SYNTHETIC), "on_match": otherwise})
    return _custom("DestinationIPInput", _IP_MATCHER, otherwise, range_matchers=matchers)


def _ranges(networks: Iterable[Network]) -> list[Json]:
    ordered = sorted(networks, key=lambda network: (network.version, network))
    return [{"address_prefix": str(network.network_address), "prefix_len": network.prefixlen} for network in ordered]


def _chain(name: str) -> Json:
    return {"action": extension(name, "google.protobuf.StringValue", value=name)}


def _tree(input_name: str, branches: Mapping[str, Json], otherwise: Json | None = None) -> Json:
    """What to do by the exact value of an input; an input with no branches at all is not asked."""
    otherwise = otherwise or _chain(DENY)
    if not branches:
        return otherwise
    tree = {"input": extension(input_name, _INPUTS + input_name), "exact_match_map": {"map": dict(branches)}}
    return {"matcher": {"matcher_tree": tree, "on_no_match": otherwise}}


def _custom(input_name: str, matcher: str, otherwise: Json | None = None, **fields: object) -> Json:
    tree = {"input": extension(input_name, _INPUTS + input_name), "custom_match": extension(matcher, matcher, **fields)}
    return {"matcher": {"matcher_tree": tree, "on_no_match": otherwise or _chain(DENY)}}
