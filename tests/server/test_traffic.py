"""What is counted, and that nothing which a program says makes more series."""

from hypothesis import given
from hypothesis import strategies as st

from exitway.flows.flow import Flow
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key
from exitway.server.traffic import OTHER, Traffic

RULE = Key("egress-rule", "shop", "stripe", "exitway.dev")
ALLOW = Decision(Verdict.ALLOW, Reason.RULE, RULE)


def flow(decision=ALLOW, protocol="HTTP/1.1", name="a.test", workload="shop/cart-1", *, audit=False):
    return Flow("2027-01-01T00:00:00Z", workload, name, "240.240.0.1", 80, protocol, decision, audit=audit)


def test_requests_connections_and_bytes_are_told_apart():
    traffic = Traffic()
    traffic.counted(flow(), 3, 100, 2000)
    traffic.counted(flow(name="b.test", workload="shop/cart-2"), 1, 1, 1)
    traffic.counted(flow(protocol="TLS"), 1, 10, 20)
    traffic.counted(flow(Decision(Verdict.DENY, Reason.NO_RULE)))
    traffic.counted(flow(Decision(Verdict.DENY, Reason.NO_RULE), audit=True))
    said = {labels: (one.requests, one.connections, one.sent, one.received) for labels, one in traffic.totals()}
    assert said == {
        ("shop", "shop/stripe", "allow", "rule"): (4, 1, 111, 2021),
        ("shop", "", "deny", "no-rule"): (1, 0, 0, 0),
        ("shop", "", "audit", "no-rule"): (1, 0, 0, 0),
    }


words = st.text("abcdefgh", min_size=1, max_size=3)
decisions = st.builds(
    Decision, st.sampled_from(Verdict), st.sampled_from(Reason), st.none() | st.builds(Key, words, words, words)
)
flows = st.builds(
    flow, decisions, st.sampled_from(["HTTP/2", "TLS", "UDP"]), st.text(), st.builds("{}/{}".format, words, words)
)


@given(st.lists(st.tuples(flows, st.integers(1, 1000)), max_size=300))
def test_whatever_comes_the_series_are_few_and_nothing_is_lost(seen):
    traffic = Traffic(namespaces=5, rules=10)
    for one, count in seen:
        traffic.counted(one, count, count, count)
    found = list(traffic.totals())
    assert len({(namespace, rule) for (namespace, rule, _, _), _ in found if rule not in ("", OTHER)}) <= 10
    assert len({namespace for (namespace, *_), _ in found}) <= 5 + 1
    assert sum(one.requests + one.connections for _, one in found) == sum(count for _, count in seen)
    assert sum(one.sent for _, one in found) == sum(count for _, count in seen)


def test_a_flood_of_namespaces_rules_and_names_makes_a_bounded_page():
    traffic = Traffic()
    for number in range(30_000):
        because = Key("egress-rule", f"n{number}", f"r{number}")
        traffic.counted(
            flow(Decision(Verdict.ALLOW, Reason.RULE, because), name=f"{number}.test", workload=f"n{number}/w")
        )
    found = dict(traffic.totals())
    assert len(found) == 1000 + 1
    assert found[OTHER, OTHER, "allow", "rule"].requests == 30_000 - 1000
