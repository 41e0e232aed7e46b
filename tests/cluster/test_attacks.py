"""Every technique of the table, from inside a captured pod, in both placements; the witness outside decides."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exitway.attack.catalogue import ALLOWED, ROWS
from exitway.attack.client import Attacker
from exitway.attack.helper import Service
from exitway.attack.judge import leaks
from exitway.attack.row import Row
from exitway.attack.target import Target
from exitway.lab import zone
from tests.attacks.conftest import rules, target
from tests.cluster.cluster import Namespace, environment
from tests.cluster.outside import Outside

OF_A_PROGRAM = {
    "A10": "io_uring: what a pod sends is led by its packets, whatever call sends them",
    "A11": "AF_VSOCK: docs/limits.md, not every runtime's filter of system calls refuses it",
    "C13": "its own hosts file: the proxy resolves, with its own",
}
"""What a sealed program may not do, and a pod may: without it, nothing gets out by them either (their other attempts are in ``test_boundary.py``)."""
TRIED = [row.id for row in ROWS.values() if row.attempts and row.id not in OF_A_PROGRAM]
REFUSED, PEER = ("198.51.100.99", "3fff::9:9"), ("198.51.100.77", 7)
WORLD_RESOLVER = "198.18.255.2"


@dataclass
class Boundary:
    target: Target
    attacker: Attacker
    service: Service
    lab: Outside

    def attack(self, row: Row) -> tuple[str, list[str], object]:
        """What the attacker can prove, what should not have arrived, and what it saw."""
        outside = self.lab.watch()
        self.service.facts()
        outcome = self.attacker.attempt(row.id)
        assert not outcome.broken, outcome.broken
        return (
            outcome.reached,
            leaks([*outside.facts(), *self.service.facts()], self.target, nothing=row.nothing),
            outcome.saw,
        )


@pytest.fixture(scope="module")
def boundary(namespace: Namespace, image: str, _outside: Outside) -> Iterator[Boundary]:
    items = rules(PEER)
    namespace.apply(*({**one, "metadata": {"name": one["metadata"]["name"]}} for one in items))
    for one in items:
        name = f"egressrules.exitway.dev/{one['metadata']['name']}"
        namespace.kubectl("wait", "--for=condition=Programmed", name, "--timeout=30s")
    program = {"name": "app", "image": image, "imagePullPolicy": "Never", "securityContext": {"runAsUser": 0}}
    pod = namespace.pod("attacker", containers=[program | {"command": ["sleep", "infinity"]}])
    inside = f"exec kubectl exec -i -n {pod.namespace} {pod.name} -c app -- python3"
    with tempfile.TemporaryDirectory(prefix="exitway-") as directory, Service(Path(directory)) as service:
        goal = target(
            _outside,
            service,
            ipv4=REFUSED[0],
            ipv6=REFUSED[1],
            peer=PEER,
            resolvers=(WORLD_RESOLVER, zone.DNS_SERVER),
            directories=("/run/exitway", "/var/run/secrets/exitway"),
        )
        attacker = Attacker(goal, ["sh", "-c", f'shift; {inside} "$@"', "sh"], env=environment())
        yield Boundary(goal, attacker, service, _outside)
        attacker.close()


def test_what_is_allowed_arrives(boundary: Boundary) -> None:
    """Otherwise the others prove nothing."""
    outside = boundary.lab.watch()
    outcome = boundary.attacker.attempt(ALLOWED.id)
    assert {"a.lab.test", "httpbin.org"} & {request["host"] for request in outside.requests()}, outcome.saw
    assert PEER in {(fact["address"], fact["port"]) for fact in outside.connections()}, outcome.saw


@pytest.mark.parametrize("identity", TRIED)
def test_nothing_but_what_is_allowed_gets_out(boundary: Boundary, identity: str) -> None:
    reached, leaked, saw = boundary.attack(ROWS[identity])
    assert not reached, saw
    assert not leaked, saw
