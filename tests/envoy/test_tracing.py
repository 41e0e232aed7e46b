"""Spans change nothing of what is allowed, and what a rule says of them nothing where there are none."""

import json
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.envoy import api
from exitway.envoy.listener import Captured, capturing_listener, deciding
from exitway.envoy.route import Denial, route_configuration
from exitway.envoy.simulate import simulate
from exitway.envoy.snapshot import Resource, Snapshot
from exitway.envoy.tracing import collector, keeping
from exitway.names.traces import Traces
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from exitway.proxy.binary import find_envoy
from tests.envoy.test_simulate import NOW, PROXY, WORKLOAD
from tests.intents import CALLS, intent, intents

TRACES = Traces("127.0.0.1", 4317, 250)
CAPTURED = Captured("one", WORKLOAD, "", "http/one")


def told(rules, *, wanted=True):
    """The same rules, whose destinations are to know of spans."""
    return [replace(one, to=tuple(replace(target, trace_context=wanted) for target in one.to)) for one in rules]


def routes(policy, traces):
    return route_configuration("http/one", policy, Denial("shop", 404), traces=traces)


def snapshot(policy, traces):
    listener = capturing_listener(CAPTURED, replace(PROXY, traces=traces)) | deciding(policy)
    config = Resource.of(api.ROUTE_CONFIGURATION, routes(policy, traces))
    return Snapshot.of([Resource.of(api.LISTENER, listener), config])


@given(intents(), st.lists(st.booleans(), min_size=6, max_size=6), CALLS)
def test_what_is_traced_is_allowed_and_denied_as_ever(rules, wanted, call):
    mixed = [one for rule, want in zip(rules, wanted, strict=False) for one in told([rule], wanted=want)]
    policy = compile_policy(mixed, WORKLOAD, NOW)
    decision = decide(policy, call)
    assert decision.verdict is decide(compile_policy(rules, WORKLOAD, NOW), call).verdict
    for traces in (TRACES, None):
        path = simulate(snapshot(policy, traces), "out/one", call)
        assert path.verdict is decision.verdict
        if path.filter_chain == "http" and not decision.allowed:
            assert path.answer == f"deny; reason={decision.reason}"


@given(intents())
def test_without_a_collector_nothing_changes_a_byte(rules):
    plain, asking = (routes(compile_policy(said, WORKLOAD, NOW), None) for said in (rules, told(rules)))
    assert Resource.of(api.ROUTE_CONFIGURATION, plain).data == Resource.of(api.ROUTE_CONFIGURATION, asking).data


def test_only_the_routes_of_rules_that_ask_for_it_tell_and_each_names_its_rule():
    rules = [intent("a", "a.test", "80/HTTP"), *told([intent("b", "b.test b2.test", "80/HTTP")])]
    hosts = routes(compile_policy(rules, WORKLOAD, NOW), TRACES)["virtual_hosts"]
    found = {
        (*host["domains"], route["metadata"]["filter_metadata"]["exitway"]["rule"]): "request_headers_to_add" in route
        for host in hosts
        for route in host["routes"]
        if "route" in route
    }
    assert found == {
        ("a.test", "egress-rule/shop/a"): False,
        ("b.test", "b2.test", "egress-rule/shop/b"): True,
    }
    assert len({host["name"] for host in hosts}) == len(hosts)


@pytest.mark.parametrize("traces", [TRACES, replace(TRACES, per_mille=1000), Traces("collector.test", 4317)])
def test_envoy_accepts_it(tmp_path, traces):
    rules = told([intent("a", "a.test", "80/HTTP", methods="GET"), intent("b", "*.test", "443/https")])
    policy = compile_policy(rules, WORKLOAD, NOW)
    listener = json.loads(json.dumps(capturing_listener(CAPTURED, replace(PROXY, traces=traces)) | deciding(policy)))
    manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]
    del manager["rds"]
    manager["route_config"] = routes(policy, traces)
    for virtual_host in manager["route_config"]["virtual_hosts"]:
        for route in virtual_host["routes"]:
            if "route" in route:
                route["route"]["cluster"] = "traces"
    listener["filter_chains"] = listener["filter_chains"][:1]
    del listener["filter_chain_matcher"]
    config = {"static_resources": {"listeners": [listener, keeping(traces)], "clusters": [collector(traces)]}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    result = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", path, "-l", "error"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
