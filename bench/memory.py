"""Envoy's memory with few and with many hosts: Exitway's configuration beside Istio's shape."""

from __future__ import annotations

import time
from collections.abc import Callable

from changes import running
from contenders import IstioShape
from exitway_server import Exitway, rules
from process import rss_mb

FEW, MANY = 10, 10_000
SETTLED = 1.0
"""Seconds until what the start needed has been given back."""


def measure(repeats: int) -> tuple[dict[tuple[str, int], list[float]], list[str]]:
    """(MB of Envoy by shape and number of hosts; a sentence for each that could not be measured)."""
    memory: dict[tuple[str, int], list[float]] = {}
    failures = []
    shapes: list[tuple[str, Callable[[int], float]]] = [("Exitway", exitway), ("Istio's shape", istio)]
    for name, envoy_mb in shapes:
        try:
            for hosts in (FEW, MANY):
                memory[name, hosts] = [envoy_mb(hosts) for _ in range(repeats)]
        except (RuntimeError, OSError) as error:
            failures.append(f"memory of {name}: {error}")
    return memory, failures


def exitway(hosts: int) -> float:
    """One workload, to which all rules apply."""
    server = Exitway()
    try:
        server.up()
        with running(server, 1):
            server.create(rules(hosts))
            time.sleep(SETTLED)
            return rss_mb(server.envoy())
    finally:
        server.down()


def istio(hosts: int) -> float:
    contender = IstioShape(hosts=tuple(f"host{number}.example.test" for number in range(hosts)))
    try:
        contender.start()
        time.sleep(SETTLED)
        return sum(map(rss_mb, contender.pids))
    finally:
        contender.stop()
