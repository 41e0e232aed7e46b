"""A part dies, or does not answer: nothing leaks, nothing that was allowed stops, and what comes later finds the last good rules."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from exitway.names.cluster import Placement
from tests.cluster import node
from tests.cluster.cluster import HTTP, Namespace, Pod, container, kubectl, until
from tests.cluster.following import connected, path
from tests.cluster.outside import Seen

ALLOWED, DENIED, LATER = "a.lab.test", "b.lab.test", "c.lab.test"
FLOOD = int(os.environ.get("FLOOD", "1000"))  # FLOOD=5000 has passed, too: four minutes more
LOAD = """
import http.client, sys, threading, time
def ask(name):
    while True:
        try:
            connection = http.client.HTTPConnection(name, timeout=10)
            connection.request("GET", "/")
            said = connection.getresponse().status
            connection.close()
        except OSError as error:
            said = type(error).__name__
        sys.stdout.write(f"{name} {said}\\n")  # at once: threads share it
        time.sleep(0.1)
for name in sys.argv[1:]:
    threading.Thread(target=ask, args=[name]).start()
"""


@dataclass
class Load:
    """A pod that goes on asking for what it may and for what it may not, each time by a new connection."""

    pod: Pod
    start: int = 0

    def answers(self) -> dict[str, Counter[str]]:
        """What it was told since the test began, and how often."""
        found: dict[str, Counter[str]] = {ALLOWED: Counter(), DENIED: Counter()}
        for line in node.log(self.pod)[self.start :]:
            name, _, said = line.partition(" ")
            found[name][said] += 1
        return found

    def steady(self) -> None:
        """Nothing has changed for it, and it goes on."""
        before = self.answers()
        until(lambda: all(self.answers()[name].total() > before[name].total() + 5 for name in before))
        assert {name: set(said) for name, said in self.answers().items()} == {ALLOWED: {"200"}, DENIED: {"404"}}


@pytest.fixture(scope="module")
def loading(namespace: Namespace) -> Pod:
    namespace.rule("allowed", to={"hosts": [ALLOWED], "ports": HTTP})
    return namespace.pod("load", containers=[container("python3", "-u", "-c", LOAD, ALLOWED, DENIED)])


@pytest.fixture
def load(loading: Pod, outside: Seen) -> Iterator[Load]:
    """The load; when the test is over, nothing has reached what is denied."""
    until(lambda: any(ALLOWED in line for line in node.log(loading)))
    load = Load(loading, len(node.log(loading)))
    load.steady()
    yield load
    node.answers()
    assert {ALLOWED} <= {fact["host"] for fact in outside.requests()} <= {ALLOWED, LATER}
    assert {fact["name"] for fact in outside.connections()} <= {ALLOWED, LATER}
    ready()


def ready() -> None:
    for kind in ("deployment/exitway", "deployment/exitway-dns", "daemonset/exitway-node"):
        Namespace("exitway-system").rollout(kind)


def replicas(app: str) -> list[Pod]:
    found = kubectl("get", "pods", "-n", "exitway-system", "-o", "name")
    return [
        Pod("exitway-system", name)
        for name in found.replace("pod/", "").split()
        if name.rpartition("-")[0].startswith(app)
    ]


def delete(*pods: Pod) -> None:
    for pod in pods:
        kubectl("delete", "pod", "-n", pod.namespace, pod.name, "--force", "--grace-period=0")


def one_replica() -> None:
    delete(controllers()[0])


def all_replicas() -> None:
    delete(*controllers())


def controllers() -> list[Pod]:
    return [pod for pod in replicas("exitway") if not pod.name.startswith(("exitway-dns", "exitway-node"))]


def one_resolver() -> None:
    delete(replicas("exitway-dns")[0])


def etcd() -> None:
    node.kill(node.part("etcd"))


def api_server() -> None:
    node.kill(node.part("kube-apiserver"))


def kubelet() -> None:
    node.kill(node.part("kubelet"))


def agent() -> None:
    agents = replicas("exitway-node")
    assert agents
    for pod in agents:
        for pid in node.of_pod(pod, "exitway.cluster.node"):
            node.kill(pid)


def agents_pod() -> None:
    before = replicas("exitway-node")
    delete(*before)
    for new in until(lambda: set(replicas("exitway-node")) - set(before)):
        new.wait()


FAULTS = (one_replica, all_replicas, one_resolver, etcd, api_server, kubelet, agent)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_nothing_that_was_allowed_stops(fault: Callable[[], None], load: Load) -> None:
    node.during(fault, 3)
    node.answers()
    load.steady()


def test_nothing_that_was_allowed_stops_while_the_api_server_does_not_answer(load: Load) -> None:
    with node.held(node.part("kube-apiserver")):
        time.sleep(60)
        load.steady()
    node.answers()
    node.afresh()
    # By now the node may count as lost. Its pods are then taken out of every Service until it is heard of, and the resolver's is one.
    kubectl("wait", "--for=condition=Ready", "node", "--all")
    ready()
    load.start = len(node.log(load.pod))
    load.steady()


@pytest.mark.parametrize("fault", [agents_pod])
def test_nothing_leaks(fault: Callable[[], None], load: Load) -> None:
    node.during(fault, 3)
    ready()
    load.start = until(lambda: len(node.log(load.pod)))
    load.steady()


def test_envoy_is_started_again(placement: Placement, load: Load) -> None:
    at = load.pod if placement is Placement.SIDECAR else replicas("exitway-node")[0]
    for pid in node.of_pod(at, "envoy"):
        node.kill(pid)
    load.start = len(node.log(load.pod)) + 2  # one of each may have been under way
    until(lambda: set(node.log(load.pod)[load.start :][-4:]) == {f"{ALLOWED} 200", f"{DENIED} 404"}, 60)
    load.start = len(node.log(load.pod))
    load.steady()


def test_rules_that_come_while_the_api_is_away_hold_afterwards(namespace: Namespace, load: Load) -> None:
    node.kill(node.part("kube-apiserver"))
    node.answers()
    namespace.rule("later", to={"hosts": [LATER], "ports": HTTP})
    assert load.pod.curl(f"http://{LATER}/")[0] == 200
    load.steady()


def test_a_flood_of_rules_stops_and_opens_nothing(namespace: Namespace, load: Load) -> None:
    asyncio.run(flood(namespace.name))
    load.steady()
    last = f"egressrules.exitway.dev/flood-{FLOOD - 1}"
    namespace.kubectl("wait", "--for=condition=Programmed", last, "--timeout=120s")
    namespace.rule("patient", to={"hosts": [LATER], "ports": HTTP})  # a person does not wait for the flood
    assert load.pod.curl(f"http://{LATER}/")[0] == 200
    load.steady()


async def flood(namespace: str) -> None:
    """As many rules as the API server takes, 16 at a time."""
    async with connected() as kube:
        numbers = iter(range(FLOOD))

        async def create() -> None:
            for number in numbers:
                metadata = {"name": f"flood-{number}", "namespace": namespace}
                to = [{"hosts": [f"host-{number}.flood.test"], "ports": HTTP}]
                rule = {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": metadata, "spec": {"to": to}}
                await kube.request("POST", path(namespace), rule)

        await asyncio.gather(*(create() for _ in range(16)))


def test_no_pod_is_made_without_the_webhook(namespace: Namespace, elsewhere: Namespace, load: Load) -> None:
    kubectl("scale", "-n", "exitway-system", "deployment/exitway", "--replicas=0")
    try:
        until(lambda: not controllers(), 120)  # who scales has just lost the API server, too
        spec = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late"}, "spec": {"containers": [container()]}}
        with pytest.raises(AssertionError, match="webhook"):
            namespace.apply(spec)
        elsewhere.pod("late")  # others are not concerned
    finally:
        kubectl("scale", "-n", "exitway-system", "deployment/exitway", "--replicas=2")
    load.steady()
