"""Who has the flows of a cluster, and what they say put in order."""

import asyncio
from dataclasses import replace

from exitway.cli.fleet import problems
from exitway.cluster import fleet
from exitway.cluster.fleet import Answer, Fleet, Newest, kept
from exitway.cluster.kubectl import Kubectl
from exitway.cluster.places import Agent, agents, logged, unserved
from exitway.cluster.tellers import Silent
from exitway.flows.choice import Choice
from exitway.flows.flow import Flow
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.kind_names import KIND_NAMES
from exitway.resources.paths import collection
from tests.flows.test_access_log import line

FLOW = Flow("", "shop/w", "a.test", "241.0.0.1", 80, "TCP", Decision(Verdict.ALLOW, Reason.RULE))


def at(second, where, identity=0):
    return replace(FLOW, time=f"2027-01-01T00:00:0{second}.000Z", at=where, id=identity)


def test_flows_of_all_are_in_the_order_of_time_and_the_newest_are_kept():
    one = [at(1, "node/a", 7), at(3, "node/a", 8), at(3, "node/a", 9)]
    two = [at(0, "node/b", 1), at(3, "node/b", 1), at(4, "pod/shop/w"), at(4, "pod/shop/w")]
    for first, second in ((one, two), (two, one)):
        whole = Newest(100)
        for flow in first + second:
            whole.add(flow)
        assert [(flow.time[-6], flow.at, flow.id) for flow in whole.flows()] == [
            ("0", "node/b", 1), ("1", "node/a", 7), ("3", "node/a", 8), ("3", "node/a", 9), ("3", "node/b", 1), ("4", "pod/shop/w", 0), ("4", "pod/shop/w", 0),
        ]  # fmt: skip
        assert whole.dropped == 0
        newest = Newest(3)
        for flow in first + second:
            newest.add(flow)
        assert newest.flows() == whole.flows()[-3:]
        assert newest.dropped == 4


def pod(name, container, state, node="n1", labels=None, restarts=0):
    status = {"name": container, "state": state, "restartCount": restarts}
    metadata = {"name": name, "namespace": "shop", "uid": name, "labels": labels or {}, "managedFields": []}
    return {
        "metadata": metadata,
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


RUNNING: dict[str, dict[str, str]] = {"running": {}}
WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}
OURS = {"app.kubernetes.io/component": "node"}


def test_an_agent_that_does_not_run_is_told_with_its_reason_and_gives_way_to_one_that_does():
    found = [
        pod("controller", "controller", RUNNING, labels={"app.kubernetes.io/component": "controller"}),
        pod("going", "agent", WAITING, "n1", OURS),
        pod("coming", "agent", RUNNING, "n1", OURS),
        pod("waits", "agent", WAITING, "n2", OURS),
        pod("new", "other", RUNNING, "n3", OURS),
        pod("nowhere", "agent", RUNNING, None, OURS),
    ]
    told = [
        Agent("n1", "coming"),
        Agent("n2", "waits", "its agent does not run: pod waits is CrashLoopBackOff"),
        Agent("n3", "new", "its agent does not run: pod new is Running"),
    ]
    assert agents(found) == told
    assert agents([kept(item) for item in found]) == told


def test_of_captured_pods_those_with_a_proxy_have_logs_and_the_nodes_of_the_others_need_an_agent():
    sidecar, node = {"exitway.dev/captured": "sidecar"}, {"exitway.dev/captured": "node"}
    found = [
        pod("runs", "exitway-proxy", RUNNING, labels=sidecar),
        pod("crashes", "exitway-proxy", WAITING, labels=sidecar, restarts=3),
        pod("waits", "exitway-proxy", WAITING, labels=sidecar),
        pod("unknown", "app", RUNNING, labels=sidecar),
        pod("served", "app", RUNNING, "n1", node),
        pod("unserved", "app", RUNNING, "n2", node),
        pod("pending", "app", WAITING, None, node),
    ]
    assert [(one.at, one.begun) for one in logged(found)] == [
        ("pod/shop/runs", True), ("pod/shop/crashes", True), ("pod/shop/waits", False), ("pod/shop/unknown", False),
    ]  # fmt: skip
    assert list(unserved(found, [Agent("n1", "agent")])) == ["n2"]


