from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given

from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Reason, Sort, Verdict
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from exitway.resources.intent import Action
from tests.intents import CALLS, intent, intents

NOW = datetime(2027, 1, 1, tzinfo=UTC)
CHECKOUT = Workload("shop", "checkout", {"app": "checkout"})

RULES = [
    intent("httpbin", "httpbin.org", "80/HTTP"),
    intent("cnn", "*.cnn.com", "80/HTTP 443/TLS"),
    intent("edition", "edition.cnn.com", "8080/HTTP"),
    intent("not-ads", "ads.cnn.com", "80/HTTP", action=Action.DENY),
    intent("no-trackers", "*.tracker.example", "80/HTTP", action=Action.DENY),
    intent("tracker", "good.tracker.example", "80/HTTP"),
    intent("odd", "*google.com", "443/https"),
    intent("database", "198.18.5.0/24 2001:db8::/32", "5432/TCP"),
    intent("not-that-one", "198.18.5.7/32", "5432/TCP", action=Action.DENY),
    intent("other-namespace", "other.example", "80/HTTP", namespace="billing"),
    intent("everybody", "everybody.example", "80/HTTP", namespace="exitway-system"),
    intent("for-checkout", "stripe.example", "80/HTTP", labels=[("app", "checkout")]),
    intent("for-others", "paypal.example", "80/HTTP", labels=[("app", "basket")]),
    intent("past", "past.example", "80/HTTP", expires=NOW),
    intent("future", "future.example", "80/HTTP", expires=NOW + timedelta(seconds=1)),
]
ALLOW, DENY = Verdict.ALLOW, Verdict.DENY


@pytest.mark.parametrize(
    ("sort", "name", "port", "verdict", "reason", "because"),
    [
        ("http", "httpbin.org", 80, ALLOW, Reason.RULE, "httpbin"),
        ("http", "httpbin.org", 8080, DENY, Reason.PORT, "httpbin"),
        ("tls", "httpbin.org", 80, DENY, Reason.PROTOCOL, "httpbin"),
        ("http", "www.httpbin.org", 80, DENY, Reason.NO_RULE, None),
        ("http", "www.cnn.com", 80, ALLOW, Reason.RULE, "cnn"),
        ("http", "a.b.cnn.com", 80, ALLOW, Reason.RULE, "cnn"),
        ("http", "cnn.com", 80, DENY, Reason.NO_RULE, None),
        ("http", "xcnn.com", 80, DENY, Reason.NO_RULE, None),
        ("tls", "www.cnn.com", 443, ALLOW, Reason.RULE, "cnn"),
        ("http", "www.cnn.com", 443, DENY, Reason.PROTOCOL, "cnn"),
        ("http", "edition.cnn.com", 8080, ALLOW, Reason.RULE, "edition"),
        ("http", "edition.cnn.com", 80, ALLOW, Reason.RULE, "cnn"),
        ("http", "ads.cnn.com", 80, DENY, Reason.DENIED, "not-ads"),
        ("tls", "ads.cnn.com", 443, ALLOW, Reason.RULE, "cnn"),
        ("http", "good.tracker.example", 80, DENY, Reason.DENIED, "no-trackers"),
        ("http", "www.google.com", 443, ALLOW, Reason.RULE, "odd"),
        ("http", "notgoogle.com", 443, ALLOW, Reason.RULE, "odd"),
        ("http", "google.com", 443, DENY, Reason.NO_RULE, None),
        ("tls", "", 443, DENY, Reason.NO_RULE, None),
        ("http", "other.example", 80, DENY, Reason.NO_RULE, None),
        ("http", "everybody.example", 80, ALLOW, Reason.RULE, "everybody"),
        ("http", "stripe.example", 80, ALLOW, Reason.RULE, "for-checkout"),
        ("http", "paypal.example", 80, DENY, Reason.NO_RULE, None),
        ("http", "past.example", 80, DENY, Reason.NO_RULE, None),
        ("http", "future.example", 80, ALLOW, Reason.RULE, "future"),
        ("tcp", "198.18.5.1", 5432, ALLOW, Reason.RULE, "database"),
        ("tcp", "198.18.5.7", 5432, DENY, Reason.DENIED, "not-that-one"),
        ("tcp", "198.18.5.1", 5433, DENY, Reason.PORT, "database"),
        ("tcp", "198.18.6.1", 5432, DENY, Reason.NO_RULE, None),
        ("tcp", "2001:db8::9", 5432, ALLOW, Reason.RULE, "database"),
        ("http", "198.18.5.1", 5432, DENY, Reason.NO_RULE, None),
    ],
)
def test_what_a_policy_decides(sort, name, port, verdict, reason, because):
    call = Call(Sort(sort), port, address=name) if sort == "tcp" else Call(Sort(sort), port, name=name)
    decision = decide(compile_policy(RULES, CHECKOUT, NOW), call)
    assert (decision.verdict, decision.reason) == (verdict, reason)
    assert (decision.because.name if decision.because else None) == because


def test_a_policy_says_how_long_it_holds():
    assert compile_policy(RULES, CHECKOUT, NOW).valid_until == NOW + timedelta(seconds=1)


@given(intents())
def test_the_order_of_rules_does_not_matter(rules):
    assert compile_policy(rules, CHECKOUT, NOW) == compile_policy(rules[::-1], CHECKOUT, NOW)


@given(intents(), CALLS)
def test_a_call_leaves_exactly_when_a_rule_allows_it_and_none_denies_it(rules, call):
    """The definition, said without patterns being sorted or flattened: what compile and decide must come to."""
    networks = _speaking(rules, call, lambda target, sort: sort is Sort.TCP and _holds(target, call.address))
    names = _speaking(
        rules, call, lambda target, sort: sort is call.sort and any(host.matches(call.name) for host in target.hosts)
    )
    assert decide(compile_policy(rules, CHECKOUT, NOW), call).allowed == ((networks or names) == {Action.ALLOW})


def _speaking(rules, call, names_it):
    """The actions of the rules that speak of the call's port."""
    return {
        rule.action
        for rule in rules
        for target in rule.to
        for port in target.ports
        if port.number == call.port and names_it(target, port.sort)
    }


def _holds(target, address):
    address = ip_address(address)
    synthetic = any(address in network for network in SYNTHETIC)
    return not synthetic and any(address in network for network in target.cidrs)
