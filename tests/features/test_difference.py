"""What `exitway diff` says of a change is what becomes of calls through the running proxy; and `exitway test` says the same of each side."""

import json
import sys
from typing import Any

import pytest

from exitway.explain.target import read_call
from exitway.names.call import Sort
from tests.features.agreement import CALLER, done, entries, replace_all, wire
from tests.features.conftest import eventually

pytestmark = pytest.mark.lab


def port(number, protocol):
    return [{"number": number, "protocol": protocol}]


BEFORE = [
    wire("web", {"to": [{"hosts": ["a.lab.test"], "ports": port(80, "HTTP"), "methods": ["GET"]}]}),
    wire("deep", {"to": [{"hosts": ["b.lab.test"], "ports": port(80, "HTTP"), "paths": ["/v1/*"]}]}),
    wire("tls", {"to": [{"hosts": ["*.c.lab.test", "d.lab.test"], "ports": port(443, "TLS")}]}),
    wire("net", {"to": [{"cidrs": ["198.18.77.0/24"], "ports": port(7, "TCP")}]}),
    wire("echo", {"to": [{"hosts": ["e.lab.test"], "ports": port(7, "TCP")}]}),
]
AFTER = [
    wire("web", {"to": [{"hosts": ["a.lab.test"], "ports": port(80, "HTTP"), "methods": ["GET", "POST"]}]}),
    wire("deep", {"to": [{"hosts": ["b.lab.test"], "ports": port(80, "HTTP"), "paths": ["/v1/public/*"]}]}),
    wire("tls", {"to": [{"hosts": ["*.c.lab.test", "*.lab.test"], "ports": port(443, "TLS")}]}),
    wire("no", {"action": "DENY", "to": [{"hosts": ["x.c.lab.test"], "ports": port(443, "TLS")}]}),
    wire("net", {"to": [{"cidrs": ["198.18.76.0/23"], "ports": port(7, "TCP")}]}),
]


def test_each_witness_of_a_difference_shows_it_on_the_wire(server, lab):
    server.directory.joinpath("after.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": AFTER}))
    replace_all(server, BEFORE)
    sides = "in-force", server.directory / "after.json"
    found = json.loads(server("diff", *sides, "--format", "json"))
    witnesses = [one["witness"] for of_these in found.values() for one in of_these]
    assert {change: len(of_these) for change, of_these in found.items()} == {"opens": 3, "closes": 3, "differs": 0}
    lab.move_all({one["dialled"]: ["198.18.9.1"] for one in witnesses if "lab.test" in one["dialled"]})
    with server.start("run", "-n", "shop", "--", sys.executable, "-c", CALLER) as caller:
        for side, rules in (("before", BEFORE), ("after", AFTER)):
            replace_all(server, rules)
            assert made(server, caller, witnesses) == [one[side]["verdict"] == "allow" for one in witnesses]
            told(server, witnesses, side)
    assert server("diff", *sides) == "No difference in meaning."


def made(server, caller, witnesses):
    """Whether the proxy let each of the calls out."""
    log = server.settings.runtime_dir / "access.log"
    start = log.stat().st_size if log.exists() else 0
    calls = []
    for one in witnesses:
        call = read_call(one["call"])
        said = call.name if call.sort is not Sort.TCP else one["dialled"]
        calls.append((call.sort, said, one["dialled"], call.port, call.method, call.path, ""))
    caller.stdin.write(json.dumps(calls) + "\n")
    caller.stdin.flush()
    addresses = json.loads(caller.stdout.readline())
    return list(map(done, eventually(lambda: entries(log, start, calls, addresses))))


def told(server, witnesses, side):
    """The same as tests of what is in force."""
    tests: dict[str, Any] = {"namespace": "shop", "allow": [], "deny": []}
    for one in witnesses:
        tests[one[side]["verdict"]].append({"call": one["call"], "reason": one[side]["reason"]})
    (server.directory / "tests.json").write_text(json.dumps(tests))
    assert server("test", "-q", server.directory / "tests.json").startswith(f"{len(witnesses)} passed; ")
