"""decide = simulate = the running Envoy, on generated rules and calls."""

import itertools
import json
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exitway.flows.live import is_end
from exitway.names.call import Call, Sort
from exitway.names.host import authority_name
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from exitway.resources import kinds
from tests.features.conftest import eventually
from tests.intents import ADDRESSES, DOTTED, LABELS, METHODS, NAMES, NETWORKS, NUMBERS, SOME_REQUESTS, TARGETS

pytestmark = pytest.mark.lab

CALLER = """
import json, socket, ssl, sys
for line in sys.stdin:
    dialled = []
    for sort, name, address, port, method, path, headers in json.loads(line):
        address = address or socket.getaddrinfo(name, port)[0][4][0]
        dialled.append(address)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as connection:
            connection.settimeout(0.3)
            connection.connect((address, port))
            try:
                if sort == "tls":
                    context = ssl._create_unverified_context()
                    context.wrap_socket(connection, server_hostname=name)
                elif sort == "http":
                    connection.sendall(f"{method} {path} HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n{headers}\\r\\n".encode())
                else:
                    connection.sendall(b"\\x00\\x01\\x02 neither TLS nor HTTP")
                while connection.recv(4096):
                    pass
            except OSError:
                pass
    print(json.dumps(dialled), flush=True)
"""

RULE = st.builds(
    lambda to, action: {"action": action, "to": [to]},
    st.one_of(
        st.builds(
            lambda hosts, number, protocol, requests: {
                "hosts": hosts,
                "ports": [{"number": number, "protocol": protocol}],
                **({name: words for name, words in requests.items() if words} if protocol == "HTTP" else {}),
            },
            st.lists(DOTTED, min_size=1, max_size=3, unique=True),
            NUMBERS,
            st.sampled_from(["HTTP", "HTTP", "TLS", "TCP"]),
            SOME_REQUESTS,
        ),
        st.builds(
            lambda cidrs, number: {"cidrs": cidrs, "ports": [{"number": number, "protocol": "TCP"}]},
            st.lists(NETWORKS, min_size=1, max_size=2, unique=True),
            NUMBERS,
        ),
    ),
    st.sampled_from(["ALLOW", "ALLOW", "DENY"]),
)
CALLS = st.lists(
    # without an address the name's own is dialled
    st.tuples(
        st.sampled_from(["http", "http", "tls", "tcp"]),
        NAMES,
        st.just("") | ADDRESSES,
        NUMBERS,
        METHODS,
        TARGETS,
        st.sampled_from(["", "", "", "X-HTTP-Method-Override: PUT\r\n"]),
    ),
    min_size=4,
    max_size=10,
    unique_by=lambda call: (call[2] or call[1], call[3]),  # what is dialled: a line of the log is of one call
)
EVERY_NAME = [".".join(labels) for count in (1, 2, 3) for labels in itertools.product(LABELS, repeat=count)]


def test_policy_and_running_proxy_decide_alike(server, lab):
    lab.move_all({name: ["198.18.9.1"] for name in EVERY_NAME})
    with server.start("run", "-n", "shop", "--", sys.executable, "-c", CALLER) as caller:
        hold_equal(server, caller)


def hold_equal(server, caller):
    log = server.settings.runtime_dir / "access.log"

    @given(st.lists(RULE, min_size=1, max_size=5), CALLS)
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def agree(specs, calls):
        rules = [wire(f"r{number}", spec) for number, spec in enumerate(specs)]
        replace_all(server, rules)
        policy = compile_policy(
            [i for rule in rules for i in kinds.read(rule).intents], Workload("shop", "x"), datetime.now(UTC)
        )
        start = log.stat().st_size if log.exists() else 0
        caller.stdin.write(json.dumps(calls) + "\n")
        caller.stdin.flush()
        addresses = json.loads(caller.stdout.readline())
        seen = eventually(lambda: entries(log, start, calls, addresses))
        for (sort, name, chosen, port, method, path, headers), address, entry in zip(
            calls, addresses, seen, strict=True
        ):
            said, asked = "" if sort == "tcp" else name, "" if chosen else name
            request = {"method": method, "path": path, "overridden": bool(headers)}
            expected = decide(policy, Call(Sort(sort), port, said, address, asked=asked, **request))
            assert done(entry) == expected.allowed, (expected, entry)

    agree()


def wire(name, spec):
    return {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }


def replace_all(server, rules):
    path = "/apis/exitway.dev/v1/namespaces/shop/egressrules"
    names = {rule["metadata"]["name"] for rule in rules}
    gone = [item for item in server.request("GET", path)["items"] if item["metadata"]["name"] not in names]
    for verb, objects in (("delete", gone), ("apply", rules)):
        if objects:
            answer = server.request("POST", "/exitway/v1/changes", {"verb": verb, "objects": objects, "wait": True})
            assert not answer["unacknowledged"]


def entries(log, start, calls, addresses):
    """What was logged at the end of each call; nothing, as long as one is missing."""
    with log.open("rb") as file:
        file.seek(start)
        lines = [json.loads(line) for line in file if line.endswith(b"\n") and is_end(line)]
    found = [
        next((line for line in lines if is_of(line, sort, name, address, port)), None)
        for (sort, name, _, port, *_), address in zip(calls, addresses, strict=True)
    ]
    return found if all(found) else None


def is_of(entry, sort, name, address, port):
    dialled = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if entry["destination"] != dialled:
        return False
    return {
        "http": authority_name(entry["authority"] or "") == name,  # the port is put back for who is not on port 80
        "tls": entry["sni"] == name,
        "tcp": not entry["authority"] and not entry["sni"],
    }[sort] or (
        entry["chain"] in ("tcp", "tcp-name", "deny") and not entry["authority"] and not entry["sni"]
    )  # nothing was looked for


def done(entry):
    """What Envoy did: by the filter chain, and for HTTP by its answer."""
    if entry["chain"] == "http":
        return not (entry["decision"] or "").startswith("deny")
    return entry["chain"] != "deny" and "UH" not in entry["flags"]  # our resolver has a say, too
