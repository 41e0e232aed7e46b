"""Istio's own cases (``egress_rules_test.go`` of 0.7.1), told to the one who adds the rule; and whose rules meet whose."""

import pytest

from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.conflicts import conflicts
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from tests.resources.wire import exitway, istio, to


def added_one_by_one(*wires):
    """What is said to each rule that is added; one that conflicts is not taken."""
    registry, said = Registry(), []
    for wire in wires:
        resource = read(wire)
        found = conflicts(registry, resource)
        said.append([(problem.code, problem.field, problem.message) for problem in found])
        if not found:
            registry = registry.changed([resource], revision=registry.revision + 1)
    return said


def on_domain(rule, other, domain):
    message = f'rule "egress-rule/{rule}" conflicts with rule "egress-rule/{other}" on domain {domain}, is rejected'
    return ("EXW0401", "spec.destination.service", message)


def on_port(rule, others, index, port, protocols):
    message = (
        f"rule egress-rule/{rule} is rejected since it conflicts rules [{others}] on port {port}, protocol {protocols}"
    )
    return ("EXW0402", f"spec.ports[{index}].port", message)


CNN1 = istio("*cnn.com", "80/http", "443/https", name="cnn1")
CNN2 = istio("*cnn.com", "80/http", "443/https", name="cnn2")
RULE1 = istio("10.10.10.10", "80/http", "1000/tcp", name="rule1")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([CNN1, istio("*bbc.com", "80/http", "443/https", name="bbc")], [[], []]),
        ([CNN1, CNN2], [[], [on_domain("shop/cnn2", "shop/cnn1", "*cnn.com")]]),
        (
            [CNN1, istio("*CNN.com", "8080/http", "8081/https", name="cnn2")],
            [[], [on_domain("shop/cnn2", "shop/cnn1", "*cnn.com")]],
        ),
        (
            [CNN1, CNN2, istio("*cnn.com", "80/http", "443/https", name="cnn3")],
            [[], [on_domain("shop/cnn2", "shop/cnn1", "*cnn.com")], [on_domain("shop/cnn3", "shop/cnn1", "*cnn.com")]],
        ),
        ([RULE1, istio("10.10.10.11", "80/http2", "1000/tcp", name="rule2")], [[], []]),
        (
            [RULE1, istio("10.10.10.11", "80/http2", "1000/mongo", name="rule2")],
            [[], [on_port("shop/rule2", "egress-rule/shop/rule1", 1, 1000, "Mongo vs. protocol TCP")]],
        ),
        (
            [RULE1, istio("10.10.10.11", "80/mongo", "1000/tcp", name="rule2")],
            [[], [on_port("shop/rule2", "egress-rule/shop/rule1", 0, 80, "Mongo vs. protocol HTTP")]],
        ),
        (
            [
                RULE1,
                istio("10.10.10.9", "80/grpc", name="rule0"),
                istio("10.10.10.10", "80/tcp", "1000/http", name="rule2"),
            ],
            [
                [],
                [],
                [
                    on_domain("shop/rule2", "shop/rule1", "10.10.10.10"),
                    on_port(
                        "shop/rule2", "egress-rule/shop/rule0 egress-rule/shop/rule1", 0, 80, "TCP vs. protocol HTTP"
                    ),
                    on_port("shop/rule2", "egress-rule/shop/rule1", 1, 1000, "HTTP vs. protocol TCP"),
                ],
            ],
        ),
        ([CNN1, istio("www.cnn.com", "80/http", name="www")], [[], []]),
        ([CNN1, istio("*cnn.com", "80/tcp", namespace="billing")], [[], []]),
        (
            [CNN1, istio("*cnn.com", "81/http", name="all", namespace=SYSTEM_NAMESPACE)],
            [[], [on_domain(f"{SYSTEM_NAMESPACE}/all", "shop/cnn1", "*cnn.com")]],
        ),
        (
            [
                istio("*cnn.com", "80/tcp", name="all", namespace=SYSTEM_NAMESPACE),
                istio("*bbc.com", "80/http", name="bbc"),
            ],
            [[], [on_port("shop/bbc", f"egress-rule/{SYSTEM_NAMESPACE}/all", 0, 80, "HTTP vs. protocol TCP")]],
        ),
        ([CNN1, exitway(to("a.example", "80/TCP")), exitway(to("a.example", "443/TCP"), name="other")], [[], [], []]),
    ],
)
def test_a_rule_that_conflicts_is_told_with_whom(rules, said):
    assert added_one_by_one(*rules) == said


def test_a_rule_may_replace_itself_and_take_what_was_given_up():
    registry = Registry().changed([read(CNN1)], revision=1)
    changed = read(istio("*cnn.com", "80/tcp", name="cnn1"))
    assert conflicts(registry, changed) == []
    registry = registry.changed([changed], revision=2)
    assert conflicts(registry, read(istio("*bbc.com", "443/tcp", "80/tcp", name="bbc"))) == []
    registry = registry.changed(deleted=[changed.key], revision=3)
    assert conflicts(registry, read(CNN2)) == []


def test_rules_that_are_added_together_are_each_told():
    both = [read(CNN1), read(CNN2)]
    registry = Registry().changed(both, revision=1)
    assert [[problem.code for problem in conflicts(registry, resource)] for resource in both] == [
        ["EXW0401"],
        ["EXW0401"],
    ]


