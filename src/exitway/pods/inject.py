"""A pod made ready to be captured. JSON in, JSON out; a pod that is ready already comes out as it went in."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exitway.names.cluster import CAPTURED, Placement
from exitway.pods.containers import CONTAINERS, VOLUMES, capture, gate, proxy, volumes
from exitway.pods.installation import Installation
from exitway.pods.placement import placement
from exitway.pods.refusal import bare, described, refused
from exitway.resources.problem import Problems

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Injected:
    """The pod as it shall be, and what whoever wants it should know."""

    pod: Json
    placement: Placement
    warnings: tuple[str, ...] = ()


def inject(pod: Mapping[str, Any], namespace: Mapping[str, str], installation: Installation) -> Injected:
    """``pod``: one, or the ``template`` of many; ``namespace``: its labels. A pod that has a placement no more loses what it was given.

    Raises:
        Problems: all that stands against it, at once.
    """
    metadata = pod.get("metadata") or {}
    chosen = placement(namespace, metadata.get("annotations") or {})
    if chosen is Placement.NONE:
        return Injected(_stripped(pod), chosen)
    problems, allowed = refused(pod, namespace)
    if problems:
        raise Problems(problems)
    warnings = (described(allowed),) if allowed else ()
    if (pod.get("spec") or {}).get("hostNetwork"):  # its namespace is the node's, which must not be captured
        return Injected(_stripped(pod), Placement.NONE, warnings)
    made = _stripped(pod)
    made["metadata"]["labels"] = {**(made["metadata"].get("labels") or {}), CAPTURED: str(chosen)}
    _filter(made["spec"])
    _put(made["spec"], chosen, installation)
    for container in _containers(made["spec"]):
        without_raw_sockets(container)
    return Injected(made, chosen, warnings)


def _put(spec: Json, chosen: Placement, installation: Installation) -> None:
    theirs = spec.get("initContainers") or []
    if chosen is Placement.NODE:
        spec["initContainers"] = [gate(installation), *theirs]
        return
    own = proxy(installation)
    spec["initContainers"] = [capture(installation), *([own] if installation.native else []), *theirs]
    if not installation.native:
        spec["containers"] = [own, *spec["containers"]]
    spec["volumes"] = [*(spec.get("volumes") or []), *volumes()]


def _filter(spec: Json) -> None:
    """Without a filter of system calls ``request_key`` has the node ask its own name server. What says of itself which it has keeps that.

    That of containerd refuses ``add_key``, ``request_key`` and ``keyctl``; that of CRI-O the first two, and ``keyctl`` alone asks nobody:
    https://github.com/containerd/containerd/blob/main/contrib/seccomp/seccomp_default.go,
    https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json.
    """
    security = spec.get("securityContext") or {}
    if not security.get("seccompProfile"):
        spec["securityContext"] = {**security, "seccompProfile": {"type": "RuntimeDefault"}}


def without_raw_sockets(container: Json) -> None:
    """Runtimes give every container NET_RAW, by which a program sets marks and writes packets as it likes; take it away, in place.

    What is dropped is read as containerd does, which knows no ``CAP_NET_RAW``: what it does not know it does not drop.
    """
    security = container.setdefault("securityContext", {})
    capabilities = security.setdefault("capabilities", {})
    dropped = capabilities.get("drop") or []
    if {"ALL", "NET_RAW"} & set(map(bare, capabilities.get("add") or [])):
        return  # it is allowed, or would have been refused
    if not {"ALL", "NET_RAW"} & {str(one).upper() for one in dropped}:
        capabilities["drop"] = [*dropped, "NET_RAW"]


def _containers(spec: Json) -> Iterator[Json]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from (one for one in spec.get(kind) or [] if one.get("name") not in CONTAINERS)


def _stripped(pod: Mapping[str, Any]) -> Json:
    """A copy without anything that we put into it, if it was us."""
    made = copy.deepcopy(dict(pod))
    metadata, spec = made.setdefault("metadata", {}), made.setdefault("spec", {})
    if CAPTURED not in (metadata.get("labels") or {}):
        return made
    del metadata["labels"][CAPTURED]
    for kind, names in (("initContainers", CONTAINERS), ("containers", CONTAINERS), ("volumes", VOLUMES)):
        if kind in spec:
            spec[kind] = [one for one in spec[kind] or [] if one.get("name") not in names]
            if not spec[kind]:
                del spec[kind]
    return made
