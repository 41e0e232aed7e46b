"""Memory of what serves 1, 10 and 50 pods, each of which has asked for something outside."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from bench.cluster.ground import LOAD, NONE, ORIGIN
from exitway.capture.pod_processes import pod_uids
from exitway.names.cluster import Placement
from tests.cluster.cluster import SYSTEM, Namespace, kubectl

COUNTS = (1, 10, 50)
SETTLED = 5.0
"""Seconds until what the start needed has been given back."""
_MB = 1024


@dataclass(frozen=True)
class Process:
    """Memory in MB of 2**20 bytes: resident; with its share of what it shares with others; what nobody but it has."""

    name: str
    rss: float
    pss: float
    own: float


@dataclass(frozen=True)
class Taken:
    """For so many pods: their Envoys; and what else runs, by the part it belongs to."""

    placement: str
    pods: int
    envoys: list[Process]
    others: dict[str, list[Process]]


def measure(spaces: dict[str, Namespace]) -> list[Taken]:
    return [taken for placement, space in spaces.items() if placement != NONE for taken in _grow(placement, space)]


def _grow(placement: str, space: Namespace) -> list[Taken]:
    space.apply(_deployment())
    found = []
    try:
        for count in COUNTS:
            space.kubectl("scale", "deployment/idle", f"--replicas={count}")
            space.kubectl("rollout", "status", "deployment/idle", "--timeout=600s", seconds=610)
            time.sleep(SETTLED)
            found.append(_take(placement, count, space))
            print(found[-1].placement, count, summary(found[-1].envoys), flush=True)
    finally:
        space.kubectl("delete", "deployment", "idle")
        space.kubectl("wait", "--for=delete", "pod", "-l", "app=idle", "--timeout=300s", seconds=310)
    return found


def _take(placement: str, count: int, space: Namespace) -> Taken:
    parts = _parts(SYSTEM, "app.kubernetes.io/component")
    by_part: dict[str, list[Process]] = {}
    for process in _processes(parts):
        by_part.setdefault(process[0], []).append(process[1])
    envoys = [one for _, one in _processes(_parts(space.name, "app")) if one.name == "envoy"]
    if placement == Placement.NODE:
        envoys = [one for one in by_part["node"] if one.name == "envoy"]
        by_part["node"] = [one for one in by_part["node"] if one.name != "envoy"]
    else:
        assert len(envoys) == count
        del by_part["node"]
    return Taken(placement, count, envoys, by_part)


def _parts(namespace: str, label: str) -> dict[str, str]:
    """The part that each pod is, by its uid."""
    pods = json.loads(kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    return {pod["metadata"]["uid"]: pod["metadata"]["labels"][label] for pod in pods}


def _processes(parts: dict[str, str]) -> list[tuple[str, Process]]:
    """Each process of these pods, and its part. The node's processes are in sight from the machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            uids = pod_uids((entry / "cgroup").read_text())
            part = next((parts[uid] for uid in uids if uid in parts), None)
            if part:
                found.append((part, _process(entry)))
        except OSError:  # it has ended
            continue
    return [(part, process) for part, process in found if process.name != "pause"]  # Kubernetes' own, in every pod


def _process(entry: Path) -> Process:
    lines = (line.split() for line in (entry / "smaps_rollup").read_text().splitlines()[1:])
    kb = {words[0].removesuffix(":"): int(words[1]) for words in lines}
    own = kb["Private_Clean"] + kb["Private_Dirty"]
    return Process((entry / "comm").read_text().strip(), kb["Rss"] / _MB, kb["Pss"] / _MB, own / _MB)


def summary(processes: list[Process]) -> str:
    rss = [one.rss for one in processes]
    return f"rss {min(rss):.0f}..{max(rss):.0f}, sum {sum(rss):.0f}, pss {sum(one.pss for one in processes):.0f}"


def _deployment() -> dict:
    command = ["sh", "-c", f"curl -sS -m 30 -o /dev/null http://{ORIGIN}/; exec sleep infinity"]
    container = {"name": "app", "image": LOAD, "imagePullPolicy": "Never", "command": command}
    labels = {"app": "idle"}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "idle"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
