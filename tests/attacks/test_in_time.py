"""Techniques that wait for their moment: a proxy that dies, rules and addresses that change; and what is left of them in the records."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from exitway.attack.attempts.inward import METADATA
from exitway.attack.catalogue import ALLOWED, ROWS
from exitway.attack.client import Attacker
from tests.attacks.conftest import DIRECT, rule
from tests.features.conftest import command, eventually

pytestmark = pytest.mark.lab


def test_what_is_allowed_gets_out(boundary):
    outside = boundary.lab.watch()
    boundary.sealed.attempt(ALLOWED.id)
    assert [fact["host"] for fact in outside.requests()] == ["a.lab.test"]
    addresses = {fact["address"] for fact in outside.connections()}
    assert {boundary.target.peer[0], DIRECT} <= addresses
    assert addresses & {*boundary.target.addresses}


def test_a20_nothing_gets_out_while_the_proxy_is_dead(boundary):
    for identity in ("A20", "A2", "B2"):
        os.kill(eventually(lambda: boundary.server.status()["proxy"]["pid"]), signal.SIGKILL)
        assert not boundary.attack(boundary.sealed, ROWS[identity])[1]
    eventually(lambda: b"HTTP/1.1 200" in " ".join(boundary.sealed.attempt(ALLOWED.id).saw).encode())


TWO_CONNECTIONS = """
import socket, sys
going, staying = [socket.create_connection((host, 7)) for host in sys.argv[1:]]
for one in (going, staying):
    one.sendall(b"begun")
    one.recv(5)
print("begun", flush=True)
sys.stdin.readline()
going.settimeout(3)
try:
    print("cut" if going.recv(5) == b"" else "alive")
except ConnectionError:
    print("cut")
staying.sendall(b"alive")
print(staying.recv(5).decode())
"""


def test_a21_a_connection_does_not_outlive_its_rule(boundary):
    program = (sys.executable, "-c", TWO_CONNECTIONS, boundary.target.peer[0], "c.lab.test")
    with boundary.server.start("run", "-n", "shop", "--name", "lives", "--", *program) as running:
        assert running.stdout.readline() == "begun\n"
        boundary.server("delete", "egressrule.exitway.dev", "peer", "-n", "shop")
        said, _ = running.communicate("\n")
    assert said.split() == ["cut", "alive"]
    outside = boundary.lab.watch()
    boundary.sealed.attempt(ALLOWED.id)
    assert boundary.target.peer[0] not in {fact["address"] for fact in outside.connections()}
    boundary.server(
        "create",
        "-f",
        "-",
        input=json.dumps(
            rule("peer", cidrs=[f"{boundary.target.peer[0]}/32"], ports=[{"number": 7, "protocol": "TCP"}])
        ),
    )


def test_c7_c9_a_name_that_moves_inward_is_not_followed(boundary):
    outside = boundary.lab.watch()
    boundary.lab.move("a.lab.test", "10.9.9.9", "::ffff:10.9.9.9")
    until = time.monotonic() + 7  # the proxy asks again after 5 s
    while time.monotonic() < until:
        boundary.sealed.attempt(ALLOWED.id)  # its TLS is a new connection each time
        time.sleep(0.3)
    boundary.lab.restore()
    assert "a.lab.test" in outside.queries()
    assert {fact["address"] for fact in outside.connections()} <= {
        *boundary.target.addresses,
        boundary.target.peer[0],
        DIRECT,
    }


def test_d11_no_record_says_what_a_program_wants_it_to_say(boundary):
    boundary.sealed.attempt("D11")
    boundary.server.flow(name="b.lab.test", workload="shop/attacker")
    for flow in boundary.server.flows():
        assert flow["workload"] in ("shop/attacker", "shop/lives")
        assert (
            flow["verdict"] == "deny"
            or flow["name"] in ("a.lab.test", "httpbin.org", "")
            or flow["name"].endswith(".lab.test")
        )
    assert all(flow.get("name") != "forged.test" for flow in boundary.server.flows())


def test_d13_audit_is_loud_and_opens_no_way_to_metadata(boundary):
    run = [*command("run", "-n", "audited", "--audit", "--")]
    attacker = Attacker(boundary.target, run, env=boundary.server.environment, stderr=subprocess.PIPE)
    outside = boundary.lab.watch()
    attacker.attempt("D1")
    attacker.close()
    assert attacker.process.stderr
    assert not {fact["address"] for fact in outside.facts() if "address" in fact} & {*METADATA}
    assert "AUDIT" in attacker.process.stderr.read()
    attacker.process.stderr.close()


def test_d14_nothing_gets_out_while_rules_change(boundary):
    busy = rule(
        "busy", hosts=["v4.lab.test"], ports=[{"number": 80, "protocol": "HTTP"}, {"number": 443, "protocol": "TLS"}]
    )
    done = threading.Event()

    def change():
        changes = 0
        while not done.is_set() or changes < 20:
            boundary.server.request("POST", "/exitway/v1/changes", {"verb": "create", "objects": [busy]})
            boundary.server.request("DELETE", "/apis/exitway.dev/v1/namespaces/shop/egressrules/busy")
            changes += 1

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for identity in ("A2", "B2", "B17", "B5", "B1"):
            assert not boundary.attack(boundary.sealed, ROWS[identity])[1]
    finally:
        done.set()
        changing.join()
