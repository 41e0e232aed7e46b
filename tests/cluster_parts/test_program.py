"""What each group of pods is to have, and whom a change concerns."""

import random
from datetime import UTC, datetime

import pytest

from exitway.cluster.pods import Pod
from exitway.cluster.program import Program, sidecar_proxy
from exitway.envoy.api import LISTENER, ROUTE_CONFIGURATION, decode
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.policy.compile import compile_policy
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from tests.rules import rule

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name, namespace="shop", node="", **labels):
    return Pod(f"uid-{name}", namespace, name, labels, node)


def selecting(name, host, namespace="shop", **labels):
    wire = rule(name, host, port=80, protocol="HTTP", namespace=namespace)
    wire["spec"]["workloadSelector"] = {"matchLabels": labels}
    return wire


class Cluster:
    """Rules and pods, one after the other. ``concerned``: the namespaces that the last change was for."""

    def __init__(self):
        self.program = Program(sidecar_proxy("198.19.0.10:5354", 1, 404))
        self.registry = Registry()
        self.concerned = set()

    def create(self, *wires, now=NOW):
        self._follow([read(wire) for wire in wires], [], now)

    def delete(self, wire):
        self._follow([], [read(wire).key], NOW)

    def _follow(self, put, gone, now):
        self.registry = self.registry.changed(put, gone, revision=self.registry.revision + 1)
        touched = {one.key.namespace for one in put} | {key.namespace for key in gone}
        self.concerned = self.program.follow(self.registry, touched, now)

    def start(self, *pods):
        self.concerned = self.program.put(pods, [], NOW)

    def end(self, *pods):
        self.concerned = self.program.put([], [one.uid for one in pods], NOW)

    def snapshot(self, pod):
        return dict(self.program.snapshots(pod.namespace))[self.program.group_of(pod.uid) or ""]

    def hosts(self, pod):
        routes = self.snapshot(pod).named(ROUTE_CONFIGURATION)["http"].json
        return {name for host in routes["virtual_hosts"] for name in host["domains"]} - {"*"}


@pytest.fixture
def cluster():
    return Cluster()


def test_pods_that_no_rule_tells_apart_share_a_snapshot(cluster):
    one, two, db = pod("one", app="web", version="1"), pod("two", app="web", version="2"), pod("db", app="db")
    cluster.create(rule("all", "all.example", namespace="shop"))
    cluster.start(one, two, db)
    assert cluster.snapshot(one) is cluster.snapshot(two) is cluster.snapshot(db)
    cluster.create(selecting("web", "web.example", app="web"))
    assert cluster.snapshot(one) is cluster.snapshot(two)
    assert cluster.hosts(one) == {"all.example", "web.example"}
    assert cluster.hosts(db) == {"all.example"}


def test_a_change_concerns_the_namespace_of_its_rule_and_rules_of_the_system_all(cluster):
    pods = [pod(name, namespace=name) for name in ("a", "b", "c")]
    cluster.start(*pods)
    before = {one.name: cluster.snapshot(one) for one in pods}
    cluster.create(rule("r", namespace="b"), rule("other", namespace="elsewhere"))
    assert cluster.concerned == {"b"}
    assert cluster.snapshot(pods[0]) is before["a"]
    assert cluster.snapshot(pods[1]) is not before["b"]
    cluster.create(rule("r", namespace=SYSTEM_NAMESPACE))
    assert cluster.concerned == {"a", "b", "c"}


def test_what_a_change_does_not_touch_stays_the_same_object(cluster):
    one = pod("one")
    cluster.start(one)
    cluster.create(selecting("first", "first.example"))
    before = cluster.snapshot(one)
    cluster.create(selecting("second", "second.example"))
    after = cluster.snapshot(one)
    assert after.named(LISTENER)["out/pod"] is before.named(LISTENER)["out/pod"]
    assert after.named(ROUTE_CONFIGURATION)["http"] is not before.named(ROUTE_CONFIGURATION)["http"]
    cluster.create(selecting("again", "second.example"))
    assert cluster.snapshot(one) is after


def test_a_label_moves_a_pod_to_another_group_and_the_last_pod_takes_its_namespace_along(cluster):
    one = pod("one", app="web")
    cluster.create(selecting("web", "web.example", app="web"))
    cluster.start(one)
    assert cluster.hosts(one) == {"web.example"}
    cluster.start(pod("one", app="db"))
    assert cluster.hosts(one) == set()
    cluster.end(one)
    assert cluster.program.group_of(one.uid) is None
    assert list(cluster.program.snapshots("shop")) == []


