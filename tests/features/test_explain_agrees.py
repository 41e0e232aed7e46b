"""explain = the running Envoy, on ten thousand pairs of rules and a call."""

import itertools
import json
import random
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exitway.explain.explanation import explain
from exitway.explain.target import read_call
from exitway.names.call import Call, Sort
from exitway.names.workload import Workload
from exitway.resources import kinds
from exitway.resources.registry import Registry
from exitway.server.trial import Trial
from tests.features.agreement import CALLER, EVERY_NAME, done, entries, replace_all, wire
from tests.features.conftest import eventually
from tests.intents import LABELS

pytestmark = pytest.mark.lab

SETS, CALLS = 200, 50
WORKLOAD = Workload("shop", "caller", {"app": "checkout"})
PORTS = {80: "http", 443: "https", 8080: "tcp"}
"""What rules of v1alpha2 have at each: two of them may not say two things of one port."""
ADDRESSES = ["198.18.5.7", "198.18.5.8", "198.19.0.1", "198.51.100.1", "2001:db8::5", "2001:db8::6", "240.240.3.4"]
NETWORKS = ["198.18.0.0/15", "198.18.5.0/24", "198.18.5.7/32", "2001:db8::/32", "2001:db8::5/128", "0.0.0.0/0"]
NAMES = [name for name in EVERY_NAME if name.count(".") < 2]
METHODS = ["GET", "POST", "DELETE", "HEAD"]
PATHS = ["/", "/a", "/a/b", "/ab", "/A", "/a@b", "/a%40b", "/a//b", "/a/../b", "/a;b", "/%61", "/a?b=/../c", "/a%20b"]
PATTERNS = ["/a", "/a*", "/a/*", "/", "/*", "/ab", "/a@b"]
REASONS = {"rule", "no-rule", "port", "protocol", "method", "path", "denied-by-rule", "name-mismatch"}
OVERRIDE = "X-HTTP-Method-Override: PUT\r\n"


def test_it_says_of_ten_thousand_calls_what_envoy_does(server, lab):
    lab.move_all({name: ["198.18.9.1"] for name in NAMES})
    chance, counts = random.Random(6), Counter[tuple[str, str]]()
    with server.start("run", "-n", "shop", "-l", "app=checkout", "--", sys.executable, "-c", CALLER) as caller:
        for _ in range(SETS):
            rules = some_rules(chance)
            calls = some_calls(chance)
            replace_all(server, rules)
            trial = Trial(registry(rules), WORKLOAD, datetime.now(UTC))
            for call, entry in zip(calls, carried_out(server, caller, calls), strict=True):
                explanation = explain(trial, asked(call))
                assert explanation.fault == ""
                assert explanation.allowed == done(entry), (json.dumps(rules), call, explanation.decision, entry)
                counts[explanation.decision.reason, call[0]] += 1
        caller.stdin.close()
    assert sum(counts.values()) == SETS * CALLS == 10_000
    assert {reason for reason, _ in counts} == REASONS, counts
    for sort in Sort:
        assert counts["rule", sort] > 200, counts


def carried_out(server, caller, calls):
    """What Envoy logged of each."""
    log = server.settings.runtime_dir / "access.log"
    start = log.stat().st_size if log.exists() else 0
    caller.stdin.write(json.dumps(calls) + "\n")
    caller.stdin.flush()
    addresses = json.loads(caller.stdout.readline())
    return eventually(lambda: entries(log, start, calls, addresses))


def registry(rules):
    return Registry().changed([kinds.read(rule) for rule in rules], revision=1)


def asked(call):
    """As it is written for `exitway explain`; what is said to where somebody else was asked for cannot be written so."""
    sort, name, dialled, port, method, path, headers = call
    said = {} if sort == "tcp" else {"name": name}
    if dialled:
        by_name = {"asked": dialled} if dialled in NAMES else {"address": dialled, "asked": ""}
        found = Call(Sort(sort), port, **said, **by_name, method=method, path=path)
    elif sort == "http":
        found = read_call(f"{method} http://{name}:{port}{path}")
    else:
        found = read_call(f"{sort} {name}:{port}")
    return replace(found, overridden=bool(headers))


