"""The flows of a whole cluster: the agents of all nodes are asked, the logs of all proxies in pods are read, and what they say is one answer."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Never
from urllib.parse import quote

from exitway.cluster.hindsight import RulesNow
from exitway.cluster.kubectl import Kubectl
from exitway.cluster.places import Agent, Logged, agents, logged, unserved
from exitway.cluster.tellers import AgentTeller, LogTeller, Silent, Tell
from exitway.flows.choice import Choice
from exitway.flows.flow import Flow
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Reflector
from exitway.names.cluster import CAPTURED
from exitway.names.workload import SYSTEM_NAMESPACE

OURS = "app.kubernetes.io/part-of=exitway"
MOST_FLOWS = 100_000
"""That are held at once, where no limit was asked for."""
AT_ONCE = 8
"""Agents and logs that are asked at the same time for what there is."""
RULES_SECONDS = 15.0
"""How old what is known of rules may be, while flows are followed."""


class Newest:
    """The newest flows, at most so many. ``dropped``: how many older ones there were."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[str, str, int, int, Flow]] = []
        self._added = 0

    @property
    def dropped(self) -> int:
        """How many were too many."""
        return self._added - len(self._heap)

    def add(self, flow: Flow) -> None:
        """Take in a flow; they may come in any order."""
        self._added += 1
        heapq.heappush(self._heap, (flow.time, flow.at, flow.id, self._added, flow))
        if len(self._heap) > self._most:
            heapq.heappop(self._heap)

    def flows(self) -> list[Flow]:
        """By time."""
        return [flow for *_, flow in sorted(self._heap)]


class _Heard:
    """What is told of those who are followed: flows, and once, that one does not answer. ``silent``: why, by who."""

    def __init__(self, tell: Tell, silent: Callable[[Silent], None], known: Iterable[Silent]) -> None:
        self._tell, self._silent = tell, silent
        self.silent = {one.at: one.why for one in known}

    def flow(self, flow: Flow) -> None:
        self.silent.pop(flow.at, None)
        self._tell(flow)

    def nothing(self, one: Silent) -> None:
        if self.silent.get(one.at) != one.why:
            self.silent[one.at] = one.why
            self._silent(one)


@dataclass
class Answer:
    """``flows``: by time. ``silent``: who did not answer. ``cut``: older ones were too many. ``installed``: Exitway is there, or may be."""

    flows: Sequence[Flow] = ()
    silent: list[Silent] = field(default_factory=list)
    cut: bool = False
    installed: bool = True