def test_of_many_owners_the_first_are_named():
    rules = [read(istio(f"h{i:03}.example", "80/http", name=f"r{i:03}")) for i in range(100)]
    (problem,) = conflicts(Registry().changed(rules, revision=1), read(istio("x.example", "80/tcp")))
    assert (
        "[egress-rule/shop/r000 egress-rule/shop/r001 egress-rule/shop/r002 egress-rule/shop/r003 egress-rule/shop/r004 and 95 more]"
        in problem.message
    )


def verified(host, file="", port="443/HTTP", **fields):
    return exitway(to(host, port, originateTLS=True, **({"caFile": file} if file else {})), **fields)


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        (verified("a.example", "/one"), verified("a.example", "/one"), True),
        (verified("a.example", "/one"), verified("a.example", "/two"), False),
        (verified("a.example"), verified("a.example", "/two"), False),
        (istio("a.example", "443/https"), verified("a.example", "/two"), False),
        (verified("*.example", "/one"), verified("a.example", "/two"), False),
        (verified("a.b.example", "/one"), verified("*.example", "/two"), False),
        (verified("*.b.example", "/one"), verified("*.example", "/two"), False),
        (verified("*.b.example", "/one"), verified("*.a.example", "/two"), True),
        (verified("*.b.example", "/one"), verified("b.example", "/two"), True),
        (verified("a.example", "/one"), verified("a.example", "/two", "8443/HTTP"), True),
        (verified("a.example", "/one"), exitway(to("a.example", "443/TLS")), True),
        (verified("a.example", "/one"), verified("a.example", "/two", namespace="billing"), True),
        (verified("a.example", "/one"), verified("a.example", "/two", namespace=SYSTEM_NAMESPACE), False),
        (
            verified("a.example", "/one", workloadSelector={"matchLabels": {"app": "one", "tier": "x"}}),
            verified("a.example", "/two", workloadSelector={"matchLabels": {"app": "two"}}),
            True,
        ),
        (
            verified("a.example", "/one", workloadSelector={"matchLabels": {"app": "one"}}),
            verified("a.example", "/two", workloadSelector={"matchLabels": {"tier": "x"}}),
            False,
        ),
    ],
)
def test_two_rules_verify_a_server_alike(first, second, agree):
    for one, other in ((first, second), (second, first)):
        said = added_one_by_one(one | {"metadata": one["metadata"] | {"name": "one"}}, other)
        assert [code for code, _, _ in said[1]] == ([] if agree else ["EXW0403"])


@pytest.mark.parametrize(
    ("clear_text", "agree"),
    [
        (exitway(to("a.example", "443/HTTP")), False),
        (exitway(to("a.example", "443/GRPC", methods=["POST"])), False),
        (exitway(to("a.example", "443/HTTP", direct=True)), False),
        (exitway(to("*.example", "443/HTTP"), namespace=SYSTEM_NAMESPACE), False),
        (istio("a.example", "443/http"), False),
        (exitway(to("a.example", "80/HTTP")), True),
        (exitway(to("b.example", "443/HTTP")), True),
        (exitway(to("a.example", "443/TLS")), True),
        (exitway(to("a.example", "443/HTTP"), action="DENY"), True),
        (exitway(to("a.example", "443/HTTP"), namespace="billing"), True),
        (exitway(to("a.example", "443/HTTP"), workloadSelector={"matchLabels": {"app": "one"}}), False),
    ],
)
def test_two_rules_say_the_same_of_who_speaks_tls(clear_text, agree):
    for one, other in ((verified("a.example"), clear_text), (clear_text, verified("a.example"))):
        said = added_one_by_one(one | {"metadata": one["metadata"] | {"name": "one"}}, other)
        assert [code for code, _, _ in said[1]] == ([] if agree else ["EXW0404"])


def test_rules_that_leave_clear_text_may_be_followed_by_tls():
    over_tls, clear_text = read(verified("a.example", name="one")), read(exitway(to("a.example", "443/HTTP")))
    registry = Registry().changed([clear_text], revision=1)
    (problem,) = conflicts(registry, over_tls)
    message = "requests to a.example at port 443 go on over TLS, and by egress-rule/shop/rule in clear text"
    assert problem.message == message
    assert not conflicts(registry, read(verified("a.example")))
    registry = registry.changed([read(exitway(to("a.example", "80/HTTP")))], revision=2)
    assert not conflicts(registry, over_tls)


def test_a_rule_does_not_contradict_its_former_self_and_may_contradict_itself():
    former, later = read(verified("a.example", "/one")), read(verified("a.example", "/two"))
    registry = Registry().changed([former], revision=1)
    assert not conflicts(registry, later)
    assert not conflicts(registry.changed([later], revision=2), later)
    targets = [to("a.example", "443/HTTP", originateTLS=True, caFile=file) for file in ("/one", "/two")]
    torn = read(exitway(*targets))
    message = "servers of a.example at port 443 are verified by /one, and in egress-rule/shop/rule by /two"
    assert message in [problem.message for problem in conflicts(registry.changed([torn], revision=2), torn)]
    gone = registry.changed(deleted=[former.key], revision=2)
    assert not conflicts(gone, read(verified("a.example", "/two", name="other")))
