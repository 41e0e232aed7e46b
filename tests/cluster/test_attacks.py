"""Every technique of the table, from inside a captured pod, in both placements; the witness outside decides."""

from __future__ import annotations

import os
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
from tests.attacks.conftest import ALIASED, INWARD, WEB, rule
from tests.cluster.cluster import STATE, Json, Namespace
from tests.cluster.outside import Outside

OF_A_PROGRAM = {
    "A10": "io_uring: what a pod sends is led by its packets, whatever call sends them",
    "A11": "AF_VSOCK: docs/limits.md, a filter of system calls is not put into pods",
    "C13": "its own hosts file: the proxy resolves, with its own",
}
"""What a sealed program may not do, and a pod may: without it, nothing gets out by them either (their other attempts are in ``test_boundary.py``)."""
TRIED = [row.id for row in ROWS.values() if row.attempts and row.id not in OF_A_PROGRAM]
REFUSED, PEER = ("198.51.100.99", "3fff::9:9"), ("198.51.100.77", 7)
TCP = [{"number": PEER[1], "protocol": "TCP"}]
WORLD_RESOLVER = "198.18.255.2"
ENVIRONMENT = os.environ | {"KUBECONFIG": str(STATE / "kubeconfig"), "PATH": f"{STATE / 'bin'}:{os.environ['PATH']}"}
SHARED = ("httpbin.org", "www.google.com", "api.github.com", "untrusted.lab.test", "*.wild.lab.test")


def rules() -> list[Json]:
    return [
        rule("allowed", hosts=["a.lab.test", "httpbin.org"], ports=WEB),
        rule("below", hosts=["*.wild.lab.test"], ports=WEB),
        rule("barred", action="DENY", hosts=["denied.wild.lab.test"], ports=WEB),
        rule("inward", hosts=INWARD + ALIASED, ports=WEB),
        rule("untrusted", hosts=["untrusted.lab.test"], ports=[{"number": 443, "protocol": "HTTP"}], originateTLS=True),
        rule("limited", hosts=["www.google.com"], ports=WEB[:1], methods=["GET"], paths=["/open/*"]),
        rule("tcp-by-name", hosts=["c.lab.test"], ports=TCP),
        rule("direct-name", hosts=["api.github.com"], ports=WEB[1:], direct=True),
        rule("peer", cidrs=[f"{PEER[0]}/32"], ports=TCP),
    ]


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


def target(lab: Outside, service: Service) -> Target:
    shared = {name: (lab.address(name), lab.address(name, 6)) for name in SHARED}
    return Target(
        ipv4=REFUSED[0],
        ipv6=REFUSED[1],
        refused="b.lab.test",
        allowed="a.lab.test",
        http=80,
        tls=443,
        addresses=(lab.address("a.lab.test"), lab.address("a.lab.test", 6)),
        peer=PEER,
        further_peers=(lab.address("c.lab.test"), lab.address("c.lab.test", 6)),
        resolvers=(WORLD_RESOLVER, zone.DNS_SERVER),
        wildcard="wild.lab.test",
        barred="denied.wild.lab.test",
        redirecting="httpbin.org",
        limited="www.google.com",
        limited_port=80,
        untrusted="untrusted.lab.test",
        inward=INWARD,
        aliased=ALIASED,
        helper_port=service.port,
        helper_socket=str(service.path),
        helper_abstract=service.abstract,
        directories=("/run/exitway", "/var/run/secrets/exitway"),
        others={**shared, "c.lab.test": ()},
    )


@pytest.fixture(scope="module")
def boundary(namespace: Namespace, image: str, _outside: Outside) -> Iterator[Boundary]:
    namespace.apply(*({**one, "metadata": {"name": one["metadata"]["name"]}} for one in rules()))
    for one in rules():
        name = f"egressrules.exitway.dev/{one['metadata']['name']}"
        namespace.kubectl("wait", "--for=condition=Programmed", name, "--timeout=30s")
    program = {"name": "app", "image": image, "imagePullPolicy": "Never", "securityContext": {"runAsUser": 0}}
    pod = namespace.pod("attacker", containers=[program | {"command": ["sleep", "infinity"]}])
    inside = f"exec kubectl exec -i -n {pod.namespace} {pod.name} -c app -- python3"
    with tempfile.TemporaryDirectory(prefix="exitway-") as directory, Service(Path(directory)) as service:
        goal = target(_outside, service)
        attacker = Attacker(goal, ["sh", "-c", f'shift; {inside} "$@"', "sh"], env=ENVIRONMENT)
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
