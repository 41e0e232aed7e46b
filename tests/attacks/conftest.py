"""A server, one sealed attacker and one that is not, and what has reached the outside meanwhile."""

import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exitway.attack.client import Attacker, Outcome
from exitway.attack.helper import Service
from exitway.attack.judge import leaks
from exitway.attack.row import Row
from exitway.attack.target import Target
from exitway.lab import zone
from exitway.lab.lab import Lab
from tests.features.conftest import Exitway, exitway, server  # noqa: F401 - fixtures

PEER = ("198.18.7.7", 7)
DIRECT = "198.18.8.8"
"""Through the kernel: a workload with such a rule has a second interface, and must be as tight as others."""


def rule(name, *, action="ALLOW", **to):
    return {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"action": action, "to": [to]},
    }


WEB = [{"number": 80, "protocol": "HTTP"}, {"number": 443, "protocol": "TLS"}]
INWARD = tuple(
    f"{name}.inside.lab.test"
    for name, addresses in zone.INSIDE.items()
    if not any(address.startswith("198.18.") for address in addresses)
)
ALIASED = ("alias.inside.lab.test",)


def rules(peer, helper=()):
    """What is allowed; ``helper``: ports at which names that lead inward may be asked, too."""
    tcp = [{"number": peer[1], "protocol": "TCP"}]
    return [
        rule("allowed", hosts=["a.lab.test", "httpbin.org"], ports=WEB),
        rule("below", hosts=["*.wild.lab.test"], ports=WEB),
        rule("barred", action="DENY", hosts=["denied.wild.lab.test"], ports=WEB),
        rule("inward", hosts=INWARD + ALIASED, ports=[*WEB, *helper]),
        rule("untrusted", hosts=["untrusted.lab.test"], ports=[{"number": 443, "protocol": "HTTP"}], originateTLS=True),
        rule("limited", hosts=["www.google.com"], ports=WEB[:1], methods=["GET"], paths=["/open/*"]),
        rule("tcp-by-name", hosts=["c.lab.test"], ports=tcp),
        rule("direct-name", hosts=["api.github.com"], ports=WEB[1:], direct=True),
        rule("peer", cidrs=[f"{peer[0]}/32"], ports=tcp),
    ]


@dataclass
class Boundary:
    """Both attackers, against the same target."""

    server: Exitway
    target: Target
    sealed: Attacker
    free: Attacker
    service: Service
    lab: Lab

    def attack(self, attacker: Attacker, row: Row) -> tuple[Outcome, list[str]]:
        """What the attacker saw, and what of it should not have arrived."""
        outside = self.lab.watch()
        self.service.facts()
        outcome = attacker.attempt(row.id)
        assert not outcome.broken, outcome.broken
        facts = [*outside.facts(), *self.service.facts()]
        return outcome, leaks(facts, self.target, nothing=row.nothing)


SHARED = ("httpbin.org", "www.google.com", "api.github.com", "untrusted.lab.test", "*.wild.lab.test")
"""Names that may be dialled as the allowed one may."""


def target(lab: Lab, service: Service, *, further_peers: tuple[str, ...] = (), **more: Any) -> Target:
    """What :func:`rules` allow, and what they do not. ``more``: what is not the same wherever one attacks."""
    both = {name: (lab.address(name), lab.address(name, 6)) for name in ("a.lab.test", "c.lab.test", *SHARED)}
    return Target(
        refused="b.lab.test",
        allowed="a.lab.test",
        http=80,
        tls=443,
        addresses=both["a.lab.test"],
        further_peers=further_peers + both["c.lab.test"],
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
        others={**{name: both[name] for name in SHARED}, "c.lab.test": ()},
        **more,
    )


@pytest.fixture(scope="module")
def boundary(lab: Lab) -> Iterator[Boundary]:
    directory = Path(tempfile.mkdtemp(prefix="exitway-"))
    installed = Exitway(directory)
    installed("up")
    try:
        with Service(directory) as service, socket.create_connection(("198.18.9.9", 7)) as inherited:
            range_ = rule("direct-range", cidrs=[f"{DIRECT}/32"], ports=[{"number": 7, "protocol": "TCP"}], direct=True)
            items = [range_, *rules(PEER, [{"number": service.port, "protocol": "HTTP"}])]
            installed("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
            goal = target(
                lab,
                service,
                ipv4="198.18.9.9",
                ipv6="2001:db8::9",
                peer=PEER,
                further_peers=(DIRECT,),
                resolvers=(zone.DNS_SERVER,),
                directories=(str(installed.settings.runtime_dir), str(installed.settings.state_dir)),
            )
            hasty = lab.watch()
            options = {"env": installed.environment, "pass_fds": [inherited.fileno()]}
            run = [sys.executable, "-m", "exitway", "run", "-n", "shop", "--name", "attacker", "--"]
            sealed = Attacker(goal, run, **options)
            assert not leaks([*hasty.facts(), *service.facts()], goal, nothing=True)  # A20: it has sent before all else
            free = Attacker(goal, **options)
            yield Boundary(installed, goal, sealed, free, service, lab)
            sealed.close()
            free.close()
    finally:
        installed.down()
        shutil.rmtree(directory)