def test_all_that_are_silent_for_one_reason_are_one_problem():
    why = "pods is forbidden"
    silent = [Silent("node/b", why, "ask"), Silent("pod/shop/w", "it is late"), Silent("node/a", why, "ask")]
    found = problems(Answer(silent=silent, cut=True))
    assert [(one.code, one.message, one.hint) for one in found[:2]] == [
        ("EXW1603", "node/a, node/b: pods is forbidden", "ask"),
        ("EXW1603", "pod/shop/w: it is late", ""),
    ]
    assert [one.code for one in found[2:]] == ["EXW1605"]
    assert problems(Answer()) == []


def rule(name, host, written):
    to = [{"hosts": [host], "ports": [{"number": 80, "protocol": "HTTP"}]}]
    return {"metadata": {"name": name, "namespace": "shop", "creationTimestamp": written}, "spec": {"to": to}}


class Cluster(Kube):
    """One with a sidecar, where pods change all the time. What its proxy logs comes when the rules have changed, and were read after that."""

    def __init__(self):
        self.rules = [rule("one", "a.test", "2027-01-01T00:00:00Z")]
        self.pod = pod("w", "exitway-proxy", RUNNING, labels={"exitway.dev/captured": "sidecar"})
        self.pod["metadata"]["resourceVersion"] = "1"
        self.looked = asyncio.Event()

    async def request(self, method, path, *_, **__):
        api_version, kind = ("v1", "Pod") if "pods" in path else (KIND_NAMES[1].api_version, KIND_NAMES[1].kind)
        items = [self.pod] if "pods" in path and SYSTEM_NAMESPACE not in path else []
        if path == collection(KIND_NAMES[1]):
            self.looked.set()
            items = self.listed_rules()
        answer = {"apiVersion": api_version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}}
        return answer | {"items": [dict(item) for item in items]}

    def listed_rules(self):
        return self.rules

    async def chunks(self, *_, **__):
        yield []
        while True:
            await asyncio.sleep(0)
            yield [{"type": "MODIFIED", "object": self.pod}]

    async def lines(self, path, params=None, *_, **__):
        yield []
        http = {"authority": "a.test", "protocol": "HTTP/1.1", "destination": "241.0.0.1:80"}
        if params and "follow" in params:
            self.rules = [rule(*words, "2027-01-02T00:00:00Z") for words in (("one", "b.test"), ("two", "a.test"))]
            for _time in range(2):  # the answer to the first look is taken in when the second one begins
                self.looked.clear()
                await self.looked.wait()
        for second in ("01", "02"):
            yield [f"2027-01-03T00:00:{second}Z ".encode() + line(second, day="03", workload="shop/w", **http)]


def test_rules_are_read_again_also_while_pods_change_all_the_time(monkeypatch):
    monkeypatch.setattr(fleet, "RULES_SECONDS", 0.05)

    async def first():
        told = asyncio.Queue[Flow]()
        following = asyncio.create_task(
            Fleet(Cluster(), Kubectl(), Choice("shop"), print).follow(told.put_nowait, print)
        )
        try:
            return await asyncio.wait_for(told.get(), 10)
        finally:
            following.cancel()

    because = asyncio.run(first()).decision.because
    assert because
    assert because.name == "two"


class Secretive(Cluster):
    """Its rules may not be read by everybody."""

    def listed_rules(self):
        raise KubeError(403, "Forbidden", "egressrules is forbidden")


def test_who_may_not_read_the_rules_is_told_once_that_none_is_named():
    for cluster, said in ((Cluster(), []), (Secretive(), ["egressrules is forbidden"])):
        warnings = list[str]()
        answer = asyncio.run(Fleet(cluster, Kubectl(), Choice(), warnings.append).answer(None))
        assert [warning.rpartition(": ")[2] for warning in warnings] == said
        assert [(flow.name, flow.count, flow.decision.because is None) for flow in answer.flows] == [
            ("a.test", 2, bool(said))
        ]
        cluster.pod["metadata"]["labels"]["exitway.dev/captured"] = "node"
        asyncio.run(Fleet(cluster, Kubectl(), Choice(), warnings.append).answer(None))
        assert len(warnings) == len(said)  # agents know the rules
