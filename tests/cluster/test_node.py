"""The node placement: a pod under the `restricted` standard runs nothing before it is captured, and stays so whatever becomes of the agent."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from exitway.names.cluster import PLACEMENT, UNSAFE, UNSAFE_PODS, Placement
from tests.cluster.cluster import HTTP, Json, Namespace, Pod, container, kubectl, new_namespace, until
from tests.cluster.outside import Outside, Seen

ALLOWED, DENIED = "http://www.google.com/", "http://www.wikipedia.org/"
RESTRICTED: Json = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
}
NO_PRIVILEGE: Json = {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}

_CODE = "curl -s -m 5 -o /dev/null -w '%{http_code}'"
ASKING = ("sh", "-c", f"while :; do echo $({_CODE} {ALLOWED}) $({_CODE} {DENIED}); sleep 0.05; done")
"""Asks for what a rule allows and for what none does, time and again."""
EAGER = ("sh", "-c", f"while :; do echo $({_CODE} http://198.51.100.7/); sleep 0.1; done")
"""Asks from its very first moment, for what no rule allows."""


class Agent:
    """The agent of the one node."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def status(self) -> Json:
        found: Json = json.loads(self._execute("exitway", "status", "-o", "json"))
        return found

    def kill(self, pid: int) -> None:
        self._execute("sh", "-c", f"kill -9 {pid}")

    @contextmanager
    def away(self) -> Iterator[None]:
        """No agent on the node, as long as the block."""
        self._select({"nowhere": "here"})
        until(lambda: not self._pods())
        try:
            yield
        finally:
            self._select({"nowhere": None})
            kubectl("-n", self._namespace, "rollout", "status", "daemonset/exitway-node", "--timeout=60s")

    def _select(self, labels: Json) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": labels}}}}
        kubectl("-n", self._namespace, "patch", "daemonset", "exitway-node", "-p", json.dumps(patch))

    def _pods(self) -> list[str]:
        chosen = "-l", "app.kubernetes.io/component=node"
        return kubectl("-n", self._namespace, "get", "pods", *chosen, "-o", "name").split()

    def _execute(self, *command: object) -> str:
        return kubectl("-n", self._namespace, "exec", "daemonset/exitway-node", "-c", "agent", "--", *command)


class Answers:
    """What a pod of :data:`ASKING` has got since we began to listen, in pairs: for what is allowed, and for what is not."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._began = len(pod.logs().split("\n"))

    def get(self) -> list[str]:
        return self._pod.logs().split("\n")[self._began : -1]

    def more(self) -> list[str]:
        """All of them, and some more that it gets from now on."""
        count = len(self.get())
        return until(lambda: self.get()[count + 3 :] and self.get())


@pytest.fixture(scope="module")
def agent(installed: str) -> Agent:
    return Agent(installed)


@pytest.fixture(scope="module")
def restricted(installed: str, client: str) -> Iterator[Namespace]:
    """A namespace of the node placement, under the strictest Pod Security Standard."""
    labels = {PLACEMENT: Placement.NODE, "pod-security.kubernetes.io/enforce": "restricted"}
    with new_namespace(labels) as made:
        made.rule("google", to={"hosts": ["www.google.com"], "ports": HTTP})
        yield made


@pytest.fixture(scope="module")
def lenient(installed: str, client: str) -> Iterator[Namespace]:
    """One in which a pod may have what it likes."""
    with new_namespace({PLACEMENT: Placement.NODE, UNSAFE_PODS: "allowed"}) as made:
        yield made


def run(namespace: Namespace, name: str, *command: str, wait: bool = True) -> Pod:
    return namespace.pod(name, wait=wait, containers=[container(*command, **NO_PRIVILEGE)], **RESTRICTED)


@pytest.fixture(scope="module")
def pod(restricted: Namespace, agent: Agent) -> Pod:
    found = run(restricted, "client", *ASKING)
    until(lambda: Answers(found).more()[-1] == "200 404")
    return found


def test_nothing_runs_before_it_is_captured(restricted: Namespace, agent: Agent, outside: Seen) -> None:
    with ThreadPoolExecutor() as crowd:
        pods = list(crowd.map(lambda number: run(restricted, f"eager-{number}", *EAGER), range(5)))
    for pod in pods:
        until(lambda: len(pod.logs().split()) > 3)  # noqa: B023 - called here
        assert set(pod.logs().split()) == {"404"}
    assert outside.connections() == []
    for pod in pods:
        pod.delete()


def test_without_an_agent_new_pods_wait_and_old_ones_reach_nothing(
    restricted: Namespace, agent: Agent, pod: Pod, lab: Outside
) -> None:
    with agent.away():
        outside = lab.watch()
        waiting = run(restricted, "waiting", *EAGER, wait=False)
        answers = Answers(pod)
        time.sleep(3)
        assert set(answers.more()) == {"000 000"}
        assert waiting.get()["status"]["phase"] == "Pending"
        assert outside.facts() == []
    waiting.wait()
    until(lambda: set(waiting.logs().split()) == {"404"})
    until(lambda: answers.more()[-1] == "200 404")
    assert {request["host"] for request in outside.requests()} == {"www.google.com"}
    waiting.delete()


def test_an_agent_that_is_killed_leaves_its_proxy_to_the_next(agent: Agent, pod: Pod, outside: Seen) -> None:
    before, answers = agent.status(), Answers(pod)
    agent.kill(before["pid"])
    after = until(agent.status, seconds=20)
    assert set(answers.more()) == {"200 404"}
    assert after["pid"] != before["pid"]
    assert after["proxy"]["pid"] == before["proxy"]["pid"]
    assert {request["host"] for request in outside.requests()} == {"www.google.com"}


TAKE = """
import socket, time
wanted = socket.socket()
while True:
    try:
        wanted.bind(("127.0.0.1", 1))
        break
    except OSError:
        time.sleep(0.001)
