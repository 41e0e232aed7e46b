"""What Envoy starts with: how to reach us, and the clusters that never change."""

from __future__ import annotations

from dataclasses import dataclass

from exitway.envoy.api import Json
from exitway.envoy.cluster import clusters
from exitway.envoy.wire import ADS, extension, typed

NODE = "exitway"

LONGEST_EXPRESSION = 100_000
"""In instructions of RE2. That of a plain path (``names/request.py``) has 400, and each character of a path in a rule adds up to 6."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Paths of Unix sockets; ``resolver``, ``authorities`` and ``mark`` as in :func:`exitway.envoy.cluster.clusters`.

    ``connections``: how many may arrive. Envoy ends when it has no file left for one, and all workloads share it.
    """

    xds_socket: str
    admin_socket: str
    resolver: str
    authorities: str
    mark: int
    connections: int


def bootstrap(machine: Machine) -> Json:
    """The whole of it, in Envoy's JSON."""
    return {
        "node": {"id": NODE, "cluster": NODE},
        "admin": {"address": {"pipe": {"path": machine.admin_socket, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,  # or each ACK carries Envoy's list of extensions, 61 kB
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": "xds",
                            "retry_policy": {"retry_back_off": {"base_interval": "0.05s", "max_interval": "1s"}},
                        }
                    }
                ],
            },
            "lds_config": ADS,
            "cds_config": ADS,
        },
        "static_resources": {
            "clusters": [_xds(machine.xds_socket), *clusters(machine.resolver, machine.authorities, machine.mark)]
        },
        # Envoy's own limit, of 100 instructions, is for expressions that strangers write; RE2's time is linear in any case
        "layered_runtime": {
            "layers": [{"name": "exitway", "static_layer": {"re2.max_program_size.error_level": LONGEST_EXPRESSION}}]
        },
        "overload_manager": {"resource_monitors": [_arriving(machine.connections)]},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [{"prefix": p} for p in _STATS]}}},
    }


_STATS = ("http.", "out.", "in.", "tcp.", "cluster.", "listener_manager.", "control_plane.", "server.", "dns_cache.")


def _arriving(connections: int) -> Json:
    return extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=connections,
    )


def _xds(path: str) -> Json:
    return {
        "name": "xds",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={
                    "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
                },
            )
        },
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}],
        },
    }
