"""Volumes that lead out of a pod: paths of its node, and tokens of the proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from exitway.names.cluster import AUDIENCE
from exitway.pods.containers import VOLUMES
from exitway.pods.unsafe import Unsafe, asks
from exitway.resources.problem import quoted

Json = Mapping[str, Any]

HARMLESS_PATHS = (
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/etc/machine-id",
    "/etc/ssl/certs",
    "/etc/pki",
    "/usr/share/ca-certificates",
)
"""Of a node, to be read: no program finds a socket under them. Not the paths below: who could write there once may have put links to anywhere."""


def volumes(listed: Sequence[Json]) -> Iterator[Unsafe]:
    """What volumes are."""
    for index, volume in enumerate(listed):
        field, name = f"spec.volumes[{index}]", quoted(str(volume.get("name")))
        path = (volume.get("hostPath") or {}).get("path")
        if path is not None and not _is_harmless(path):
            message = f"the volume {name} is the path {quoted(str(path))} of the node, where sockets and files lead out"
            yield asks("hostPath", "EXW1118", message, f"{field}.hostPath")
        sources = (volume.get("projected") or {}).get("sources") or []
        audiences = [(source.get("serviceAccountToken") or {}).get("audience") for source in sources]
        if AUDIENCE in audiences and volume.get("name") not in VOLUMES:
            message = (
                f"the volume {name} has a token for {quoted(AUDIENCE)}, by which a program could pass for the proxy"
            )
            yield asks("token", "EXW1119", message, f"{field}.projected")


def readable(listed: Sequence[Json]) -> frozenset[str]:
    """The names of those that are harmless as long as nobody writes there."""
    paths = {str(volume.get("name")): (volume.get("hostPath") or {}).get("path") for volume in listed}
    return frozenset(name for name, path in paths.items() if path is not None and _is_harmless(path))


def mounts(listed: Sequence[Json], field: str, of_node: frozenset[str]) -> Iterator[Unsafe]:
    """What containers make of the volumes ``of_node``: they may only read there, and no path below, which the node would make or follow."""
    for index, container in enumerate(listed):
        for place, mount in enumerate(container.get("volumeMounts") or []):
            if str(mount.get("name")) not in of_node or _only_reads(mount):
                continue
            name, volume = quoted(str(container.get("name"))), quoted(str(mount["name"]))
            message = (
                f"container {name} does not mount the volume {volume} whole and read-only, and it is a path of the node"
            )
            yield asks("hostPath", "EXW1118", message, f"{field}[{index}].volumeMounts[{place}]")


def _only_reads(mount: Json) -> bool:
    return mount.get("readOnly") is True and not mount.get("subPath") and not mount.get("subPathExpr")


def _is_harmless(path: object) -> bool:
    return str(path).rstrip("/") in HARMLESS_PATHS