class Fleet:
    """Who has flows that are chosen. ``warn``: hears what is not told of them all."""

    def __init__(self, kube: Kube, kubectl: Kubectl, choice: Choice, warn: Callable[[str], None]) -> None:
        namespace = f"namespaces/{quote(choice.namespace, safe='')}/" if choice.namespace else ""
        self._ours = f"namespaces/{SYSTEM_NAMESPACE}/pods", OURS
        self._captured = f"{namespace}pods", CAPTURED
        self._kube, self._kubectl, self._choice = kube, kubectl, choice
        self._rules = RulesNow(kube, choice.namespace, warn)
        self._agents: dict[str, AgentTeller] = {}
        self._logs: dict[str, LogTeller] = {}

    async def answer(self, limit: int | None) -> Answer:
        """What there is: the newest ``limit``; None: all, but for :data:`MOST_FLOWS`. Raises KubeError."""
        answer, newest, turn = Answer(), Newest(limit or MOST_FLOWS), asyncio.Semaphore(AT_ONCE)
        await self._rules.look()
        ours, captured = [await self._list(*which, answer.silent) for which in (self._ours, self._captured)]
        answer.installed = bool(ours or captured or answer.silent)
        found, pods = agents(ours), logged(captured)
        if ours:
            answer.silent += [Silent(f"node/{one}", "no agent runs there") for one in unserved(captured, found)]
        if found and not self._kubectl.is_there:
            answer.silent.append(without_kubectl(found))
            found = []

        async def ask(once: Callable[[Tell], Awaitable[None]]) -> None:
            async with turn:
                try:
                    await once(newest.add)
                except Silent as one:
                    answer.silent.append(one)

        async with asyncio.TaskGroup() as group:
            for agent in found:
                group.create_task(ask(partial(self._agent(agent).once, limit or MOST_FLOWS + 1)))
            for pod in pods:
                group.create_task(ask(self._log(pod).once))
        answer.flows, answer.cut = newest.flows(), limit is None and newest.dropped > 0
        return answer

    async def follow(self, tell: Tell, silent: Callable[[Silent], None], known: Iterable[Silent] = ()) -> Never:
        """What comes after the answer, from those who come as well, until cancelled. ``known``: those of whose silence the answer has told."""
        news, heard = asyncio.Event(), _Heard(tell, silent, known)
        ours, captured = (self._reflector(*which, news) for which in (self._ours, self._captured))
        seen = [one for one, (path, _) in ((ours, self._ours), (captured, self._captured)) if path not in heard.silent]
        try:
            async with asyncio.TaskGroup() as group:
                for task in (self._look_again(), *(reflector.run() for reflector in seen)):
                    group.create_task(task)
                following: dict[Agent | Logged, asyncio.Task[None]] = {}
                while True:
                    await news.wait()
                    news.clear()
                    if not all(reflector.synced.is_set() for reflector in seen):
                        continue
                    there = self._tellers(ours.objects.values(), captured.objects.values())
                    for gone in following.keys() - there.keys():
                        following.pop(gone).cancel()
                    for one in there.keys() - following.keys():
                        following[one] = group.create_task(there[one].follow(heard.flow, heard.nothing))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _look_again(self) -> Never:
        while True:
            await asyncio.sleep(RULES_SECONDS)
            await self._rules.look()

    def _reflector(self, path: str, selector: str, news: asyncio.Event) -> Reflector:
        params = {"labelSelector": selector}
        return Reflector(self._kube, f"/api/v1/{path}", params=params, changed=lambda _: news.set(), kept=kept)

    def _tellers(self, ours: Iterable[Any], captured: Iterable[Any]) -> dict[Agent | Logged, AgentTeller | LogTeller]:
        """Those of these pods; what was known of others is forgotten, but for the nodes'."""
        pods, found = logged(captured), agents(ours) if self._kubectl.is_there else []
        for uid in self._logs.keys() - {pod.uid for pod in pods}:
            del self._logs[uid]
        return {**{pod: self._log(pod) for pod in pods}, **{agent: self._agent(agent) for agent in found}}

    def _agent(self, agent: Agent) -> AgentTeller:
        """What is known of a node outlives its agent."""
        teller = self._agents.setdefault(agent.node, AgentTeller(self._kubectl, agent, self._choice))
        teller.agent = agent
        return teller

    def _log(self, pod: Logged) -> LogTeller:
        return self._logs.setdefault(pod.uid, LogTeller(self._kube, pod, self._choice, self._rules.observed))

    async def _list(self, path: str, selector: str, silent: list[Silent]) -> list[Any]:
        try:
            return list(
                (await self._kube.request("GET", f"/api/v1/{path}", params={"labelSelector": selector}))["items"]
            )
        except KubeError as error:
            if error.code != 403:
                raise
            silent.append(Silent(path, error.message, _HINT))
            return []


_HINT = "`kubectl auth can-i --list` shows what you may do; -n asks of one namespace"


def without_kubectl(found: Iterable[Agent]) -> Silent:
    """Nobody can be asked."""
    nodes = ", ".join(agent.at for agent in found)
    hint = "install kubectl: the agents of nodes are asked by `kubectl exec`"
    return Silent(nodes, "kubectl is not on the PATH", hint, "EXW1604")


def kept(item: dict[str, Any]) -> dict[str, Any]:
    """What is looked at of a pod."""
    metadata, status = item["metadata"], item.get("status") or {}
    return {
        "metadata": {word: metadata.get(word) for word in ("name", "namespace", "uid", "resourceVersion", "labels")},
        "spec": {"nodeName": item["spec"].get("nodeName")},
        "status": {word: status.get(word) for word in ("phase", "initContainerStatuses", "containerStatuses")},
    }
