"""Requests/s from a pod to an HTTP server outside: over connections that stay, and with a new one for each request."""

from __future__ import annotations

import json
import statistics

from bench.cluster.ground import DENIED, LOAD, NONE, ORIGIN
from tests.cluster.cluster import Namespace, Pod

ROUNDS, SECONDS, CONNECTIONS = 5, 3, 16
KEPT, NEW = "kept connections", "a new connection each"

Rates = dict[tuple[str, str], list[float]]


def measure(spaces: dict[str, Namespace]) -> Rates:
    """Requests/s by placement and kind of connection, one in each round."""
    pods = {name: space.pod("load", containers=[_container()]) for name, space in spaces.items()}
    rates: Rates = {}
    names = list(pods)
    for name, pod in pods.items():
        _verify(name, pod)
    for number in range(ROUNDS):
        turn = number % len(names)
        for kind in (KEPT, NEW):
            for name in names[turn:] + names[:turn]:
                rates.setdefault((name, kind), []).append(_wrk(pods[name], kind))
        print({key: f"{some[-1]:.0f}" for key, some in rates.items()}, flush=True)
    for pod in pods.values():
        pod.delete()
    return rates


def ratio(rates: Rates, name: str, kind: str) -> tuple[float, float, float]:
    """Median, least and most of what there is of the rate without Exitway in the same round."""
    found = [one / direct for one, direct in zip(rates[name, kind], rates[NONE, kind], strict=True)]
    return statistics.median(found), min(found), max(found)


def _container() -> dict:
    return {"name": "app", "image": LOAD, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}


def _verify(name: str, pod: Pod) -> None:
    """What is measured lets one name through and keeps the other back, at the same address."""
    assert pod.curl(f"http://{ORIGIN}/")[0] == 200
    assert (pod.curl(f"http://{DENIED}/")[0] == 200) == (name == NONE)


def _wrk(pod: Pod, kind: str) -> float:
    options = ["--threads", 1, "--connections", CONNECTIONS, "--duration", f"{SECONDS}s", "--script", "/wrk.lua"]
    if kind == NEW:
        options += ["--header", "Connection: close"]
    said = pod("wrk", *options, f"http://{ORIGIN}/")
    seen = json.loads(said.strip().splitlines()[-1])
    assert not seen["errors"], seen
    return seen["requests"] / seen["microseconds"] * 1e6
