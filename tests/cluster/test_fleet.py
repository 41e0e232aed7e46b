"""The flows of a whole cluster, and what is learned from them: the agents of nodes and the logs of sidecars as one answer."""

import contextlib
import functools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exitway.flows.flow import stamp
from exitway.names.cluster import PLACEMENT, Placement
from tests.cluster.cluster import (
    HTTP,
    STATE,
    SYSTEM,
    TLS,
    Namespace,
    Pod,
    environment,
    kubectl,
    new_namespace,
    run,
    until,
)
from tests.cluster.outside import Outside

EXITWAY = (sys.executable, "-m", "exitway")
CLUSTER = (*EXITWAY, "--kubeconfig", STATE / "kubeconfig")


class Shops:
    """A namespace of each placement with a pod, a rule for a.lab.test, and what the pod has called since."""

    def __init__(self, sidecar: Namespace, node: Namespace) -> None:
        self.sidecar, self.node = sidecar, node
        self.pods = {one.name: one.pod() for one in (sidecar, node)}
        for one in (sidecar, node):
            one.rule("web", to={"hosts": ["a.lab.test"], "ports": HTTP + TLS})
        written = stamp(datetime.now(UTC))[:19]  # what was written within the second may be newer than a line of it
        until(lambda: stamp(datetime.now(UTC))[:19] > written)
        self.since = stamp(datetime.now(UTC))
        for pod in self.pods.values():
            self.call(pod)
        self.flows = until(lambda: self._all() or None)

    def call(self, pod: Pod) -> None:
        assert [pod.curl(f"http://{name}/get?secret=1")[0] for name in ("a.lab.test", "a.lab.test", "b.lab.test")] == [
            200,
            200,
            404,
        ]
        pod.curl("https://a.lab.test/", "-k")
        pod.curl("https://b.lab.test/", "-k")

    def _all(self):
        """When all is there that was called."""
        found = [flow for one in self.pods for flow in asked("-n", one, "--since", self.since)]
        assert len(found) == 8, found
        return found


def asked(*words):
    return list(map(json.loads, run(*CLUSTER, "flows", "-o", "json", *words).splitlines()))


@pytest.fixture(scope="module")
def shops(installed: str, client: str, _outside: Outside) -> Iterator[Shops]:
    with ExitStack() as stack:
        made = [stack.enter_context(new_namespace({PLACEMENT: one})) for one in (Placement.SIDECAR, Placement.NODE)]
        yield Shops(*made)


def told(flow):
    return flow["name"], flow["protocol"], flow["verdict"], flow["reason"], flow["rule"], flow.get("count", 1)


def test_agents_and_sidecars_say_the_same_and_it_is_one_answer(shops):
    flows = [flow for flow in asked("--since", shops.since) if flow["workload"].partition("/")[0] in shops.pods]
    assert [flow["time"] for flow in flows] == sorted(flow["time"] for flow in flows)
    of = {name: [flow for flow in flows if flow["workload"] == f"{name}/client"] for name in shops.pods}
    for name, unknown in ((shops.node.name, "no-rule"), (shops.sidecar.name, "unknown")):
        rule = f"egress-rule/{name}/web"
        assert sorted(map(told, of[name])) == [
            ("a.lab.test", "HTTP/1.1", "allow", "rule", rule, 2),
            ("a.lab.test", "TLS", "allow", "rule", rule, 1),
            ("b.lab.test", "HTTP/1.1", "deny", "no-rule", None, 1),
            ("b.lab.test", "TLS", "deny", unknown, None, 1),
        ]
        assert {(flow["asked"], flow.get("path", "/get")) for flow in of[name]} == {
            ("a.lab.test", "/get"),
            ("b.lab.test", "/get"),
        }
        assert {flow["labels"]["app"] for flow in of[name]} == {"client"}
    assert {(flow["at"], flow["id"]) for flow in of[shops.sidecar.name]} == {(f"pod/{shops.sidecar.name}/client", None)}
    assert {flow["at"].partition("/")[0] for flow in of[shops.node.name]} == {"node"}
    assert len({flow["id"] for flow in of[shops.node.name]}) == 4