def test_expiry_is_seen_by_the_clock(cluster):
    one = pod("one")
    brief = selecting("brief", "brief.example")
    brief["spec"]["expires"] = "2026-01-01T00:00:10Z"
    cluster.start(one)
    cluster.create(brief)
    assert cluster.program.due(NOW) == set()
    assert cluster.program.due(NOW.replace(second=11)) == {"shop"}
    assert cluster.hosts(one) == set()


def test_nothing_depends_on_the_order_of_events(cluster):
    rules = [selecting(f"r{i}", f"h{i % 7}.example", app=f"a{i % 3}") for i in range(20)]
    rules += [rule(f"t{i}", f"db{i}.example", port=3306, protocol="TCP", namespace="shop") for i in range(5)]
    pods = [pod(f"p{i}", app=f"a{i % 4}") for i in range(8)]
    cluster.create(*rules)
    cluster.start(*pods)
    for seed in range(5):
        other, chance = Cluster(), random.Random(seed)
        events = [("create", one) for one in rules] + [("start", one) for one in pods]
        chance.shuffle(events)
        other.create(rule("gone", "gone.example", port=3306, protocol="TCP", namespace="shop"))
        for verb, what in events:
            getattr(other, verb)(what)
        other.delete(rule("gone", namespace="shop"))
        for one in pods:
            assert other.snapshot(one).revision == cluster.snapshot(one).revision


def test_a_pod_of_a_node_has_no_snapshot_here_but_rules_concern_its_node(cluster):
    cluster.start(pod("one", node="n1", app="web"), pod("two", node="n2", app="db"))
    wire = selecting("web", "web.example", app="web")
    cluster.create(wire)
    assert list(cluster.program.snapshots("shop")) == []
    assert [set(group.nodes) for group in cluster.program.concerned(read(wire))] == [{"n1"}]
    assert cluster.program.nodes("shop") == {"n1", "n2"}


def test_a_tcp_rule_is_enforced_by_the_address_of_its_name(cluster):
    one = pod("one")
    cluster.start(one)
    cluster.create(rule("db", "db.example", port=3306, protocol="TCP", namespace="shop"))
    listener = cluster.snapshot(one).named(LISTENER)["out/pod"]
    ((_, port),) = decode(LISTENER, listener.data)["filter_chain_matcher"]["matcher_tree"]["exact_match_map"][
        "map"
    ].items()
    assert "tcp-name" in str(port)
    assert "241." in str(port)


def test_what_cannot_be_worked_out_denies_to_its_own_pods_and_stops_nobody(cluster, monkeypatch, caplog):
    web, db = pod("web", app="web"), pod("db", app="db")
    cluster.start(web, db)
    right = compile_policy

    def broken(intents, workload, now, **options):
        if any(intent.key.name == "bad" for intent in intents):
            raise KeyError("bad")
        return right(intents, workload, now, **options)

    monkeypatch.setattr("exitway.cluster.compiler.compile_policy", broken)
    cluster.create(selecting("web", "web.example", app="web"), selecting("db", "db.example", app="db"))
    bad = selecting("bad", "bad.example", app="web")
    cluster.create(bad)
    assert cluster.hosts(web) == set()
    assert cluster.hosts(db) == {"db.example"}
    assert ["KeyError" in cluster.program.fault(group) for group in cluster.program.concerned(read(bad))] == [True]
    cluster.delete(bad)
    assert cluster.hosts(web) == {"web.example"}
    assert not any(cluster.program.fault(group) for group in cluster.program.concerned(read(bad)))


def test_what_the_same_rules_mean_is_worked_out_once_for_all_namespaces_and_for_pods_that_come_later(
    cluster, monkeypatch
):
    worked_out = []

    def counted(intents, *arguments, **options):
        worked_out.append(intents)
        return compile_policy(intents, *arguments, **options)

    monkeypatch.setattr("exitway.cluster.compiler.compile_policy", counted)
    pods = [pod(f"in-{i}", namespace=f"ns{i}", app=str(i)) for i in range(50)]
    cluster.start(*pods)
    worked_out.clear()
    cluster.create(rule("everywhere", port=80, protocol="HTTP", namespace=SYSTEM_NAMESPACE))
    assert len(worked_out) == 1
    assert len({cluster.snapshot(one).revision for one in pods}) == 1
    cluster.start(pod("late", namespace="ns7"), pod("first", namespace="new"))
    assert len(worked_out) == 1
    cluster.create(selecting("own", "own.example", namespace="ns7"))
    assert len(worked_out) == 2
    assert cluster.hosts(pods[7]) == {"api.example", "own.example"}
    assert cluster.hosts(pods[8]) == {"api.example"}
