"""The node placement: a pod under the `restricted` standard runs nothing before it is captured, and stays so whatever becomes of the agent."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitway.names.cluster import PLACEMENT, Placement
from tests.cluster.cluster import HTTP, STATE, Json, Namespace, Pod, container, kubectl, new_namespace, until
from tests.cluster.outside import Outside, Seen

ALLOWED, DENIED = "http://www.google.com/", "http://www.wikipedia.org/"
RESTRICTED: Json = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
}
NO_PRIVILEGE: Json = {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}


@pytest.fixture(scope="module")
def restricted(installed: str, client: str) -> Iterator[Namespace]:
    """A namespace of the node placement, under the strictest Pod Security Standard."""
    labels = {PLACEMENT: Placement.NODE, "pod-security.kubernetes.io/enforce": "restricted"}
    with new_namespace(labels) as made:
        made.rule("google", to={"hosts": ["www.google.com"], "ports": HTTP})
        yield made


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

    def restart(self) -> None:
        (pod,) = self._pods()
        kubectl("-n", self._namespace, "delete", pod, "--wait")
        until(lambda: self._pods() not in ([], [pod]))
        kubectl("-n", self._namespace, "rollout", "status", "daemonset/exitway-node", "--timeout=60s")

    def _select(self, labels: Json) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": labels}}}}
        kubectl("-n", self._namespace, "patch", "daemonset", "exitway-node", "-p", json.dumps(patch))

    def _pods(self) -> list[str]:
        chosen = "-l", "app.kubernetes.io/component=node"
        return kubectl("-n", self._namespace, "get", "pods", *chosen, "-o", "name").split()

    def _execute(self, *command: object) -> str:
        return kubectl("-n", self._namespace, "exec", "daemonset/exitway-node", "-c", "agent", "--", *command)


@pytest.fixture(scope="module")
def agent(installed: str) -> Agent:
    return Agent(installed)


def run(restricted: Namespace, name: str, *command: str, wait: bool = True) -> Pod:
    return restricted.pod(name, wait=wait, containers=[container(*command, **NO_PRIVILEGE)], **RESTRICTED)


@pytest.fixture(scope="module")
def pod(restricted: Namespace, agent: Agent) -> Pod:
    found = run(restricted, "client", *ASKING)
    until(lambda: Answers(found).more()[-1] == "200 404")
    return found


_CODE = "curl -s -m 5 -o /dev/null -w '%{http_code}'"
ASKING = ("sh", "-c", f"while :; do echo $({_CODE} {ALLOWED}) $({_CODE} {DENIED}); sleep 0.05; done")
"""Asks for what a rule allows and for what none does, time and again."""
EAGER = (
    "sh",
    "-c",
    "while :; do curl -sS -m 5 -o /dev/null -w '%{http_code}\\n' http://198.51.100.7/; sleep 0.1; done",
)
"""Asks from its very first moment, for what no rule allows."""


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


def test_a_killed_server_costs_no_request(agent: Agent, pod: Pod, outside: Seen) -> None:
    before, answers = agent.status(), Answers(pod)
    agent.kill(before["pid"])
    after = until(agent.status, seconds=20)
    assert set(answers.more()) == {"200 404"}
    assert after["pid"] != before["pid"]
    assert after["proxy"]["pid"] == before["proxy"]["pid"]
    assert {request["host"] for request in outside.requests()} == {"www.google.com"}


def test_a_killed_proxy_lets_nothing_out(agent: Agent, pod: Pod, outside: Seen) -> None:
    answers = Answers(pod)
    agent.kill(agent.status()["proxy"]["pid"])
    until(lambda: answers.more()[-1] == "200 404")
    assert not [answer for answer in answers.get() if not answer.endswith((" 404", " 000"))]
    assert {request["host"] for request in outside.requests()} == {"www.google.com"}


def test_a_new_agent_takes_its_pods_in_again(agent: Agent, pod: Pod, outside: Seen) -> None:
    answers = Answers(pod)
    agent.restart()
    until(lambda: answers.more()[-1] == "200 404")
    assert not [answer for answer in answers.get() if not answer.endswith((" 404", " 000"))]
    assert {request["host"] for request in outside.requests()} == {"www.google.com"}


def test_a_killed_kubelet_costs_no_request(agent: Agent, pod: Pod, outside: Seen) -> None:
    answers = Answers(pod)
    kill_kubelet()
    until(lambda: len(answers.more()) > 30)
    assert set(answers.get()) == {"200 404"}
    assert {request["host"] for request in outside.requests()} == {"www.google.com"}


def kill_kubelet() -> None:
    node = (Path("/proc") / (STATE / "pid").read_text().strip() / "ns/pid_for_children").readlink()
    (kubelet,) = (
        process
        for process in Path("/proc").glob("[0-9]*")
        if (process / "comm").read_text() == "kubelet\n" and (process / "ns/pid").readlink() == node
    )
    os.kill(int(kubelet.name), signal.SIGKILL)