def test_filters_hold_for_both_and_the_table_is_that_of_a_machine(shops):
    for name in shops.pods:
        chosen = ("-n", name, "--since", shops.since)
        for words, count in [
            (("--verdict", "deny"), 2),
            (("--host", "A.lab.*"), 2),
            (("--workload", "client"), 4),
            (("--workload", f"{name}/other"), 0),
            (("--limit", "3"), 3),
            (("--verdict", "deny", "--host", "a.*"), 0),
        ]:
            assert len(asked(*chosen, *words)) == count, words
    newest = max(shops.flows, key=lambda flow: flow["time"])
    assert [told(flow) for flow in asked("--since", shops.since, "--limit", "1")] == [told(newest)]
    header, *lines = run(*CLUSTER, "flows", "-n", shops.node.name, "--since", shops.since).splitlines()
    assert header.split() == [
        "ID",
        "TIME",
        "WORKLOAD",
        "VERDICT",
        "DESTINATION",
        "REQUEST",
        "WHY",
        "COUNT",
        "SENT",
        "RECEIVED",
    ]
    ids = {f"{flow['at'].removeprefix('node/')}/{flow['id']}" for flow in asked("-n", shops.node.name)}
    assert {line.split()[0] for line in lines} == ids
    lines = run(*CLUSTER, "flows", "-n", shops.sidecar.name, "-o", "wide").splitlines()[1:]
    assert {line.split()[0] for line in lines} == {"-"}


