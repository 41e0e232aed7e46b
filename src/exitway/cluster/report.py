"""How Exitway stands in a cluster, as far as whoever asks may see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.cluster import CAPTURED
from exitway.resources.kind_names import KIND_NAMES
from exitway.resources.paths import collection
from exitway.resources.resource import Json

OURS = "app.kubernetes.io/part-of=exitway"
_PARTS = "/apis/apps/v1/deployments", "/apis/apps/v1/daemonsets"


async def report(kube: Kube) -> Json:
    """``problems`` holds what could not be seen as well. Raises KubeError if nobody answers."""
    version = await kube.request("GET", "/version")
    problems = list[str]()

    async def items(path: str, selector: str = "") -> tuple[str, list[Json]]:
        try:
            answer = await kube.request("GET", path, params={"labelSelector": selector} if selector else None)
        except KubeError as error:
            problems.append(f"{path}: {error}")
            return "", []
        return answer["metadata"]["resourceVersion"], answer["items"]

    lists = [items(collection(kind)) for kind in KIND_NAMES]
    parts = [items(path, OURS) for path in _PARTS]
    found = await asyncio.gather(items("/api/v1/pods", CAPTURED), *parts, *lists)
    (_, pods), running, rules = found[0], found[1 : 1 + len(parts)], found[1 + len(parts) :]
    every = [rule for _, some in rules for rule in some]
    return {
        "kubernetes": version["gitVersion"],
        "server": kube.server,
        "context": kube.context,
        "parts": [_part(item) for _, some in running for item in some],
        "rules": len(every),
        "revision": max((int(revision) for revision, _ in rules if revision), default=0),
        "workloads": [_workload(pod) for pod in pods],
        "notInForce": [sentence for rule in every for sentence in _not_in_force(rule)],
        "problems": problems,
    }


def _part(item: Mapping[str, Any]) -> Json:
    metadata, status = item["metadata"], item["status"]
    wanted = status.get("desiredNumberScheduled", item["spec"].get("replicas", 0))
    ready = status.get("numberReady", status.get("readyReplicas", 0))
    return {"namespace": metadata["namespace"], "name": metadata["name"], "ready": ready, "wanted": wanted}


def _workload(pod: Mapping[str, Any]) -> Json:
    metadata = pod["metadata"]
    node = pod["spec"].get("nodeName", "")
    placement = metadata["labels"][CAPTURED]
    return {"namespace": metadata["namespace"], "name": metadata["name"], "placement": placement, "node": node}


def _not_in_force(rule: Mapping[str, Any]) -> Iterator[str]:
    """What its conditions say against it."""
    metadata = rule["metadata"]
    conditions = {one["type"]: one for one in (rule.get("status") or {}).get("conditions") or ()}
    told = conditions.get("Accepted", {}), conditions.get("Programmed")
    name = f"{metadata['namespace']}/{metadata['name']}"
    if told[1] is None:
        yield f"{name}: nothing in the cluster has taken note of it"
    else:
        refused = next((one for one in told if one and one["status"] != "True"), None)
        yield from [f"{name}: {refused['message']}"] if refused else []
