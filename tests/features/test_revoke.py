"""When a rule goes, what only it allowed is cut soon, and nothing else."""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from tests.features import long_lived
from tests.features.conftest import SOON_SECONDS, eventually
from tests.features.long_lived import HTTP, SILENT_SECONDS, TCP, TLS

pytestmark = pytest.mark.lab

# the two names have the same address
GOING, STAYING = "going.wild.lab.test", "staying.wild.lab.test"
KINDS = ("tls", "websocket", "stream", "h2", "tcp")
LOST = [*((kind, GOING) for kind in KINDS), ("tcp", "198.18.5.5")]
KEPT = [*((kind, STAYING) for kind in KINDS), ("tcp", "198.18.6.6")]
LOST_NAMES, KEPT_NAMES = ([" ".join(one) for one in some] for some in (LOST, KEPT))


def rule(name, host, network, namespace="shop", **spec):
    to = [
        {
            "hosts": [host],
            "ports": [{"number": n, "protocol": p} for n, p in ((HTTP, "HTTP"), (TLS, "TLS"), (TCP, "TCP"))],
        },
        {"cidrs": [network], "ports": [{"number": TCP, "protocol": "TCP"}]},
    ]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": metadata, "spec": {"to": to} | spec}


def going(**spec):
    return rule("going", GOING, "198.18.5.0/24", **spec)


RULES = [
    rule("staying", STAYING, "198.18.6.0/24"),
    rule("elsewhere", GOING, "198.18.5.0/24", namespace="other"),
]


PATTERN = rule("pattern", "*.a.wild.lab.test", "198.18.7.0/24")


def put(server, *rules):
    server("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(rules)}))


def delete(server, name):
    server.request("DELETE", f"/apis/exitway.dev/v1/namespaces/shop/egressrules/{name}")


@pytest.fixture(scope="module")
def world(lab):
    return long_lived.Server(lab.directory)


@contextmanager
def started(server, namespace, program, *arguments):
    """A program of ``long_lived`` inside; the function tells what it says of itself."""
    command = ["--", sys.executable, long_lived.__file__, program, json.dumps(arguments)]
    with server.start("run", "-n", namespace, "--name", program, *command) as running:

        def states():
            running.stdin.write("\n")
            running.stdin.flush()
            return json.loads(running.stdout.readline())

        yield states
        running.stdin.close()


@contextmanager
def talking(server, namespace, wanted):
    """Opens all that is wanted; the function tells when each has died, or None."""
    with started(server, namespace, "talker", wanted) as states:
        assert set(states().values()) == {None}
        yield states


def deaths(states, names, until):
    """When each of these has died; waits for it."""
    return eventually(lambda: all(found := [states()[name] for name in names]) and found, until - time.time())


def assert_cut_soon(seconds):
    """Within a second is the promise; a busy machine may hold one of them up."""
    assert all(0 < one < SOON_SECONDS for one in seconds), seconds
    assert median(seconds) < 1, seconds


def by_delete(server):
    begun = time.time()
    delete(server, "going")
    return begun


def by_denial(server):
    begun = time.time()
    path = "/apis/exitway.dev/v1/namespaces/shop/egressrules"
    server.request("POST", path, rule("denied", GOING, "198.18.5.0/24", action="DENY"))
    return begun


def by_expiry(server):
    return server.expires


@pytest.mark.parametrize("way", [by_delete, by_denial, by_expiry])
def test_what_has_lost_its_permission_is_cut_soon_and_nothing_else(server, world, way):
    server.expires = (datetime.now(UTC) + timedelta(seconds=15)).timestamp() if way is by_expiry else 0
    spec = {"expires": datetime.fromtimestamp(server.expires, UTC).isoformat()} if server.expires else {}
    put(server, going(**spec), *RULES)
    with talking(server, "shop", LOST + KEPT) as states, talking(server, "other", LOST) as elsewhere:
        time.sleep(0.7)
        begun = way(server)
        died = deaths(states, LOST_NAMES, begun + 3 * SOON_SECONDS)
        assert_cut_soon([at - begun for at in died])
        time.sleep(SILENT_SECONDS + 0.2)
        assert [name for name, at in states().items() if at] == LOST_NAMES
        assert set(elsewhere().values()) == {None}
    told = [flow for flow in server.flows() if flow["reason"] == "revoked"]
    assert sorted((flow["protocol"], flow["name"], flow["rule"]) for flow in told) == sorted(
        (protocol, name, "egress-rule/shop/going")
        for protocol, name in [*((one, GOING) for one in ("TLS", "HTTP/1.1", "HTTP/1.1", "HTTP/2", "TCP")), ("TCP", "")]
    )
    why = "denied-by-rule egress-rule/shop/denied" if way is by_denial else "no-rule"
    assert {(flow["verdict"], flow["workload"], flow["detail"]) for flow in told} == {("deny", "shop/talker", why)}


def test_rules_that_come_and_go_reset_nothing(server, world):
    put(server, going(), *RULES)
    with talking(server, "shop", LOST + KEPT) as states:
        for number in range(20):
            put(server, rule(f"other{number}", f"n{number}.wild.lab.test", f"198.18.{100 + number}.0/24"))
            delete(server, f"other{number}")
        time.sleep(SILENT_SECONDS + 0.2)
        assert set(states().values()) == {None}


def test_what_was_let_out_before_the_server_was_killed_is_cut_by_the_next(server, world):
    put(server, going(), *RULES, PATTERN)
    with talking(server, "shop", [*LOST, *KEPT, ("tcp", "one.a.wild.lab.test")]) as states:
        time.sleep(0.7)
        os.kill(server.status()["pid"], signal.SIGKILL)
        server("up")
        time.sleep(SILENT_SECONDS + 0.2)
        assert set(states().values()) == {None}
        begun = by_delete(server)
        died = deaths(states, LOST_NAMES, begun + 3 * SOON_SECONDS)
        assert_cut_soon([at - begun for at in died])
        time.sleep(SILENT_SECONDS + 0.2)
        assert [name for name, at in states().items() if at] == LOST_NAMES


def test_under_load_nothing_goes_on_soon_after_its_rule_has_gone(server, world):
    """What is allowed while the rule is there, and what begins just then, is cut each time; nothing is let out in between."""
    leaked = []
    with started(server, "shop", "load", GOING, 12) as counts:
        for _ in range(3):
            before = counts()["allowed"]
            put(server, going())
            eventually(lambda before=before: counts()["allowed"] > before + 60)
            gone = by_delete(server)
            time.sleep(SOON_SECONDS + 1)
            leaked += [beat for beat in world.beats if beat[0] > gone + SOON_SECONDS and beat[2].startswith(GOING)]
        counted = counts()
    sys.stdout.write(f"{counted}, leaked: {len(leaked)}\n")
    assert leaked == []
    assert counted["denied"] > 100
    assert counted["allowed"] > 180
