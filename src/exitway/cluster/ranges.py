"""The addresses of the cluster itself: pods, services and nodes. What goes there, a captured pod sends as any pod does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import collapse_addresses, ip_network
from typing import Any, Never

from exitway.kube.client import Kube
from exitway.kube.reflector import Reflector
from exitway.names.guard import Network

_WIDEST = {4: 8, 6: 32}
"""Lengths of prefixes."""


class ClusterRanges:
    """``networks``: the ranges now; those that were ``given``, or what nodes and ServiceCIDRs say (Kubernetes 1.33).

    ``synced``: set once they are known. ``changed`` is called when they are others.
    """

    def __init__(self, kube: Kube, given: tuple[Network, ...], changed: Callable[[], None]) -> None:
        self.networks = given
        self.synced = asyncio.Event()
        self._changed = changed
        paths = () if given else ("/api/v1/nodes", "/apis/networking.k8s.io/v1/servicecidrs")
        self._reflectors = [Reflector(kube, path, changed=lambda _: self._heard(), kept=_kept) for path in paths]
        if given:
            self.synced.set()

    async def run(self) -> Never:
        """Follow the API, for ever."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())
            await asyncio.Event().wait()
        raise AssertionError  # it does not end

    def _heard(self) -> None:
        if not all(reflector.synced.is_set() for reflector in self._reflectors):
            return
        found = found_ranges(one for reflector in self._reflectors for one in reflector.objects.values())
        if found != self.networks:
            self.networks = found
            if self.synced.is_set():
                self._changed()
        self.synced.set()


def found_ranges(objects: Iterable[Mapping[str, Any]]) -> tuple[Network, ...]:
    """The ranges that nodes and ServiceCIDRs name, without overlaps.

    A node says of itself what its ranges are, and what it says is opened in every pod. So public networks are not believed, nor very wide ones.
    """
    networks = {network for one in objects for text in _named(one) if (network := _credible(text))}
    four, six = ([one for one in networks if one.version == version] for version in (4, 6))
    return (*collapse_addresses(four), *collapse_addresses(six))  # type: ignore[type-var]  # one family each


def _credible(text: str) -> Network | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return network if network.prefixlen >= _WIDEST[network.version] and not network.is_global else None


def _named(one: Mapping[str, Any]) -> Iterator[str]:
    spec = one["spec"]
    yield from spec.get("cidrs") or spec.get("podCIDRs") or ()
    yield from (address["address"] for address in one["status"]["addresses"] or () if address["type"] == "InternalIP")


def _kept(one: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: one["metadata"].get(key) for key in ("name", "resourceVersion")}
    addresses = one.get("status", {}).get("addresses")
    return {"metadata": metadata, "spec": one.get("spec", {}), "status": {"addresses": addresses}}