print("taken", flush=True)
time.sleep(1e6)
"""


def test_a_pod_that_takes_the_proxys_port_keeps_it_from_no_other(
    lenient: Namespace, agent: Agent, pod: Pod, outside: Seen
) -> None:
    greedy = lenient.pod("greedy", containers=[container("python3", "-c", TAKE)])
    answers = Answers(pod)
    agent.kill(agent.status()["proxy"]["pid"])
    until(lambda: greedy.logs() == "taken\n")
    until(lambda: answers.more()[-1] == "200 404")
    assert not [answer for answer in answers.get() if not answer.endswith((" 404", " 000"))]
    (problem,) = agent.status()["problems"]
    assert f"{lenient.name}/greedy" in problem
    assert greedy.curl(ALLOWED)[0] == 0
    assert {request["host"] for request in outside.requests()} == {"www.google.com"}
    greedy.delete()
    until(lambda: agent.status()["problems"] == [])


SEND = """
import socket, struct, subprocess, sys
own, target = sys.argv[1:]
def total(data):
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    words = (words >> 16) + (words & 0xFFFF)
    return ~(words + (words >> 16)) & 0xFFFF
def header(check):
    return struct.pack("!BBHHHBBH4s4s", 69, 0, 28, 1, 0, 64, 17, check, *map(socket.inet_aton, (own, target)))
packet = header(total(header(0))) + struct.pack("!HHHH", 4711, 4712, 8, 0)
gateway = next(line.split()[4] for line in subprocess.check_output(["ip", "-4", "neigh"], text=True).splitlines() if "lladdr" in line)
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
    wire.sendto(packet, ("eth0", 0x0800, 0, 0, bytes.fromhex(gateway.replace(":", ""))))
"""
"""Sends a frame of its own making: UDP from an address to another one, past every rule of the pod's namespace."""


@pytest.fixture(scope="module")
def raw(lenient: Namespace, elsewhere: Namespace) -> dict[str, Pod]:
    """A captured pod that may send frames, and one that is not captured."""
    more: Json = {"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}
    return {
        name: where.pod("raw", metadata={"annotations": {UNSAFE: "capabilities"}}, containers=[container(**more)])
        for name, where in (("captured", lenient), ("free", elsewhere))
    }


@pytest.mark.parametrize(
    ("who", "source", "count"), [("captured", "captured", 0), ("captured", "free", 0), ("free", "free", 1)]
)
def test_a_frame_of_a_pods_own_making_does_not_leave_the_node(
    raw: dict[str, Pod], who: str, source: str, count: int, outside: Seen
) -> None:
    pod = raw[who]
    pod("curl", "-sk", "-m", "5", "https://kubernetes.default.svc/livez")  # so that it knows its gateway
    pod("python3", "-c", SEND, raw[source].address(), "198.51.100.7")
    time.sleep(0.5)
    assert len([packet for packet in outside.packets() if packet["port"] == 4712]) == count


def test_a_service_that_leads_outside_leads_a_captured_pod_nowhere(
    lenient: Namespace, raw: dict[str, Pod], elsewhere: Namespace, outside: Seen
) -> None:
    """Whoever may write services and their endpoints could let it out; the pod itself sees an address of the cluster."""
    spec = {"ports": [{"port": 80}]}
    lenient.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "out"}, "spec": spec})
    lenient.apply(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "out", "labels": {"kubernetes.io/service-name": "out"}},
            "addressType": "IPv4",
            "ports": [{"port": 80, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["198.51.100.7"]}],
        }
    )
    service = f"http://out.{lenient.name}.svc.cluster.local/"
    until(lambda: raw["free"].curl(service)[0] == 200)
    assert raw["captured"].curl(service)[0] == 0
    assert len(outside.connections()) == 1