def some_calls(chance):
    """No two to one destination: a line of the log is of one call."""
    destinations = chance.sample([*itertools.product([*NAMES, *ADDRESSES], PORTS)], CALLS)
    return [some_call(chance, dialled, port) for dialled, port in destinations]


def some_call(chance, dialled, port):
    """Mostly to the name that is said."""
    if dialled in NAMES and chance.random() < 0.85:
        name, dialled = dialled, ""
    else:
        name = chance.choice(NAMES)
    sort = chance.choice(["http", "http", "tls", "tcp"])
    if sort != "http":
        return sort, name, dialled, port, "GET", "/", ""
    return (
        sort,
        name,
        dialled,
        port,
        chance.choice(METHODS),
        chance.choice(PATHS),
        chance.choice(["", "", "", OVERRIDE]),
    )


def some_rules(chance):
    """One to twelve, of both kinds; most of them hold for the caller."""
    rules = [our_rule(chance, number) for number in range(chance.randint(1, 9))]
    services = {istio_service(chance) for _ in range(chance.randint(0, 3))}
    return rules + [istio_rule(chance, number, service) for number, service in enumerate(sorted(services))]


def our_rule(chance, number):
    if chance.random() < 0.2:
        to = {"cidrs": chance.sample(NETWORKS, chance.randint(1, 2)), "ports": ports(chance, ["TCP"])}
    else:
        protocol = chance.choice(["HTTP", "HTTP", "TLS", "TCP"])
        to = {"hosts": chance.sample(hosts(chance), chance.randint(1, 3)), "ports": ports(chance, [protocol])}
        if protocol == "HTTP":
            to |= {"methods": chance.sample(METHODS, chance.randint(1, 2))} if chance.random() < 0.3 else {}
            to |= {"paths": chance.sample(PATTERNS, chance.randint(1, 2))} if chance.random() < 0.3 else {}
    spec = {"action": chance.choice(["ALLOW", "ALLOW", "ALLOW", "DENY"]), "to": [to]}
    over_tls = [port for port in to["ports"] if port["number"] == 443 and port["protocol"] == "HTTP"]
    if over_tls and spec["action"] == "ALLOW":  # as those of v1alpha2 have it: one name and port are not both
        to |= {"ports": over_tls, "originateTLS": True}
    if chance.random() < 0.2:
        spec["workloadSelector"] = {"matchLabels": {"app": chance.choice(["checkout", "checkout", "cart"])}}
    if chance.random() < 0.1:
        spec["expires"] = chance.choice(["2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
    return wire(f"r{number}", spec, chance.choice(["shop", "shop", "shop", "shop", "exitway-system", "billing"]))


def ports(chance, protocols):
    numbers = chance.sample([*PORTS], chance.randint(1, 2))
    return [{"number": number, "protocol": chance.choice(protocols)} for number in numbers]


def hosts(chance):
    """Ones that calls are made to: exact names, and patterns."""
    return chance.sample(NAMES, 5) + [f"*.{name}" for name in chance.sample(LABELS, 3)]


def istio_service(chance):
    name = chance.choice(NAMES)
    return chance.choice([name, name, f"*.{name}", f"*-{name}", f"*{name}", "*", "198.18.5.7", "198.18.5.0/24"])


def istio_rule(chance, number, service):
    numbers = [8080] if "/" in service else chance.sample([*PORTS], chance.randint(1, 2))
    listed = [{"port": port, "protocol": PORTS[port]} for port in numbers]
    return wire(
        f"i{number}", {"destination": {"service": service}, "ports": listed}, api_version="config.istio.io/v1alpha2"
    )
