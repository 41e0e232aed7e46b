"""What of a call stays in the cluster: pods reach their cluster's services and each other untouched, whatever rules say."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote

from exitway.cli.problems import warn
from exitway.names.call import Call
from exitway.resources.problem import Problem, Problems

if TYPE_CHECKING:
    from exitway.cli.cluster_client import ClusterClient
    from exitway.explain.target import Packet

_DOMAIN = (".svc", ".svc.cluster.local")


def check_leaves(api: ClusterClient, asked: Call | Packet, namespace: str) -> None:
    """Raise a problem where the name is that of a service, as a pod of the namespace would find it; warn where an address may be the cluster's."""
    name = asked.asked or "" if isinstance(asked, Call) else asked.name
    if name and _is_service(api, name, namespace):
        hint = "rules are for what leaves the cluster; within it, that is what network policies are for"
        raise Problems(
            [Problem("EXW1707", f"{name} is a service of the cluster: what is sent there is not captured", hint)]
        )
    if asked.address and not name and ip_address(asked.address).is_private:
        warn(
            f"if {asked.address} is an address of the cluster (its pods, its services), what is sent there is not captured"
        )


def _is_service(api: ClusterClient, name: str, namespace: str) -> bool:
    """``orders`` of its own namespace, ``orders.shop``; with what a cluster's names end in there is nothing to ask."""
    if name.endswith(_DOMAIN):
        return True
    service, _, where = name.partition(".")
    if "." in where:
        return False
    path = f"/api/v1/namespaces/{quote(where or namespace, safe='')}/services/{quote(service, safe='')}"
    try:
        api.request("GET", path)
    except Problems:  # there is none, or we may not see it
        return False
    return True
