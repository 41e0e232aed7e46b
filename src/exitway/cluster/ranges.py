"""The addresses of the cluster itself: pods, services and nodes. What goes there, a captured pod sends as any pod does.

They are found in whatever of these there is, unless they are given: nodes (pods of a node, addresses of the node), ServiceCIDRs (Kubernetes 1.33),
kubeadm's configuration, OpenShift's network, Calico's pools.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any, Never

from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Reflector
from exitway.names.guard import Network
from exitway.names.ranges import joined

_WIDEST = {4: 8, 6: 32}
"""Lengths of prefixes."""

NODES = "/api/v1/nodes"
KUBEADM = "/api/v1/namespaces/kube-system/configmaps"
OTHERS = (
    "/apis/networking.k8s.io/v1/servicecidrs",
    "/apis/config.openshift.io/v1/networks",
    "/apis/crd.projectcalico.org/v1/ippools",
)
NAME_SERVERS = {
    "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices": "kube-dns",
    "/apis/discovery.k8s.io/v1/namespaces/openshift-dns/endpointslices": "dns-default",
}
"""Where the endpoints of the cluster's name servers are, and their service."""

_ABSENT = (403, 404)
"""The cluster has no such collection, or none for us."""
RETRY_SECONDS = 1.0
_LOCAL = ("InternalIP", "ExternalIP")
_SUBNETS = re.compile(r"^\s*(?:podSubnet|serviceSubnet):\s*[\"']?([0-9a-fA-F.:/,]+)", re.MULTILINE)


class ClusterRanges:
    """``networks``: the ranges now; those that were ``given``, or what was found. ``dns_ports``: where name servers listen, besides 53.

    ``synced``: set once they are known. ``changed`` is called when they are others.
    """

    def __init__(self, kube: Kube, given: tuple[Network, ...], changed: Callable[[], None]) -> None:
        self.networks = given
        self.dns_ports: tuple[int, ...] = ()
        self.synced = asyncio.Event()
        self._given, self._changed = given, changed
        self._optional = [
            (path, {"labelSelector": f"kubernetes.io/service-name={of}"}) for path, of in NAME_SERVERS.items()
        ]
        self._kube = kube
        self._reflectors: list[Reflector] = []
        if not given:
            self._optional.append((KUBEADM, {"fieldSelector": "metadata.name=kubeadm-config"}))
            self._optional += [(path, {}) for path in OTHERS]
            self._reflectors.append(self._follower(NODES, {}))

    async def run(self) -> Never:
        """Follow the API, for ever."""
        for path, params in self._optional:
            if await self._exists(path, params):
                self._reflectors.append(self._follower(path, params))
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())
            for reflector in self._reflectors:
                await reflector.synced.wait()
            self.synced.set()
            self._heard()
            await asyncio.Event().wait()
        raise AssertionError  # it does not end

    async def _exists(self, path: str, params: Mapping[str, str]) -> bool:
        while True:
            try:
                await self._kube.request("GET", path, params={**params, "limit": "1"})
            except KubeError as error:
                if error.code in _ABSENT:
                    return False
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return True

    def _follower(self, path: str, params: Mapping[str, str]) -> Reflector:
        return Reflector(self._kube, path, params=params, changed=lambda _: self._heard(), kept=_kept)

    def _heard(self) -> None:
        if not self.synced.is_set():
            return
        objects = [one for reflector in self._reflectors for one in reflector.objects.values()]
        found = self._given or found_ranges(objects), found_dns_ports(objects)
        if found != (self.networks, self.dns_ports):
            self.networks, self.dns_ports = found
            self._changed()


def found_ranges(objects: Iterable[Mapping[str, Any]]) -> tuple[Network, ...]:
    """The ranges that objects of these kinds name, without overlaps.

    A node says of itself what its ranges are, and what it says is opened in every pod. So public networks are not believed, nor very wide ones.
    """
    networks = {network for one in objects for text in _named(one) if (network := _credible(text))}
    return (*joined(networks, 4), *joined(networks, 6))


def _credible(text: str) -> Network | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return network if network.prefixlen >= _WIDEST[network.version] and not network.is_global else None


def found_dns_ports(objects: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    """Where the name servers listen that the services of the cluster lead to: a pod could ask them there."""
    ports = (port for one in objects for port in one.get("ports") or () if str(port.get("name", "")).startswith("dns"))
    return tuple(sorted({port["port"] for port in ports if port.get("port") not in (None, 53)}))


def _named(one: Mapping[str, Any]) -> Iterator[str]:
    spec, status = one.get("spec") or {}, one.get("status") or {}
    yield from spec.get("cidrs") or spec.get("podCIDRs") or ()
    if "cidr" in spec:
        yield spec["cidr"]
    for address in status.get("addresses") or ():
        if address["type"] in _LOCAL:
            yield address["address"]
    yield from (network["cidr"] for network in status.get("clusterNetwork") or ())
    yield from status.get("serviceNetwork") or ()
    for found in _SUBNETS.findall((one.get("data") or {}).get("ClusterConfiguration", "")):
        yield from found.split(",")


def _kept(one: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: one["metadata"].get(key) for key in ("name", "namespace", "resourceVersion")}
    parts: dict[str, Any] = {key: one[key] for key in ("spec", "data", "ports") if key in one}
    status = one.get("status") or {}
    told = {key: status[key] for key in ("addresses", "clusterNetwork", "serviceNetwork") if key in status}
    return {"metadata": metadata, **parts, "status": told}
