"""How long a pod's start takes, from `kubectl create` to Ready, the image being there: each placement in turn."""

from __future__ import annotations

import json
import time

from bench.cluster.ground import LOAD
from tests.cluster.cluster import Namespace

ROUNDS = 9

Times = dict[str, list[float]]


def measure(spaces: dict[str, Namespace]) -> Times:
    """Seconds, by placement, one in each round. The first round does not count."""
    times: Times = {name: [] for name in spaces}
    names = list(spaces)
    for number in range(ROUNDS + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            taken = _start(spaces[name], f"start-{number}")
            if number:
                times[name].append(taken)
        print({name: [f"{one:.2f}" for one in some[-1:]] for name, some in times.items()}, flush=True)
    return times


def _start(space: Namespace, name: str) -> float:
    container = {"name": "app", "image": LOAD, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    began = time.monotonic()
    space.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    space.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=100s")
    taken = time.monotonic() - began
    space.kubectl("delete", "pod", name, "--wait")
    return taken
