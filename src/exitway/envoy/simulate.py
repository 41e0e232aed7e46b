"""What Envoy would do with a call, worked out from the generated configuration alone: no Envoy, no policy.

The matching algorithms are Envoy's own: unified matchers (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/matching/matching_api),
virtual hosts by exact name, then longest suffix, then ``*``; routes in order
(``config/route/v3/route_components.proto``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exitway.envoy.api import LISTENER, ROUTE_CONFIGURATION, Json
from exitway.envoy.cluster import NOWHERE
from exitway.envoy.matcher import TLS
from exitway.envoy.route import DECISION, DIALLED_PORT
from exitway.envoy.snapshot import Snapshot
from exitway.names.call import Call, Reason, Sort, Verdict
from exitway.names.request import METHOD_OVERRIDES


@dataclass(frozen=True, slots=True)
class Path:
    """Where a call went: filter chain, virtual host, cluster; ``answer`` is what Envoy itself says (``x-exitway-decision``)."""

    filter_chain: str
    virtual_host: str = ""
    cluster: str = ""
    answer: str = ""

    @property
    def verdict(self) -> Verdict:
        """ALLOW where it reaches a cluster that leads somewhere."""
        return Verdict.ALLOW if self.cluster not in ("", NOWHERE) else Verdict.DENY


def simulate(snapshot: Snapshot, listener: str, call: Call) -> Path:
    """Follow a call through a listener of the snapshot."""
    config = snapshot.named(LISTENER)[listener].json
    chain_name = _chain(config["filter_chain_matcher"], call)
    chain = next(chain for chain in config["filter_chains"] if chain["name"] == chain_name)
    last = chain["filters"][-1]["typed_config"]
    if chain_name == TLS and call.asked not in (None, call.name):
        return Path(chain_name, answer=f"deny; reason={Reason.MISMATCH}")  # our resolver answers so
    if "rds" not in last:
        return Path(chain_name, cluster=last["cluster"])
    routes = snapshot.named(ROUTE_CONFIGURATION)[last["rds"]["route_config_name"]].json
    return _route(routes, chain_name, call)


def _chain(matcher: Json, call: Call) -> str:
    """The action of a unified matcher. A nested matcher that finds nothing has its own ``on_no_match``."""
    tree = matcher["matcher_tree"]
    value = _input(tree["input"]["name"], call)
    found = _lookup(tree, value) or matcher["on_no_match"]
    if "matcher" in found:
        return _chain(found["matcher"], call)
    name: str = found["action"]["typed_config"]["value"]
    return name


def _input(name: str, call: Call) -> str:
    inputs: Mapping[str, str] = {
        "TransportProtocolInput": "tls" if call.sort is Sort.TLS else "raw_buffer",
        "ApplicationProtocolInput": "'http/1.1'" if call.sort is Sort.HTTP else "",
        "DestinationPortInput": str(call.port),
        "DestinationIPInput": call.address,
        "ServerNameInput": call.name if call.sort is Sort.TLS else "",
    }
    return inputs[name]


def _lookup(tree: Json, value: str) -> Json | None:
    if "exact_match_map" in tree:
        exact: Json | None = tree["exact_match_map"]["map"].get(value)
        return exact
    custom = tree["custom_match"]["typed_config"]
    if "domain_matchers" in custom:
        by_domain = {domain: m["on_match"] for m in custom["domain_matchers"] for domain in m["domains"]}
        return by_domain.get(_most_specific(value, by_domain) or "") if value else None
    return _by_range(custom["range_matchers"], value)


def _by_range(matchers: Iterable[Json], value: str) -> Json | None:
    """The narrowest range that holds the address (``xds.type.matcher.v3.IPMatcher``)."""
    if not value:
        return None
    address = ipaddress.ip_address(value)
    holding = [
        (network.prefixlen, number, matcher["on_match"])
        for number, matcher in enumerate(matchers)
        for spec in matcher["ranges"]
        if address in (network := ipaddress.ip_network(f"{spec['address_prefix']}/{spec['prefix_len']}"))
    ]
    return max(holding)[2] if holding else None


def _route(routes: Json, chain: str, call: Call) -> Path:
    by_domain = {domain: host for host in routes["virtual_hosts"] for domain in host["domains"]}
    host = by_domain.get(_most_specific(call.name, by_domain) or "*")
    if host is None:
        return Path(chain)
    for route in host["routes"]:
        if _matches(route["match"], call):
            answer = "".join(
                h["header"]["value"] for h in route.get("response_headers_to_add", ()) if h["header"]["key"] == DECISION
            )
            return Path(chain, host["name"], route.get("route", {}).get("cluster", ""), answer)
    return Path(chain, host["name"])


def _matches(match: Json, call: Call) -> bool:
    headers = {":method": call.method, ":path": call.path} | ({METHOD_OVERRIDES[0]: ""} if call.overridden else {})
    return (
        _text(match, call.path.partition("?")[0])
        and all(_header(matcher, headers.get(matcher["name"])) for matcher in match.get("headers", ()))
        and all(_state(state, call) for state in match.get("filter_state", ()))
    )


def _header(matcher: Json, value: str | None) -> bool:
    found = value is not None and ("present_match" in matcher or _text(matcher["string_match"], value))
    return found != bool(matcher.get("invert_match"))


def _state(matcher: Json, call: Call) -> bool:
    return bool(matcher["key"] == DIALLED_PORT and _text(matcher["string_match"], str(call.port)))


def _text(matcher: Json, value: str) -> bool:
    """``StringMatcher``, and the path of a ``RouteMatch``."""
    if "safe_regex" in matcher:
        return re.fullmatch(matcher["safe_regex"]["regex"], value) is not None
    if "prefix" in matcher:
        return value.startswith(str(matcher["prefix"]))
    return bool(value == matcher.get("exact", matcher.get("path")))


def _most_specific(name: str, domains: Iterable[str] | Mapping[str, object]) -> str | None:
    """The exact domain, else the one with the longest suffix after ``*``; a ``*`` stands for at least one character."""
    if name in domains:
        return name
    for start in range(1, len(name) + 1):
        if f"*{name[start:]}" in domains:
            return f"*{name[start:]}"
    return None
