"""Where allowed traffic goes.

There is one dynamic-forward-proxy cluster for all names: Envoy asks our resolver (``dns/resolution.py``) for the authorised name and dials the
port that was allowed, so neither the number of rules nor what a client wrote into an address decides anything here.
"""

from __future__ import annotations

from exitway.envoy.api import Json
from exitway.envoy.wire import extension, socket_address, typed
from exitway.names.guard import NEVER

BY_NAME = "dynamic_forward_proxy"
BY_NAME_OVER_TLS = "dynamic_forward_proxy_tls"
BY_ADDRESS = "original_dst"
NOWHERE = "BlackHoleCluster"

_HTTP2 = {"max_concurrent_streams": 1}
"""Outside, a connection carries one request at a time, so that one can be cut without another (``server/revoke.py``)."""


def dns_cache(resolver: str) -> Json:
    """The one cache of resolved names. Every user of it must give the identical configuration (Envoy's rule), hence one function.

    ``resolver``: ``address:port``. What it answers is filtered once more: by the addresses that no rule excepts.
    """
    address, _, port = resolver.rpartition(":")
    return {
        "name": "egress",
        "dns_lookup_family": "V4_PREFERRED",
        "max_hosts": 100_000,
        # our resolver limits what waits, for each workload; Envoy would for all together (1,024)
        "dns_cache_circuit_breaker": {"max_pending_requests": 1_000_000},
        "dns_min_refresh_rate": "5s",
        # what failed is asked again soon: the proxy answers from its memory meanwhile
        "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "20s"},
        "host_ttl": "10s",  # each new host costs the others' number; what is connected stays connected
        "dns_query_timeout": "5s",
        "resolved_address_filter": {"ranges": [_range(network) for network in NEVER]},
        "typed_dns_resolver_config": extension(
            "envoy.network.dns_resolver.cares",
            "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            resolvers=[socket_address(address, int(port))],
            dns_resolver_options={"no_default_search_domain": True},
        ),
    }


def _range(network: str) -> Json:
    address, length = network.split("/")
    return {"address_prefix": address, "prefix_len": int(length)}


def clusters(resolver: str, authorities: str, mark: int) -> list[Json]:
    """The clusters that exist whatever the rules say; they go into the bootstrap.

    ``resolver``: as in :func:`dns_cache`; ``authorities``: a file of trusted certificates, PEM; ``mark``: of every packet to a name, for the
    kernel's own guard (``capture/wall.py``).
    """
    return [
        _forward_proxy(
            BY_NAME,
            resolver,
            mark,
            {"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": _HTTP2}},
        ),
        _over_tls(BY_NAME_OVER_TLS, resolver, mark, {"filename": authorities}),
        {
            "name": BY_ADDRESS,
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "5s",
            "circuit_breakers": _UNBROKEN,
        },
        {"name": NOWHERE, "type": "STATIC", "connect_timeout": "1s"},
    ]


_UNBROKEN = {"thresholds": [dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 1_000_000)]}
"""Envoy allows 1,024 of each to a cluster by default; ours are for all destinations together."""


def verified_by(authorities: str) -> str:
    """The name of the cluster for servers that certain authorities vouch for; ``authorities``: their id. Empty: those of the system."""
    return f"{BY_NAME_OVER_TLS}/{authorities}" if authorities else BY_NAME_OVER_TLS


def verifying(authorities: str, certificates: str, resolver: str, mark: int) -> Json:
    """That cluster. It exists while a rule uses it. ``certificates``: PEM; the rest as in :func:`clusters`."""
    return _over_tls(verified_by(authorities), resolver, mark, {"inline_string": certificates})


def _over_tls(name: str, resolver: str, mark: int, trusted: Json) -> Json:
    protocol: Json = {"auto_config": {"http_protocol_options": {}, "http2_protocol_options": _HTTP2}}
    return _forward_proxy(name, resolver, mark, protocol) | {"transport_socket": _verified_tls(trusted)}


def _forward_proxy(name: str, resolver: str, mark: int, protocol: Json) -> Json:
    return {
        "name": name,
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "5s",
        **marked(mark),
        "circuit_breakers": _UNBROKEN,
        "cluster_type": extension(
            "envoy.clusters.dynamic_forward_proxy",
            "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
            dns_cache_config=dns_cache(resolver),
        ),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                # a dynamic forward proxy is refused without both, also in clear text
                upstream_http_protocol_options={"auto_sni": True, "auto_san_validation": True},
                **protocol,
            )
        },
    }


def marked(mark: int) -> Json:
    """The part of a cluster that has the kernel see a mark on every packet."""
    return {"upstream_bind_config": {"socket_options": [_SO_MARK | {"int_value": mark}]}}


_SO_MARK = {"description": "guarded by the kernel", "level": 1, "name": 36, "state": "STATE_PREBIND"}
"""SOL_SOCKET, SO_MARK (socket(7))."""


def _verified_tls(trusted: Json) -> Json:
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": {"trusted_ca": trusted},
        },
    )


def published(name: str, port: int, netns: str) -> Json:
    """A port of a program inside its namespace, for those outside. Envoy dials it from within the namespace."""
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "upstream_bind_config": {"source_address": socket_address("127.0.0.1", 0, netns)["socket_address"]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address("127.0.0.1", port)}}]}],
        },
    }
