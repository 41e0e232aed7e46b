"""How far rules hold the pods of a cluster, as its API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exitway.analyze.facts import Namespace, Pod
from exitway.names.cluster import CAPTURED, MIRROR, OPT_OUT, PLACEMENT, UNSAFE_PODS, Placement
from exitway.pods.refusal import asked

Json = Mapping[str, Any]

_OVER = ("Succeeded", "Failed")


def captured_namespaces(items: Iterable[Json]) -> list[Namespace]:
    """Those whose pods are captured, sorted."""
    found = []
    for item in items:
        labels = item["metadata"].get("labels") or {}
        if PLACEMENT in labels:
            opt_out, unsafe = (labels.get(name) == "allowed" for name in (OPT_OUT, UNSAFE_PODS))
            found.append(Namespace(item["metadata"]["name"], labels[PLACEMENT], opt_out=opt_out, unsafe=unsafe))
    return sorted(found, key=lambda namespace: namespace.name)


def pods_in(items: Iterable[Json], namespaces: Iterable[Namespace]) -> list[Pod]:
    """The pods of these namespaces that have not ended, sorted."""
    opt_outs = {namespace.name: namespace.opt_out for namespace in namespaces}
    there = (
        _pod(item, opt_out=opt_outs[item["metadata"]["namespace"]])
        for item in items
        if item["metadata"]["namespace"] in opt_outs and (item.get("status") or {}).get("phase") not in _OVER
    )
    return sorted(there, key=str)


def _pod(item: Json, *, opt_out: bool) -> Pod:
    metadata = item["metadata"]
    annotations = metadata.get("annotations") or {}
    return Pod(
        metadata["namespace"],
        metadata["name"],
        captured=CAPTURED in (metadata.get("labels") or {}) and MIRROR not in annotations,
        opted_out=opt_out and annotations.get(PLACEMENT) == Placement.NONE,
        static=MIRROR in annotations,
        unsafe=asked(item),
    )
