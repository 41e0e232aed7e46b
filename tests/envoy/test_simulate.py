import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from types import MappingProxyType

from google.protobuf import json_format
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from exitway.capture.steering import steering
from exitway.envoy import api
from exitway.envoy.bootstrap import Machine, bootstrap
from exitway.envoy.listener import Captured, Proxy, capturing_listener, deciding, deciding_tcp, tcp_listener
from exitway.envoy.route import Denial, route_configuration
from exitway.envoy.simulate import simulate
from exitway.envoy.snapshot import Resource, Snapshot
from exitway.names.call import Call, Sort, Verdict
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import by_name, decide
from exitway.proxy.binary import find_envoy
from tests.intents import CALLS, NAMES, NUMBERS, intent, intents

NOW = datetime(2027, 1, 1, tzinfo=UTC)
WORKLOAD = Workload("shop", "checkout")
PROXY = Proxy("127.0.0.1:5300", 7, "/dev/null")


def snapshot_of(policy, pinned=MappingProxyType({})):
    captured = Captured("one", WORKLOAD, "", "http/one")
    return Snapshot.of(
        [
            Resource.of(api.LISTENER, capturing_listener(captured, PROXY)).merged(
                Resource.of(api.LISTENER, deciding(policy))
            ),
            Resource.of(api.LISTENER, tcp_listener(captured, PROXY)).merged(
                Resource.of(api.LISTENER, deciding_tcp(policy, pinned))
            ),
            Resource.of(api.ROUTE_CONFIGURATION, route_configuration("http/one", policy, Denial("shop", 404))),
        ]
    )


@given(intents(), CALLS)
@settings(max_examples=400)
def test_the_generated_configuration_means_what_the_policy_decides(rules, call):
    policy = compile_policy(rules, WORKLOAD, NOW)
    decision, path = decide(policy, call), simulate(snapshot_of(policy), "out/one", call)
    assert path.verdict is decision.verdict
    if path.filter_chain == "http" and not decision.allowed:
        assert path.answer == f"deny; reason={decision.reason}"


@given(intents(), NAMES, NUMBERS, st.sampled_from(Sort))
@settings(max_examples=400)
def test_a_rule_for_tcp_holds_for_a_name_by_its_address_whatever_is_spoken(rules, name, port, sort):
    policy = compile_policy(rules, WORKLOAD, NOW)
    pinned = {name: ("240.240.0.9", "2001:2::9")}
    call = Call(sort, port, name if sort is not Sort.TCP else "", "240.240.0.9", asked=name)
    named = any(port == number for network, number in steering(policy, pinned).tcp if str(network) == "240.240.0.9/32")
    path = simulate(snapshot_of(policy, pinned), "tcp/one" if named else "out/one", call)
    assert path.verdict is decide(policy, call).verdict


@given(intents(), NAMES, NAMES, NUMBERS)
def test_tls_is_to_the_name_that_was_asked_for_or_refused(rules, name, asked, port):
    policy = compile_policy(rules, WORKLOAD, NOW)
    assume((port, Sort.TCP) not in by_name(policy, asked))  # such a connection is steered elsewhere
    call = Call(Sort.TLS, port, name, "240.240.3.4", asked)
    decision = decide(policy, call)
    assert simulate(snapshot_of(policy), "out/one", call).verdict is decision.verdict
    assert name == asked or not decision.allowed


@given(intents(), CALLS)
@settings(max_examples=400)
def test_the_listener_for_tcp_allows_what_tcp_rules_allow_whatever_is_spoken(rules, call):
    policy = compile_policy(rules, WORKLOAD, NOW)
    unnamed = replace(call, sort=Sort.TCP, name="")
    path = simulate(snapshot_of(policy), "tcp/one", call)
    assert path.verdict is decide(policy, unnamed).verdict
    assert (path.verdict is Verdict.ALLOW) <= steered(policy, call)


