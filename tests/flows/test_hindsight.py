"""What a proxy's log says long after it was written, and the rules may be others."""

from datetime import UTC, datetime

import pytest

from exitway.flows.entry import Hindsight, Observed
from exitway.flows.reading import LogReading
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.resources.intent import Action
from tests.flows.test_access_log import HTTP, line
from tests.intents import intent

BEFORE, SINCE = "2026-12-31T00:00:00Z", "2027-01-02T00:00:00Z"
RULES = {
    intent("old", "a.example", "80/HTTP 443/TLS"): BEFORE,
    intent("new", "b.example", "80/HTTP 443/TLS"): SINCE,
    intent("deny", "c.example", "443/TLS", action=Action.DENY): BEFORE,
    intent("db", "db.example", "5432/TCP"): BEFORE,
}
POLICY = compile_policy([*RULES], Workload("shop", "w"), datetime(2027, 1, 3, tzinfo=UTC))
ADDRESSES = {"a.example": "241.0.0.1", "b.example": "241.0.0.2", "c.example": "241.0.0.3", "d.example": "241.0.0.4"}
HINDSIGHT = Hindsight(
    {one.key: written for one, written in RULES.items()}, lambda address, name: ADDRESSES.get(name) == address
)
OBSERVED = Observed(
    "shop/w", POLICY, {"241.0.0.5": "db.example"}.get, lambda *_: None, labels={"app": "w"}, hindsight=HINDSIGHT
)


def reading():
    return LogReading({"w1": OBSERVED}.get, "pod/shop/w")


def http(name, **more):
    return HTTP | {"authority": name, "destination": f"{ADDRESSES[name]}:80"} | more


def answered(name, decision):
    return http(name, to=None, decision=decision, status=404)


def tls(name, chain, number=443, **more):
    return {"chain": chain, "sni": name, "status": 0, "destination": f"{ADDRESSES[name]}:{number}"} | more


@pytest.mark.parametrize(
    ("fields", "verdict", "reason", "rule"),
    [
        (http("a.example"), "allow", "rule", "old"),
        (http("b.example"), "allow", "rule", None),  # by one that was there then, and this one was not
        (http("d.example"), "allow", "rule", None),  # by one that is gone
        (answered("a.example", "deny; reason=path"), "deny", "path", None),
        (answered("c.example", "deny; reason=no-rule"), "deny", "no-rule", None),
        (answered("a.example", "allow; failed=UF"), "allow", "rule", "old"),
        (answered("a.example", "deny; reason=address"), "deny", "address", None),
        (http("d.example", decision="audit; reason=no-rule"), "audit", "no-rule", None),
        (http("a.example", to=None, status=0), "allow", "rule", "old"),
        (
            http("b.example", to=None, status=0),
            "allow",
            "unknown",
            None,
        ),  # it broke off, and nobody knows what was decided
        (tls("a.example", "tls"), "allow", "rule", "old"),
        (tls("b.example", "tls"), "allow", "unknown", None),  # or for an audit
        (tls("d.example", "tls"), "allow", "unknown", None),
        (tls("d.example", "deny"), "deny", "unknown", None),  # or by a DENY that is gone
        (tls("a.example", "deny", 8443), "deny", "unknown", "old"),  # what comes nearest
        (tls("c.example", "deny"), "deny", "denied-by-rule", "deny"),
        (tls("a.example", "tls", destination="241.0.0.2:443", to=None, flags="DF"), "deny", "name-mismatch", "old"),
        ({"chain": "tcp-name", "destination": "241.0.0.5:5432", "status": 0}, "allow", "rule", "db"),
        ({"chain": "deny", "destination": "241.0.0.5:25", "status": 0}, "deny", "unknown", "db"),
    ],
)
def test_what_a_line_says_and_what_older_rules_say_is_told_and_nothing_else(fields, verdict, reason, rule):
    (flow,) = reading().take([line(**fields)])
    shown = "audit" if flow.audit else flow.decision.verdict
    assert (shown, flow.decision.reason, flow.decision.because and flow.decision.because.name) == (
        verdict,
        reason,
        rule,
    )
    assert (flow.id, flow.at, flow.labels) == (0, "pod/shop/w", {"app": "w"})


def test_the_name_is_the_one_that_the_address_stands_for():
    flows = reading().take([
        line(**http("a.example")),
        line("02", **tls("a.example", "tls", destination="241.0.0.9:443")),
        line("03", chain="deny", destination="241.0.0.5:25", status=0),
    ])  # fmt: skip
    assert [(flow.name, flow.asked) for flow in flows] == [
        ("a.example", "a.example"),
        ("a.example", ""),
        ("db.example",) * 2,
    ]


def test_repeats_are_counted_and_what_is_no_line_of_ours_is_passed_over():
    log = reading()
    one = log.take([
        b"[2027-01-01 00:00:00.000][1][warning][config] a listener was \xff refused",
        b'{"message": "JSON of somebody"}',
        b"[1, 2]",
        b"",
        line("01", **http("a.example"))[:-40],
        line("01", **http("a.example")),
        line("02", **http("a.example")).replace(b'"workload":"w1"', b'"workload":"other/pod"'),
        line("03", access="DownstreamPeriodic", **http("b.example")),
    ])  # fmt: skip
    assert [flow.name for flow in one] == ["a.example", "b.example"]
    two = log.take([line("04", **http("a.example")), line("03", measured="900 150 700", **http("b.example"))])
    assert two == []
    a, b = log.flows()
    assert (a.count, a.sent, a.last) == (2, 200, "2027-01-01T00:00:04.000Z")
    assert (b.count, b.sent, b.received, b.duration) == (1, 150, 700, 900)
    assert log.flows() == [a, b]
    log.forget()
    assert log.take([line("05", **http("a.example"))]) == []
    assert [flow.name for flow in log.take([line("06", **http("d.example"))])] == ["d.example"]