@pytest.fixture
def following(shops, tmp_path):
    """What is followed of both namespaces, as far as it has come: ``expect`` waits until it has all these."""
    said = tmp_path / "said"
    command = [*map(str, CLUSTER), "flows", "-f", "-o", "json", "--host", "*.lab.test", "--since", shops.since]
    with said.open("w") as out, (tmp_path / "stderr").open("w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment())
        try:
            yield said
        finally:
            process.terminate()
            process.wait(20)


def running(words):
    """The processes of this machine, the node's included, that have these words in their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [path.parent.name] * (words in path.read_bytes())
    return found


def test_what_comes_is_followed_also_of_new_pods_and_of_an_agent_that_is_made_anew(shops, following):
    def seen(name, workload="client", at_least=1):
        lines = [json.loads(line) for line in following.read_text().splitlines() if line.endswith("}")]
        return sum((flow["name"], flow["workload"].partition("/")[2]) == (name, workload) for flow in lines) >= at_least

    until(lambda: seen("b.lab.test", at_least=4))
    for pod in shops.pods.values():
        pod.curl("http://late.lab.test/")
    until(lambda: seen("late.lab.test", at_least=2))
    second = shops.sidecar.pod("second")
    second.curl("http://second.lab.test/")
    until(lambda: seen("second.lab.test", "second"))
    selector = ("-n", SYSTEM, "-l", "app.kubernetes.io/component=node")
    kubectl("delete", "pod", *selector, "--wait")
    kubectl("rollout", "status", "-n", SYSTEM, "daemonset/exitway-node", "--timeout=60s")
    until(lambda: shops.pods[shops.node.name].curl("http://again.lab.test/")[0] == 404)
    until(lambda: seen("again.lab.test"), 60)
    assert [line for line, times in Counter(following.read_text().splitlines()).items() if times > 1] == []


def test_nothing_goes_on_in_an_agent_when_nobody_follows_any_more(shops):
    words = b"--host=*.nobody.test"
    command = [*map(str, CLUSTER), "flows", "-f", "--host", "*.nobody.test"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(b"ID ")
        until(lambda: len(running(words + b"\0-f\0")) >= 3)  # kubectl, the shell in the agent, and exitway
        process.kill()
    until(lambda: not running(words + b"\0-f\0"))


def denied(pod):
    return pod.curl("http://a.lab.test/")[0] == 404


def test_what_is_learned_of_a_cluster_lets_out_what_its_pods_called(shops, tmp_path):
    for name, pod in shops.pods.items():
        rules = tmp_path / f"{name}.yml"
        chosen = ("-n", name, "--since", shops.since, "--host", "a.lab.test")
        done = run(*CLUSTER, "learn", *chosen[:4], "--hosts-only", "-w", rules)
        assert done == ""
        namespace = Namespace(name)
        namespace.kubectl("delete", "egressrules.exitway.dev", "web")
        until(functools.partial(denied, pod))
        try:
            run(*CLUSTER, "create", "-f", rules)
            assert pod.curl("http://a.lab.test/anything")[0] == 200
            assert pod.curl("http://b.lab.test/")[0] == 404
            assert {flow["rule"] for flow in asked(*chosen, "--verdict", "allow") if flow["rule"]} <= {
                f"egress-rule/{name}/web",
                f"egress-rule/{name}/learned",
            }
        finally:
            namespace.rule("web", to={"hosts": ["a.lab.test"], "ports": HTTP + TLS})


def as_somebody(namespace, tmp_path, *grants):
    """The words for commands as an account that may do just this: verb, resource, namespace."""
    namespace.kubectl("create", "serviceaccount", "somebody", check=False)
    for number, (verbs, resource, where) in enumerate(grants):
        name = f"{namespace.name}-{number}"
        kubectl("create", "role", name, "-n", where, f"--verb={verbs}", f"--resource={resource}")
        account = f"--serviceaccount={namespace.name}:somebody"
        kubectl("create", "rolebinding", name, "-n", where, f"--role={name}", account)
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": namespace.kubectl("create", "token", "somebody").strip()}
    (tmp_path / "somebody.json").write_text(json.dumps(config))
    return *EXITWAY, "--kubeconfig", tmp_path / "somebody.json"


def outcome(*words, **more):
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, timeout=60, env=environment() | more
    )
    return done.returncode, done.stdout, done.stderr


def test_who_may_not_ask_is_told_what_and_the_others_are_heard(shops, tmp_path):
    name = shops.sidecar.name
    chosen = ("flows", "-o", "json", "-n", name, "--since", shops.since, "--workload", "client")
    code, out, err = outcome(*as_somebody(shops.sidecar, tmp_path), *chosen)
    assert (code, out) == (1, "")
    assert f'cannot list resource "pods" in API group "" in the namespace "{name}"' in err
    somebody = as_somebody(shops.sidecar, tmp_path, ("get,list", "pods,pods/log", name), ("get,list", "pods", SYSTEM))
    try:
        code, out, err = outcome(*somebody, *chosen)
        assert (code, len({json.loads(line)["name"] for line in out.splitlines()})) == (1, 3)
        assert "EXW1603 node/" in err
        assert 'resource "pods/exec" in API group "" in the namespace "exitway-system"' in err
        told_of = [json.loads(line) for line in out.splitlines() if json.loads(line)["protocol"] == "HTTP/1.1"]
        assert {(flow["verdict"], flow["reason"], flow["rule"]) for flow in told_of} == {
            ("allow", "rule", None),  # which rule, somebody may not read
            ("deny", "no-rule", None),
        }
    finally:
        for number, where in enumerate((name, SYSTEM)):
            kubectl("delete", "role,rolebinding", "-n", where, f"{name}-{number}")


def test_without_kubectl_nodes_are_silent_and_a_namespace_that_is_not_there_is_a_problem(shops, tmp_path):
    chosen = ("--since", shops.since, "--workload", "client")
    code, out, err = outcome(*CLUSTER, "flows", "-n", shops.sidecar.name, *chosen, PATH=str(tmp_path))
    assert (code, "EXW1604 node/" in err, "a.lab.test" in out) == (1, True, True)
    code, out, err = outcome(*CLUSTER, "flows", "-n", "not-there")
    assert (code, out, "EXW1405 there is no namespace not-there in the cluster" in err) == (1, "", True)
    code, out, err = outcome(*CLUSTER, "flows", "-n", "default", "--host", "nobody.test")
    assert (code, out, err) == (0, "", "No flows found.\n")
    code, out, err = outcome(*CLUSTER, "learn", "-n", "default", "--workload", "nobody")
    assert (code, out, "EXW1903 nothing was recorded" in err) == (1, "", True)
