"""How many proxies have a rule in force: counted by what each has acknowledged, at the revision that the rule is of."""

import asyncio

import pytest

from exitway.cluster.counts import Count
from exitway.cluster.pods import Pod
from exitway.cluster.program import Program, sidecar_proxy
from exitway.cluster.publisher import Publisher
from exitway.envoy.api import CLUSTER, LISTENER, ROUTE_CONFIGURATION
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from exitway.xds.proxies import Peer, Proxies
from exitway.xds.stream import RULES, Request
from tests.rules import rule


class Proxy:
    """What is at the other end of a stream, without the wire."""

    def __init__(self, proxies, peer, *subscriptions):
        self.proxies, self.connection = proxies, proxies.join(peer)
        for subscription in subscriptions:
            self.say(subscription)

    def say(self, request):
        self.connection.stream.receive(request)
        self.proxies.heard(self.connection)

    def answer(self, error=""):
        """Answer all that is said; returns the types."""
        said = []
        while response := self.connection.stream.next():
            said.append(response)
        for response in said:
            self.say(Request(response.type_url, nonce=response.nonce, error=error))
        return [response.type_url for response in said]


class Replica:
    def __init__(self):
        self.program = Program(sidecar_proxy("198.19.0.10:5354", 1, 404))
        self.proxies = Proxies()
        self.publisher = Publisher(self.program, self.proxies)
        self.registry = Registry()

    def start(self, name, namespace="shop", node="", **labels):
        self.publisher.pods([Pod(name, namespace, name, labels, node)], [])

    def sidecar(self, name):
        asked = Request(CLUSTER), Request(LISTENER), Request(ROUTE_CONFIGURATION, frozenset({"http"}))
        return Proxy(self.proxies, Peer(name, self.program.group_of(name) or ""), *asked)

    def agent(self, node):
        return Proxy(self.proxies, Peer(f"agent-{node}", self.publisher.node(node)), Request(RULES))

    def create(self, name, namespace="shop", **labels):
        wire = rule(name, f"{name}.example", port=80, protocol="HTTP", namespace=namespace)
        if labels:
            wire["spec"]["workloadSelector"] = {"matchLabels": labels}
        made = read(wire)
        self.registry = self.registry.changed([made], revision=self.registry.revision + 1)
        self.publisher.follow(self.registry, {namespace}, {"exitway.dev": str(self.registry.revision)})
        return made, self.registry.revision

    def count(self, made):
        return self.publisher.count(*made)


@pytest.fixture
def replica():
    return Replica()


def test_a_rule_is_in_force_where_it_was_acknowledged(replica):
    replica.start("web", app="web")
    replica.start("db", app="db")
    web, db = replica.sidecar("web"), replica.sidecar("db")
    assert web.answer() == [LISTENER, ROUTE_CONFIGURATION, CLUSTER]
    db.answer()
    everyone, for_web = replica.create("all"), replica.create("web", app="web")
    assert (replica.count(everyone), replica.count(for_web)) == (Count(2, 0), Count(1, 0))
    assert web.answer() == [ROUTE_CONFIGURATION]
    assert (replica.count(everyone), replica.count(for_web)) == (Count(2, 1), Count(1, 1))
    db.answer()
    assert replica.count(everyone) == Count(2, 2)


def test_a_newer_change_that_waits_does_not_undo_what_was_acknowledged(replica):
    replica.start("web")
    web = replica.sidecar("web")
    web.answer()
    first = replica.create("first")
    web.answer()
    second = replica.create("second")
    assert (replica.count(first), replica.count(second)) == (Count(1, 1), Count(1, 0))


def test_what_changes_nothing_for_a_proxy_it_has_at_once(replica):
    replica.start("web")
    web = replica.sidecar("web")
    web.answer()
    replica.create("same")
    web.answer()
    again, _ = replica.create("same")
    assert web.answer() == []
    assert replica.publisher.count(again, 2) == Count(1, 1)


def test_a_refusal_says_which_pod_and_why_until_something_else_is_taken(replica):
    replica.start("web")
    web = replica.sidecar("web")
    web.answer()
    bad = replica.create("bad")
    web.answer(error="no such cluster")
    assert replica.count(bad) == Count(1, 0, ("pod shop/web: no such cluster",))
    good = replica.create("good")
    web.answer()
    assert (replica.count(bad), replica.count(good)) == (Count(1, 1), Count(1, 1))


def test_of_a_rule_that_is_not_yet_worked_out_nobody_has_anything(replica):
    made, revision = replica.create("rule")
    assert replica.publisher.count(made, revision) == Count(0, 0)
    assert replica.publisher.count(made, revision + 1) == Count(1, 0)


def test_an_agent_is_the_proxy_of_its_node_for_rules_that_concern_pods_there(replica):
    replica.start("web", node="n1", app="web")
    replica.start("db", node="n2", app="db")
    one, two = replica.agent("n1"), replica.agent("n2")
    for agent in (one, two):
        assert agent.answer() == [RULES]
    made = replica.create("web", app="web")
    assert replica.count(made) == Count(1, 0)
    assert one.answer() == [RULES]
    assert replica.count(made) == Count(1, 1)
    elsewhere = replica.create("other", namespace="elsewhere")
    assert one.answer() == []
    assert replica.count(elsewhere) == Count(0, 0)


def test_who_waits_is_woken_when_a_count_may_be_another(replica):
    async def scene():
        replica.start("web")
        web = replica.sidecar("web")
        await replica.publisher.moved()
        web.answer()
        await replica.publisher.moved()
        replica.proxies.gone(web.connection)
        await replica.publisher.moved()

    asyncio.run(asyncio.wait_for(scene(), 5))


def test_a_pod_that_is_gone_is_told_that_there_is_nothing_for_it(replica):
    replica.start("web")
    web = replica.sidecar("web")
    web.answer()
    replica.publisher.pods([], ["web"])
    assert web.connection.over
    assert [response.removed for response in iter(web.connection.stream.next, None)] == [("http",), ("out/pod",)]


def test_a_pod_that_is_gone_is_told_of_no_later_change_and_has_none_in_force(replica):
    for name in ("web", "other"):
        replica.start(name)
    web, other = replica.sidecar("web"), replica.sidecar("other")
    assert web.answer() == other.answer()
    replica.publisher.pods([], ["web"])
    late = replica.create("late")
    assert [response.changed for response in iter(web.connection.stream.next, None)] == [(), ()]
    assert other.answer() == [ROUTE_CONFIGURATION]
    assert replica.count(late) == Count(2, 1)
    replica.proxies.gone(web.connection)
    assert replica.count(late) == Count(1, 1)


def test_the_time_from_a_change_of_the_rules_to_each_acknowledgement_is_told(replica):
    seconds: list[float] = []
    replica.proxies.propagated = seconds.append
    replica.start("a")
    replica.start("b")
    one, other = replica.sidecar("a"), replica.sidecar("b")
    one.answer()
    other.answer()
    assert seconds == []  # what a proxy is told when it comes is no change
    replica.create("first")
    one.answer()
    assert len(seconds) == 1
    assert replica.proxies.standing_of_all() == {"current": 1, "behind": 1, "refused": 0}
    other.answer(error="no")
    assert (len(seconds), replica.proxies.standing_of_all()["refused"]) == (1, 1)
    assert replica.proxies.refusals >= 1
    replica.create("second")
    one.answer()
    other.answer()
    assert len(seconds) == 3
    assert 0 < max(seconds) < 60
