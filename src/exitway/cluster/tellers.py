"""Those who have flows: the agent of a node, which is asked, and the proxy of a pod, whose log is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from urllib.parse import quote

from exitway.cluster.kubectl import Failed, Kubectl
from exitway.cluster.places import AGENT, Agent, Logged
from exitway.flows import wire
from exitway.flows.choice import Choice
from exitway.flows.entry import Observed
from exitway.flows.flow import Flow
from exitway.flows.reading import LogReading
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.pods.containers import PROXY

SILENCE_SECONDS = 60.0
"""How long one of them may say nothing, when it is asked for what there is."""
CAUGHT_UP = 1000
"""Flows of a node that are asked for again when it is followed; those that are known are passed over."""
PAUSE_SECONDS = 1.0, 15.0
"""The least and the most before one that has ended is asked again."""

Tell = Callable[[Flow], None]


class Silent(Exception):  # noqa: N818 - it is a state
    """One that was to be asked does not answer. ``at``: which; ``hint``: what helps, where that is known."""

    def __init__(self, at: str, why: str, hint: str = "", code: str = "EXW1603") -> None:
        super().__init__(f"{at}: {why}")
        self.at, self.why, self.hint, self.code = at, why, hint, code


class AgentTeller:
    """The history of a node, whichever pod is its agent."""

    def __init__(self, kubectl: Kubectl, agent: Agent, choice: Choice) -> None:
        self.agent = agent
        self._kubectl, self._choice = kubectl, choice
        self._newest = 0, ""

    async def once(self, limit: int, tell: Tell) -> None:
        """The newest. Raises Silent."""
        async for flow in self._flows([f"--limit={limit}"], SILENCE_SECONDS):
            tell(flow)

    async def follow(self, tell: Tell, silent: Callable[[Silent], None]) -> None:
        """What is not known yet, for ever. ``silent`` hears when it does not answer any more."""
        pause, most = PAUSE_SECONDS
        while True:
            try:
                async for flow in self._flows(["-f", f"--limit={CAUGHT_UP}"]):
                    tell(flow)
                    pause = PAUSE_SECONDS[0]
            except Silent as one:
                silent(one)
            await asyncio.sleep(pause)
            pause = min(2 * pause, most)

    async def _flows(self, words: Sequence[str], silence_seconds: float | None = None) -> AsyncGenerator[Flow]:
        if self.agent.trouble:
            raise Silent(self.agent.at, self.agent.trouble)
        command = ["exitway", "flows", "--output=json", *self._choice.options(), *words]
        newest = self._newest
        try:
            async with aclosing(self._kubectl.lines(SYSTEM_NAMESPACE, self.agent.pod, AGENT, command)) as lines:
                while (line := await asyncio.wait_for(anext(lines, None), silence_seconds)) is not None:
                    flow = wire.read(line, self.agent.at)
                    # A history that was begun anew has small ids again, but no old times.
                    if flow.id > newest[0] or flow.time > newest[1]:
                        self._newest = max(self._newest[0], flow.id), max(self._newest[1], flow.time)
                        yield flow
        except (Failed, ValueError, TimeoutError) as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> Silent:
        why = str(error).replace(f'pods "{self.agent.pod}"', "pods")  # alike for all, where it is no fault of this one
        if isinstance(error, TimeoutError):
            return Silent(self.agent.at, f"it says nothing for {SILENCE_SECONDS:.0f} s")
        if "forbidden" in why:
            hint = f"it takes `create` on pods/exec in {SYSTEM_NAMESPACE}, where an agent may do anything on its node"
            return Silent(self.agent.at, why, hint)
        return Silent(self.agent.at, why)


class LogTeller:
    """The log of a pod's proxy, as far as the kubelet has it. ``observed``: what its lines are read with, now."""

    def __init__(self, kube: Kube, pod: Logged, choice: Choice, observed: Callable[[Logged], Observed]) -> None:
        self._kube, self._pod, self._choice = kube, pod, choice
        self._reading = LogReading(lambda name: observed(pod) if name == str(pod) else None, pod.at)
        self._read_up_to = ""

    async def once(self, tell: Tell) -> None:
        """What it says so far, also where it does not say all. Raises Silent."""
        try:
            async with aclosing(self._lines({}, SILENCE_SECONDS)) as chunks:
                async for lines in chunks:
                    self._reading.take(lines)
        except KubeError as error:
            if error.code != 404 and self._pod.begun:  # else it has gone, or has not begun
                raise Silent(self._pod.at, error.message.replace(f'pods "{self._pod.name}"', "pods")) from None
        finally:  # what was read is not read again
            for flow in filter(self._choice.has, self._reading.flows()):
                tell(flow)
            self._reading.forget()

    async def follow(self, tell: Tell, silent: Callable[[Silent], None]) -> None:
        """What comes, for ever."""
        pause, most = PAUSE_SECONDS
        while True:
            try:
                async with aclosing(self._lines({"follow": "true"})) as chunks:
                    async for lines in chunks:
                        pause = PAUSE_SECONDS[0] if lines else pause
                        for flow in filter(self._choice.has, self._reading.take(lines)):
                            tell(flow)
                        self._reading.forget()
            except KubeError as error:
                if error.code not in (400, 404):  # its container does not run yet, or its node has not heard of it
                    silent(Silent(self._pod.at, error.message))
            await asyncio.sleep(pause)
            pause = min(2 * pause, most)

    async def _lines(self, params: dict[str, str], silence_seconds: float | None = None) -> AsyncGenerator[list[bytes]]:
        """Those that were not read yet, without the time that the kubelet has put before each. It takes ``sinceTime`` to the second."""
        namespace, name = (quote(word, safe="") for word in (self._pod.namespace, self._pod.name))
        since, new = self._read_up_to or self._choice.since, not self._read_up_to
        asked = {"container": PROXY, "timestamps": "true", **params, **({"sinceTime": since} if since else {})}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
        async with aclosing(self._kube.lines(path, asked, silence_seconds)) as chunks:
            async for chunk in chunks:
                lines = []
                for stamp, _, line in (line.partition(b" ") for line in chunk if line):
                    new = new or _is_later(stamp.decode(errors="replace"), self._read_up_to)
                    if new:
                        self._read_up_to = stamp.decode(errors="replace")
                        lines.append(line)
                yield lines


def _is_later(time: str, than: str) -> bool:
    """In RFC 3339, of whatever time zone the node has, which may change."""
    try:
        return datetime.fromisoformat(time) > datetime.fromisoformat(than)
    except ValueError:
        return True
