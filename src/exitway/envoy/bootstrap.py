"""What Envoy starts with: how to reach us, and the clusters that never change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exitway.envoy.access_log import mark_log
from exitway.envoy.api import Json
from exitway.envoy.cluster import clusters
from exitway.envoy.control import ads_config, on_this_machine
from exitway.envoy.wire import ADS, extension

NODE = "exitway"

LONGEST_EXPRESSION = 100_000
"""In instructions of RE2. That of a plain path (``names/request.py``) has 400, and each character of a path in a rule adds up to 6."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Paths of Unix sockets; ``resolver``, ``authorities`` and ``mark`` as in :func:`exitway.envoy.cluster.clusters`.

    ``connections``: how many may arrive. Envoy ends when it has no file left for one, and all workloads share it. ``access_log``: of all of them.
    """

    xds_socket: str
    admin_socket: str
    resolver: str
    authorities: str
    mark: int
    connections: int
    access_log: str


def bootstrap(machine: Machine) -> Json:
    """The whole of it, in Envoy's JSON."""
    return {
        "node": {"id": NODE, "cluster": NODE},
        "admin": {
            "address": {"pipe": {"path": machine.admin_socket, "mode": 0o600}},
            "access_log": [mark_log(machine.access_log)],
        },
        "dynamic_resources": {
            "ads_config": ads_config(),
            "lds_config": ADS,
            "cds_config": ADS,
        },
        "static_resources": {
            "clusters": [
                on_this_machine(machine.xds_socket),
                *clusters(machine.resolver, machine.authorities, machine.mark),
            ]
        },
        **bounds(machine.connections, _STATS),
    }


_STATS = ("http.", "out.", "in.", "tcp.", "cluster.", "listener_manager.", "control_plane.", "server.", "dns_cache.")


def bounds(connections: int, stats: Iterable[str]) -> Json:
    """What a proxy may take up: connections that arrive, and the statistics with these prefixes."""
    return {
        # Envoy's own limit, of 100 instructions, is for expressions that strangers write; RE2's time is linear in any case
        "layered_runtime": {
            "layers": [{"name": "exitway", "static_layer": {"re2.max_program_size.error_level": LONGEST_EXPRESSION}}]
        },
        "overload_manager": {"resource_monitors": [_arriving(connections)]},
        # what many listeners or connections have left is given back to the kernel
        "memory_allocator_manager": {"bytes_to_release": 4 * 2**20, "memory_release_interval": "1s"},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [{"prefix": prefix} for prefix in stats]}}},
    }


def _arriving(connections: int) -> Json:
    return extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=connections,
    )
