from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from urllib.parse import unquote

import pytest
from hypothesis import given

from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Reason, Sort, Verdict
from exitway.names.request import is_plain
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
    intent("read", "api.example *.api.example", "80/HTTP", methods="GET HEAD", paths="/v1/* /health"),
    intent("write", "api.example", "80/GRPC", methods="POST", paths="/v1/items"),
    intent("not-admin", "*.example", "80/HTTP", action=Action.DENY, paths="/v1/admin*"),
    intent("not-delete", "any.example", "80/HTTP", action=Action.DENY, methods="DELETE"),
    intent("any", "any.example", "80/HTTP 8080/HTTP"),
    intent("part-of-any", "any.example", "8080/HTTP", methods="GET", paths="/v1"),
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


@pytest.mark.parametrize(
    ("name", "port", "method", "path", "overridden", "reason", "because"),
    [
        ("api.example", 80, "GET", "/v1/x", False, Reason.RULE, "read"),
        ("api.example", 80, "GET", "/v1/x?y=../..", False, Reason.RULE, "read"),
        ("api.example", 80, "POST", "/v1/items", False, Reason.RULE, "write"),
        ("api.example", 80, "POST", "/v1/x", False, Reason.METHOD, "read"),
        ("api.example", 80, "PUT", "/v1/items", False, Reason.METHOD, "read"),
        ("api.example", 80, "POST", "/v2", False, Reason.PATH, "read"),
        ("api.example", 80, "GET", "/v1/../v2", False, Reason.PATH, "not-admin"),
        ("api.example", 80, "GET", "/v1/x", True, Reason.METHOD, "read"),
        ("api.example", 80, "GET", "/v1/admin", False, Reason.DENIED, "not-admin"),
        ("x.api.example", 80, "GET", "/health", False, Reason.RULE, "read"),
        ("x.api.example", 80, "GET", "/v1/admins", False, Reason.DENIED, "not-admin"),
        ("api.example", 8080, "GET", "/v1/x", False, Reason.PORT, "read"),
        ("other-api.example", 80, "GET", "/v1/x", False, Reason.NO_RULE, None),
        ("other-api.example", 80, "GET", "/v1/admin", False, Reason.DENIED, "not-admin"),
        ("any.example", 80, "GET", "/", False, Reason.RULE, "any"),
        ("any.example", 80, "DELETE", "/", False, Reason.DENIED, "not-delete"),
        ("any.example", 80, "delete", "/", False, Reason.METHOD, "any"),
        ("any.example", 80, "POST", "/", True, Reason.METHOD, "any"),
        ("any.example", 80, "GET", "/a//b", False, Reason.PATH, "not-admin"),
        ("any.example", 8080, "DELETE", "/a//b", True, Reason.RULE, "any"),
        ("any.example", 80, "OPTIONS", "*", False, Reason.NO_RULE, None),
    ],
)
def test_what_a_policy_decides_about_a_request(name, port, method, path, overridden, reason, because):
    decision = decide(
        compile_policy(RULES, CHECKOUT, NOW),
        Call(Sort.HTTP, port, name, method=method, path=path, overridden=overridden),
    )
    assert (decision.reason, decision.because.name if decision.because else None) == (reason, because)
    assert decision.allowed == (reason is Reason.RULE)


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
    expected = {action for action, _ in networks} == {Action.ALLOW} if networks else _lets_out(names, call)
    assert decide(compile_policy(rules, CHECKOUT, NOW), call).allowed == expected


def _lets_out(said, call):
    """Whether these let a request out. An ALLOW of all requests says more than one of some, so those count no more."""
    if (Action.ALLOW, True) in {(action, not target.methods and not target.paths) for action, target in said}:
        said = [one for one in said if one[0] is Action.DENY or not (one[1].methods or one[1].paths)]
    if any(target.paths for _, target in said) and not is_plain(call.path):
        return False
    if any(target.methods for _, target in said) and (call.overridden or call.method != call.method.upper()):
        return False
    path = unquote(call.path.partition("?")[0])
    return {action for action, target in said if _speaks_of(target, call.method, path)} == {Action.ALLOW}


def _speaks_of(target, method, path):
    paths = [unquote(pattern) for pattern in target.paths]
    return (not target.methods or method in target.methods) and (
        not paths or any(path == one or (one.endswith("*") and path.startswith(one[:-1])) for one in paths)
    )


def _speaking(rules, call, names_it):
    """The actions and targets of the rules that speak of the call's port."""
    return [
        (rule.action, target)
        for rule in rules
        for target in rule.to
        for port in target.ports
        if port.number == call.port and names_it(target, port.sort)
    ]


def _holds(target, address):
    address = ip_address(address)
    synthetic = any(address in network for network in SYNTHETIC)
    return not synthetic and any(address in network for network in target.cidrs)
