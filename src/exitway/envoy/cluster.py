"""Where allowed traffic goes.

There is one dynamic-forward-proxy cluster for all names: Envoy resolves the authorised name itself and dials the port that was allowed, so
neither the number of rules nor what a client wrote into an address decides anything here.
"""

from __future__ import annotations

from exitway.envoy.api import Json
from exitway.envoy.wire import extension, socket_address, typed

BY_NAME = "dynamic_forward_proxy"
BY_NAME_OVER_TLS = "dynamic_forward_proxy_tls"
BY_ADDRESS = "original_dst"
NOWHERE = "BlackHoleCluster"

NOT_FOR_NAMES = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
    "168.63.129.16/32", "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2001:2::/48", "2002::/16",
    "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip
"""A name that resolves to one of these is not dialled: private, loopback, link-local, metadata (Azure's and Oracle's among them), multicast, and
forms that embed such an address (v4-compatible, v4-mapped, NAT64, 6to4, Teredo). IANA special-purpose registries (RFC 6890)."""


def dns_cache(resolvers: tuple[str, ...]) -> Json:
    """The one cache of resolved names. Every user of it must give the identical configuration (Envoy's rule), hence one function.

    ``resolvers``: ``address`` or ``address:port``; with an IPv6 address ``[address]:port``.
    """
    return {
        "name": "egress",
        "dns_lookup_family": "V4_PREFERRED",
        "max_hosts": 100_000,
        "dns_min_refresh_rate": "5s",
        "host_ttl": "300s",
        "dns_query_timeout": "5s",
        "resolved_address_filter": {"ranges": [_range(network) for network in NOT_FOR_NAMES]},
        "typed_dns_resolver_config": extension(
            "envoy.network.dns_resolver.cares",
            "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            resolvers=[_resolver(resolver) for resolver in resolvers],
        ),
    }


def _range(network: str) -> Json:
    address, length = network.split("/")
    return {"address_prefix": address, "prefix_len": int(length)}


def _resolver(resolver: str) -> Json:
    address, port = resolver, "53"
    if resolver.startswith("["):
        address, _, port = resolver[1:].partition("]:")
    elif resolver.count(":") == 1:
        address, port = resolver.split(":")
    return socket_address(address, int(port or 53))


def clusters(resolvers: tuple[str, ...], authorities: str) -> list[Json]:
    """The clusters that exist whatever the rules say; they go into the bootstrap. ``authorities``: a file of trusted certificates, PEM."""
    return [
        _forward_proxy(
            BY_NAME,
            resolvers,
            {"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}},
        ),
        _forward_proxy(
            BY_NAME_OVER_TLS, resolvers, {"auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}}}
        )
        | {"transport_socket": _verified_tls(authorities)},
        {"name": BY_ADDRESS, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "5s"},
        {"name": NOWHERE, "type": "STATIC", "connect_timeout": "1s"},
    ]


def _forward_proxy(name: str, resolvers: tuple[str, ...], protocol: Json) -> Json:
    return {
        "name": name,
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "5s",
        "cluster_type": extension(
            "envoy.clusters.dynamic_forward_proxy",
            "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
            dns_cache_config=dns_cache(resolvers),
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


def _verified_tls(authorities: str) -> Json:
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": {"trusted_ca": {"filename": authorities}},
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