def steered(policy, call):
    """Whether the ruleset leads the call to the listener for TCP."""
    return any(ip_address(call.address) in network and port == call.port for network, port in steering(policy, {}).tcp)


@given(intents())
def test_equal_rules_give_equal_bytes_and_versions(rules):
    one, other = (snapshot_of(compile_policy(order, WORKLOAD, NOW)) for order in (rules, rules[::-1]))
    assert [resource.data for resource in everything(one)] == [resource.data for resource in everything(other)]
    assert [resource.version for resource in everything(one)] == [resource.version for resource in everything(other)]


@given(intents())
def test_a_snapshot_refers_to_nothing_that_is_not_there(rules):
    snapshot = snapshot_of(compile_policy(rules, WORKLOAD, NOW))
    named = {name for listener in snapshot.named(api.LISTENER).values() for name in route_names(listener.json)}
    assert named == set(snapshot.named(api.ROUTE_CONFIGURATION))


def test_a_thousand_names_with_equal_ports_are_one_virtual_host():
    rules = [intent(f"r{number}", f"api-{number}.example", "80/HTTP") for number in range(1000)]
    routes = route_configuration("http/one", compile_policy(rules, WORKLOAD, NOW), Denial("shop", 404))
    assert [len(host["domains"]) for host in routes["virtual_hosts"]] == [1, 1000]


@given(intents())
@example(
    [intent("odd", "*-b.a", "80/HTTP"), intent("dotted", "*.a", "443/TLS")]
)  # the narrow one has what the wide one allows
@settings(max_examples=20, deadline=None)
def test_envoy_accepts_what_is_generated(tmp_path_factory, rules):
    """The real Envoy validates the bootstrap with the snapshot in it, delivered as static resources."""
    policy = compile_policy(rules, WORKLOAD, NOW)
    authorities = "/etc/ssl/certs/ca-certificates.crt"
    config = bootstrap(
        Machine("/tmp/xds.sock", "/tmp/admin.sock", PROXY.resolver, authorities, 7, 1000, "/tmp/access.log")
    )
    captured = Captured("one", WORKLOAD, "", "http/one")
    tcp = tcp_listener(captured, PROXY) | deciding_tcp(policy, {"db.example": ("240.240.0.2", "2001:2::2")})
    listener = json.loads(json.dumps(capturing_listener(captured, PROXY) | deciding(policy)))
    manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]
    del manager["rds"]
    manager["route_config"] = route_configuration("http/one", policy, Denial("shop", 404))
    config["static_resources"]["listeners"] = [listener, tcp]
    path = tmp_path_factory.mktemp("envoy") / "config.json"
    path.write_text(json.dumps(config))
    result = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", path, "-l", "error"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]


@given(intents())
def test_the_bytes_say_what_the_json_says(rules):
    """Names are set, and matchers joined, past the usual way of encoding."""
    for resource in everything(snapshot_of(compile_policy(rules, WORKLOAD, NOW))):
        message = json_format.ParseDict(
            resource.json, api.message_type(resource.type_url)(), descriptor_pool=api._pool()
        )
        assert api.decode(resource.type_url, message.SerializeToString()) == api.decode(
            resource.type_url, resource.data
        )


def test_a_call_without_a_name_matches_no_pattern():
    policy = compile_policy([intent("any", "*", "443/HTTP"), intent("tls", "*.a", "443/TLS")], WORKLOAD, NOW)
    call = Call(Sort.TLS, 443, name="")
    assert not decide(policy, call).allowed
    assert simulate(snapshot_of(policy), "out/one", call).cluster == "BlackHoleCluster"


def everything(snapshot):
    return [resource for type_url in snapshot.resources for resource in snapshot.named(type_url).values()]


def route_names(node):
    """The route configurations that a listener refers to."""
    if isinstance(node, dict):
        return {node[key] for key in node if key == "route_config_name"} | {
            name for value in node.values() for name in route_names(value)
        }
    return {name for value in node for name in route_names(value)} if isinstance(node, list) else set()
