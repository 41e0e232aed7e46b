"""Clusters for servers that certificate authorities of a rule's own vouch for: one for each file that is in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exitway.envoy.api import CLUSTER
from exitway.envoy.cluster import NOWHERE, verified_by, verifying
from exitway.envoy.listener import Proxy
from exitway.envoy.route import ClusterFor, usual_cluster
from exitway.envoy.snapshot import Resource
from exitway.names.port import Port
from exitway.proxy.authorities import Authorities, AuthorityFiles

Used = Mapping[str, Authorities | None]
"""The files that a policy names, and what was in them."""


class Verifiers:
    """What a snapshot needs of them. ``below``: the directory that the files must be in; empty: wherever they are."""

    def __init__(self, proxy: Proxy, below: str = "") -> None:
        self._proxy = proxy
        self._files = AuthorityFiles(below)
        self._clusters: dict[str, Resource] = {}

    def cluster_for(self, used: dict[str, Authorities | None]) -> ClusterFor:
        """The cluster for a port, for the routes of one policy. What is in use is noted in ``used``."""

        def choose(port: Port) -> str:
            if not port.ca_file:
                return usual_cluster(port)
            used[port.ca_file] = found = self._files.of(port.ca_file)
            return verified_by(found.id) if found else NOWHERE

        return choose

    def clusters(self, used: Iterable[Used]) -> list[Resource]:
        """The clusters that are in use; nothing else is remembered."""
        files = {file: found for one in used for file, found in one.items()}
        self._files.keep(files)
        authorities = {one.id: one for one in files.values() if one}
        self._clusters = {name: self._clusters.get(name) or self._build(one) for name, one in authorities.items()}
        return list(self._clusters.values())

    def hold(self, used: Used) -> bool:
        """Whether these files have in them what they had."""
        return all(self._files.of(file) == before for file, before in used.items())

    def changed(self) -> bool:
        """Whether a file that is in use has been touched."""
        return self._files.changed()

    def _build(self, authorities: Authorities) -> Resource:
        cluster = verifying(authorities.id, authorities.certificates, self._proxy.resolver, self._proxy.mark)
        return Resource.of(CLUSTER, cluster)
