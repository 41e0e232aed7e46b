"""What the proxy of one pod starts with. It is the same for every pod of an installation."""

from __future__ import annotations

from dataclasses import dataclass

from exitway.envoy.api import Json
from exitway.envoy.bootstrap import bounds
from exitway.envoy.cluster import BY_ADDRESS, clusters, marked
from exitway.envoy.control import ControlPlane, ads_config, over_tls
from exitway.envoy.wire import ADS


@dataclass(frozen=True, slots=True)
class Sidecar:
    """``resolver``, ``authorities`` and ``mark`` as in :func:`exitway.envoy.cluster.clusters`.

    ``address_mark``: of what goes to an address that a rule allows. ``admin_socket``: the path of a Unix socket, which nobody else in the pod
    sees. ``connections``: how many may arrive; Envoy ends when it has no file left for one.
    """

    control: ControlPlane
    resolver: str
    authorities: str
    mark: int
    address_mark: int
    admin_socket: str
    connections: int = 10_000


def bootstrap(sidecar: Sidecar) -> Json:
    """The whole of it, in Envoy's JSON. Who the pod is stands in the environment of the container, for the log."""
    known = clusters(sidecar.resolver, sidecar.authorities, sidecar.mark)
    return {
        "node": {"id": "pod", "cluster": "exitway"},
        "admin": {"address": {"pipe": {"path": sidecar.admin_socket, "mode": 0o600}}},
        "dynamic_resources": {"ads_config": ads_config(), "lds_config": ADS, "cds_config": ADS},
        "static_resources": {
            "clusters": [
                over_tls(sidecar.control),
                *(
                    cluster | (marked(sidecar.address_mark) if cluster["name"] == BY_ADDRESS else {})
                    for cluster in known
                ),
            ]
        },
        **bounds(sidecar.connections, _STATS),
    }


_STATS = ("http.", "out.", "tcp.", "listener_manager.", "control_plane.", "server.", "cluster_manager.", "cluster.xds.")
"""Those of each destination would make the proxy's size grow with them."""
