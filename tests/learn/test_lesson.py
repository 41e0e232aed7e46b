"""The rules that are learned let out what was recorded and nothing else: by the policy's meaning, and by the proxy's configuration."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exitway.flows.flow import Flow
from exitway.learn.lesson import lesson
from exitway.learn.obstacle import Wanted
from exitway.learn.prove import prove
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
        audit=True, upstream=f"198.18.1.3:{call.port}", process="42/pip",
    )  # fmt: skip
    request = {"method": call.method, "path": call.path} if call.sort is Sort.HTTP else {}
    return replace(recorded, **request, **fields)


def learned(flows, **wanted):
    return lesson(flows, Wanted(**wanted), "learned", ["Learned."], lambda _: None)


def registry(text):
    resources = [kinds.read(document.wire) for document in read_documents(text.encode(), "rules.yml")]
    return Registry().changed(resources, revision=1)


def trial(text, workload=None):
    return Trial(registry(text), workload or Workload("shop", "pip"), NOW)


def proof(found, **wanted):
    rules = registry(found.text)
    return prove(
        found.learned, lambda workload: Trial(rules, workload, NOW), hosts_only=wanted.get("hosts_only", False)
    )


@given(st.lists(st.sampled_from(UNIVERSE), min_size=1, max_size=12))
@settings(suppress_health_check=list(HealthCheck))
def test_of_a_universe_of_calls_just_the_recorded_ones_are_let_out(recorded):
    found = learned(map(flow, recorded))
    tried = trial(found.text)
    whatever = {
        (call.asked, call.port) for call in recorded if call.sort is Sort.TCP
    }  # TCP is whatever is spoken there
    for call in UNIVERSE:
        located = tried.located(call)
        expected = call in recorded or (call.asked, call.port) in whatever
        assert decide(tried.policy, located).allowed is expected, (call, found.text)
        assert tried.way(located).verdict.value == ("allow" if expected else "deny"), (call, found.text)
    assert proof(found).faults == ()
    assert learned(map(flow, sorted(recorded, key=str))).text.count("\n") == found.text.count("\n")


@given(st.lists(st.sampled_from(UNIVERSE), min_size=1, max_size=12), st.booleans(), st.booleans())
@settings(suppress_health_check=list(HealthCheck), max_examples=40)
def test_what_is_asked_for_beyond_the_recording_is_let_out_and_proven(recorded, hosts_only, wildcards):
    wanted = {"hosts_only": hosts_only, "wildcards": wildcards}
    found = learned(map(flow, recorded), **wanted)
    tried = trial(found.text)
    assert all(decide(tried.policy, tried.located(call)).allowed for call in recorded)
    assert proof(found, **wanted).faults == ()
