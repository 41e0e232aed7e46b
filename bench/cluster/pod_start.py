"""How long a pod's start takes, from `kubectl create`, the image being there: until its program runs, and until it is Ready; each placement in turn."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from bench.cluster.ground import LOAD, NONE
from exitway.names.cluster import CAPTURED
from tests.cluster.cluster import Namespace, Pod

ROUNDS = 7
INIT = "no Exitway, an init container that ends at once"
"""What any init container costs: the kubelet looks once in a second for what has begun or ended."""


@dataclass(frozen=True)
class Start:
    """Seconds since `kubectl create` began."""

    runs: float
    ready: float


Starts = dict[str, list[Start]]


def measure(spaces: dict[str, Namespace]) -> Starts:
    """By placement, one in each round. The first round does not count."""
    starts: Starts = {name: [] for name in (NONE, INIT, *spaces)}
    names = list(starts)
    for number in range(ROUNDS + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            init = [_container("init", "true")] if name == INIT else []
            placement = NONE if name == INIT else name
            taken = _start(spaces[placement], f"start-{number}", init, "" if placement == NONE else placement)
            if number:
                starts[name].append(taken)
        print({name: some[-1] for name, some in starts.items() if some}, flush=True)
    return starts


def _start(space: Namespace, name: str, init: list[dict], placement: str) -> Start:
    containers = [_container("app", "sh", "-c", "date +%s.%N; exec sleep infinity")]
    spec = {"terminationGracePeriodSeconds": 0, "containers": containers, "initContainers": init}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    began = time.time()
    space.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    space.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=100s")
    ready = time.time()
    runs = float(space.kubectl("logs", name, "-c", "app"))
    labels = Pod(space.name, name).get()["metadata"].get("labels", {})
    assert labels.get(CAPTURED, "") == placement, f"{name} was not captured so: {labels}"
    space.kubectl("delete", "pod", name, "--wait")
    return Start(runs - began, ready - began)


def _container(name: str, *command: str) -> dict:
    return {"name": name, "image": LOAD, "imagePullPolicy": "Never", "command": list(command)}
