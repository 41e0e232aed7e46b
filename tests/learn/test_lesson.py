"""The rules that are learned let out what was recorded and nothing else: by the policy's meaning, and by the proxy's configuration."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exitway.explain.suites.file import read_suite
from exitway.explain.suites.suite import Stage
from exitway.flows.flow import Flow
from exitway.learn.expect import expectations
from exitway.learn.lesson import lesson
from exitway.learn.obstacle import Wanted
from exitway.learn.prove import prove
from exitway.learn.report import summary
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.workload import Workload
from exitway.policy.decide import decide
from exitway.resources import kinds
from exitway.resources.document import read_documents
from exitway.resources.registry import Registry
from exitway.server.trial import Trial

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DENIED = Decision(Verdict.DENY, Reason.NO_RULE)
NAMES = ("a.x.test", "b.x.test", "c.b.x.test", "x.test", "d.y.test")
PORTS = (80, 443)
METHODS, PATHS = ("GET", "POST"), ("/", "/v1/a", "/v1/a@b")
PROTOCOLS = {Sort.HTTP: "HTTP/1.1", Sort.TLS: "TLS", Sort.TCP: "TCP"}
REQUESTS = [
    Call(Sort.HTTP, port, name, asked=name, method=method, path=path)
    for name, port, method, path in itertools.product(NAMES, PORTS, METHODS, PATHS)
]
CONNECTIONS = [
    Call(sort, port, name if sort is Sort.TLS else "", asked=name)
    for name, port, sort in itertools.product(NAMES, PORTS, (Sort.TLS, Sort.TCP))
]
UNIVERSE = REQUESTS + CONNECTIONS


def flow(call, **fields):
    """As an audit records it."""
    recorded = Flow(
        "2026-11-23T08:10:12.123Z", "shop/pip", call.name or call.asked, call.address or "240.240.0.9", call.port, PROTOCOLS[call.sort], DENIED,
        audit=True, upstream=f"198.18.1.3:{call.port}", process="42/pip", sent=10,
    )  # fmt: skip
    request = {"method": call.method, "path": call.path} if call.sort is Sort.HTTP else {}
    return replace(recorded, **request, **fields)


def learned(flows, **wanted):
    return lesson(flows, Wanted(**wanted), "learned", ["Learned."], lambda _: None)


def registry(text):
    resources = [kinds.read(document.wire) for document in read_documents(text.encode(), "rules.yml")]
    return Registry().changed(resources, revision=1)


def proof(found, text=None, *, hosts_only=False):
    rules = registry(text or found.text)
    return prove(found.learned, lambda workload: Trial(rules, workload, NOW), hosts_only=hosts_only)


def failing(found, *, hosts_only=False):
    """Of the tests that are written, those that fail."""
    (document,) = read_documents(
        expectations(found.learned, "", ["Tests."], hosts_only=hosts_only).encode(), "tests.yml"
    )
    rules = registry(found.text)
    stage = Stage(rules, lambda workload, now: Trial(rules, workload, now), lambda *_: "", NOW)
    return [case for case in read_suite(document, "", {}).cases if not stage.outcome(case).passed]


@given(st.lists(st.sampled_from(UNIVERSE), min_size=1, max_size=12))
@settings(suppress_health_check=list(HealthCheck))
def test_of_a_universe_of_calls_just_the_recorded_ones_are_let_out(recorded):
    found = learned(map(flow, recorded))
    tried = Trial(registry(found.text), Workload("shop", "pip"), NOW)
    whatever = {
        (call.asked, call.port) for call in recorded if call.sort is Sort.TCP
    }  # TCP is whatever is spoken there
    for call in UNIVERSE:
        located = tried.located(call)
        expected = call in recorded or (call.asked, call.port) in whatever
        assert decide(tried.policy, located).allowed is expected, (call, found.text)
        assert tried.way(located).verdict is (Verdict.ALLOW if expected else Verdict.DENY), (call, found.text)
    assert proof(found).faults == ()
    assert not failing(found)
    assert learned(map(flow, reversed(recorded))).text == found.text


@given(st.lists(st.sampled_from(UNIVERSE), min_size=1, max_size=12), st.booleans(), st.booleans())
@settings(suppress_health_check=list(HealthCheck), max_examples=40)
def test_what_is_asked_for_beyond_the_recording_is_let_out_and_proven(recorded, hosts_only, wildcards):
    found = learned(map(flow, recorded), hosts_only=hosts_only, wildcards=wildcards)
    policy = Trial(registry(found.text), Workload("shop", "pip"), NOW).policy
    assert all(decide(policy, call).allowed for call in recorded)
    assert proof(found, hosts_only=hosts_only).faults == ()
    assert not failing(found, hosts_only=hosts_only)


@pytest.mark.parametrize(
    ("call", "written"),
    [
        (
            Call(Sort.HTTP, 80, "a.x.test", asked="a.x.test", method="TCP", path="/q"),
            '{call: "http://a.x.test/q", method: "TCP"}',
        ),
        (
            Call(Sort.HTTP, 80, "a.x.test", asked="b.x.test", path="/q"),
            '{call: "http://a.x.test/q", method: "GET", dialled: "b.x.test"}',
        ),
        (
            Call(Sort.HTTP, 80, "app.localhost", asked="app.localhost"),
            "# 1 of 1 recorded calls cannot be written as a test",
        ),
    ],
)
def test_a_test_is_only_written_as_what_is_read_as_the_same_call(call, written):
    found = learned([flow(call, asked=call.asked)])
    assert written in expectations(found.learned, "", [], hosts_only=False)
    assert not failing(found)


RECORDED = [
    Call(Sort.HTTP, 80, "a.x.test", asked="a.x.test", method="GET", path="/v1/a"),
    Call(Sort.TLS, 443, "b.x.test", asked="b.x.test"),
    Call(Sort.TCP, 25, asked="c.x.test"),
]
TAMPERED = {
    # what is written instead: what the proof says of it
    ("- /v1/a ", '- "/v1/*" '): "GET http://a.x.test/v1/ax of shop gets allow, not deny",
    ("methods: [GET]", "methods: [GET, PUT]"): "more is permitted than was recorded: http a.x.test:80 PUT /v1/a",
    ("a.x.test", "a.y.test"): "GET http://a.x.test/v1/a of shop gets deny, not allow",
    ("- b.x.test", '- "*.x.test"'): "TLS never-asked-for.x.test:443 of shop gets allow, not deny",
    ("{number: 443, protocol: TLS}", "{number: 443, protocol: TCP}"): "TCP b.x.test:443 of shop gets allow, not deny",
    ("{number: 25, protocol: TCP}", "{number: 2525, protocol: TCP}"): "more is permitted than was recorded: tcp c.x.test:2525",
}  # fmt: skip


@pytest.mark.parametrize(("change", "fault"), TAMPERED.items())
def test_rules_that_say_something_else_are_not_proven(change, fault):
    found = learned(map(flow, RECORDED))
    assert proof(found, found.text).faults == ()
    faults = proof(found, found.text.replace(*change, 1)).faults
    assert any(one.startswith(fault) for one in faults), faults


@pytest.mark.parametrize(
    ("labels", "whose"), [({}, "all workloads"), ({"app": "web", "tier": "a"}, "workloads with app=web and tier=a")]
)
def test_it_is_said_that_rules_of_the_system_hold_everywhere(labels, whose):
    found = learned([flow(RECORDED[0], workload="exitway-system/w", labels=labels)])
    assert "# They let out these calls.\n# Those of exitway-system let them out of every namespace.\n" in found.text
    said = f"beyond the recording: rules of exitway-system hold for {whose}, of every namespace"
    assert said in list(summary(found, proof(found), Wanted()))
    found = learned([flow(RECORDED[0], labels=labels)])
    assert "# They let out just these calls.\n" in found.text
    assert not any("beyond" in one for one in summary(found, proof(found), Wanted()))


def test_what_a_rule_without_a_selector_lets_out_for_others_is_a_fault():
    mine, theirs = RECORDED[:2]
    found = learned([flow(mine, labels={"app": "web", "pod-template-hash": "1"}), flow(theirs, labels={"app": "db"})])
    assert [kind.labels for kind in found.learned] == [(("app", "db"),), (("app", "web"),)]
    assert [rule.name for rule in found.rules] == ["learned-db", "learned-web"]
    assert proof(found).faults == ()
    assert not failing(found)
    found = learned([flow(mine), flow(theirs, labels={"app": "db"})])
    assert any(
        "GET http://a.x.test/v1/a of shop {'app': 'db'} gets allow, not deny" in one for one in proof(found).faults
    )


def test_what_one_placement_has_taught_holds_in_the_other():
    pod = {"app": "web", "pod-template-hash": "1"}
    found = learned([flow(RECORDED[0], labels=pod | {"exitway.dev/captured": "sidecar"})])
    moved = Trial(registry(found.text), Workload("shop", "web", pod | {"exitway.dev/captured": "node"}), NOW)
    assert decide(moved.policy, RECORDED[0]).allowed


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ("a.x.test b.x.test", "*.x.test"),
        ("a.x.test b.x.test c.a.x.test", "*.x.test c.a.x.test"),
        ("a.x.test b.y.test", "a.x.test b.y.test"),
        ("x.test y.test", "x.test y.test"),
        ("one.github.io two.github.io", "one.github.io two.github.io"),
        ("one.s3.amazonaws.com two.s3.amazonaws.com", "one.s3.amazonaws.com two.s3.amazonaws.com"),
        ("s3.amazonaws.com sqs.amazonaws.com", "s3.amazonaws.com sqs.amazonaws.com"),
        ("a.compute.amazonaws.com b.compute.amazonaws.com", "a.compute.amazonaws.com b.compute.amazonaws.com"),
        ("one.co.uk two.co.uk", "one.co.uk two.co.uk"),
        ("a.one.co.uk b.one.co.uk", "*.one.co.uk"),
        ("a.storage.googleapis.com b.storage.googleapis.com", "a.storage.googleapis.com b.storage.googleapis.com"),
        ("a.googleapis.com b.googleapis.com", "a.googleapis.com b.googleapis.com"),
        ("d1.cloudfront.net d2.cloudfront.net", "d1.cloudfront.net d2.cloudfront.net"),
    ],
)
def test_a_pattern_is_never_wider_than_one_owner(names, pattern):
    found = learned([flow(Call(Sort.TLS, 443, name, asked=name)) for name in names.split()], wildcards=True)
    assert {name for kind in found.learned for name in kind.terms} == set(pattern.split())
    assert proof(found).faults == ()


def test_a_name_that_led_to_a_private_address_is_proven_to_be_let_there():
    found = learned([flow(RECORDED[0], upstream="10.1.2.3:80")], addresses=True)
    assert proof(found).faults == ()
    faults = proof(found, found.text.replace("10.1.2.3/32", "10.1.2.4/32")).faults
    assert any("led to 10.1.2.3, where its name may not lead with these rules" in one for one in faults)


def test_what_programs_write_stays_what_it_is():
    """A process may have any name, a path any character, and a rule is read by YAML 1.1 and 1.2 alike."""
    calls = [
        replace(RECORDED[0], name="on", asked="on", path=path) for path in ("/a:", "/~x", "/a,b", "/caf%C3%A9", "/'x'")
    ]
    found = learned([flow(call, process="1/a\n- evil\u202e\x1b[31m", detail="UF x\ny") for call in calls])
    assert found.text.isprintable() is False
    assert all(line.isprintable() for line in found.text.splitlines())
    (rule,) = yaml.safe_load_all(found.text)
    assert [to["hosts"] for to in rule["spec"]["to"]] == [["on"]]
    assert sorted(rule["spec"]["to"][0]["paths"]) == sorted(call.path for call in calls)
    assert proof(found).faults == ()


def test_more_than_one_rule_may_have_is_written_as_several():
    calls = [
        replace(RECORDED[0], path=f"/{name}", name=f"{name}.test", asked=f"{name}.test")
        for name in map(str, range(501))
    ]
    calls += [replace(RECORDED[1], port=port) for port in range(1000, 1101)]
    found = learned([flow(replace(call, name=f"x{call.name}", asked=f"x{call.asked}")) for call in calls])
    assert [rule.name for rule in found.rules] == ["learned", "learned-2"]
    assert proof(found).faults == ()
