"""What is counted, and that nothing which a program says makes more series."""

from hypothesis import given
from hypothesis import strategies as st

from exitway.flows.flow import Flow, Repeats
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key
from exitway.server.traffic import OTHER, Traffic

RULE = Key("egress-rule", "shop", "stripe", "exitway.dev")
ALLOW, NO_RULE = Decision(Verdict.ALLOW, Reason.RULE, RULE), Decision(Verdict.DENY, Reason.NO_RULE)


def flow(decision=ALLOW, protocol="HTTP/1.1", name="a.test", workload="shop/cart-1", **more):
    return Flow("2027-01-01T00:00:00Z", workload, name, "240.240.0.1", 80, protocol, decision, **more)


def counted(traffic):
    return {labels: (one.requests, one.connections, one.sent, one.received) for labels, one in traffic.totals()}


def test_requests_connections_and_bytes_are_told_apart():
    traffic = Traffic()
    first = flow(count=3, sent=100, received=2000, id=1)
    others = [
        flow(name="b.test", workload="shop/cart-2", sent=1, received=1, id=2),
        flow(protocol="TLS", sent=10, received=20, id=3),
        flow(NO_RULE, id=4),
        flow(NO_RULE, audit=True, id=5),
    ]
    traffic.wrote([first, *others], [])
    traffic.wrote([], [Repeats(3, 7, 70, 140, ""), Repeats(4, 2, 0, 0, "")])
    assert counted(traffic) == {
        ("shop", "egress-rule/shop/stripe", "allow", "rule"): (4, 8, 181, 2161),
        ("shop", "", "deny", "no-rule"): (3, 0, 0, 0),
        ("shop", "", "audit", "no-rule"): (1, 0, 0, 0),
    }


def test_repeats_of_what_was_told_before_we_started_are_counted_where_it_was():
    before = {9: flow(protocol="TLS", id=9)}
    traffic = Traffic(before.get)
    traffic.wrote([], [Repeats(9, 5, 50, 500, ""), Repeats(8, 1, 1, 1, "")])
    assert counted(traffic) == {
        ("shop", "egress-rule/shop/stripe", "allow", "rule"): (0, 5, 50, 500),
        (OTHER, OTHER, "allow", "rule"): (0, 1, 1, 1),
    }


words = st.text("abcdefgh", min_size=1, max_size=3)
decisions = st.builds(
    Decision, st.sampled_from(Verdict), st.sampled_from(Reason), st.none() | st.builds(Key, words, words, words)
)
workloads = st.builds("{}/{}".format, words, words)
numbers = st.integers(1, 1000)
flows = st.builds(
    flow, decisions, st.sampled_from(["HTTP/2", "TLS", "UDP"]), st.text(), workloads,
    count=numbers, sent=numbers, id=st.integers(1, 50),
)  # fmt: skip
repeats = st.builds(Repeats, st.integers(1, 50), numbers, numbers, numbers, st.just(""))


@given(st.lists(flows, max_size=300), st.lists(repeats, max_size=100))
def test_whatever_comes_the_series_are_few_and_nothing_is_lost(seen, again):
    traffic = Traffic(namespaces=5, rules=10, uses=7)
    traffic.wrote(seen, again)
    found = list(traffic.totals())
    assert len({(namespace, rule) for (namespace, rule, _, _), _ in found if rule not in ("", OTHER)}) <= 10
    assert len({namespace for (namespace, *_), _ in found}) <= 5 + 1
    assert sum(one.requests + one.connections for _, one in found) == sum(one.count for one in (*seen, *again))
    assert sum(one.sent for _, one in found) == sum(one.sent for one in (*seen, *again))


def test_a_flood_of_namespaces_rules_and_names_makes_a_bounded_page():
    traffic = Traffic()
    for number in range(30_000):
        because = Key("egress-rule", f"n{number}", f"r{number}")
        one = flow(
            Decision(Verdict.ALLOW, Reason.RULE, because), name=f"{number}.test", workload=f"n{number}/w", id=number
        )
        traffic.wrote([one], [])
    found = dict(traffic.totals())
    assert len(found) == 1000 + 1
    assert found[OTHER, OTHER, "allow", "rule"].requests == 30_000 - 1000
