"""decide = simulate = the running Envoy, on generated rules and calls."""

import json
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exitway.names.call import Call, Sort
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from exitway.resources import kinds
from tests.features.agreement import CALLER, EVERY_NAME, done, entries, replace_all, wire
from tests.features.conftest import eventually
from tests.intents import ADDRESSES, DOTTED, METHODS, NAMES, NETWORKS, NUMBERS, SOME_REQUESTS, TARGETS

pytestmark = pytest.mark.lab

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
