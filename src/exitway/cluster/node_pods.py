"""The pods of a node whose proxy stands there: how one is found, captured, followed and let go.

A pod waits at its gate (``deploy/image/exitway-gate``) until the proxy listens in its network namespace. That is there before the API says so, so
while a pod waits it is looked for by the processes in it. Nothing is written down: who comes after us finds the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exitway.capture.netns import unpin
from exitway.capture.nflog import RefusalLog, Report
from exitway.capture.pod import PodCapture
from exitway.capture.pod_netns import hold, install, ports_taken
from exitway.capture.pod_processes import PodProcesses, Sandbox
from exitway.capture.pod_wall import Outlet
from exitway.cluster.node_wall import NodeWall
from exitway.kube.client import Kube
from exitway.kube.reflector import Name, Reflector
from exitway.names.cluster import CAPTURED, MIRROR, Placement
from exitway.names.workload import Workload
from exitway.processes import Process
from exitway.server.names import Names
from exitway.server.program import Member
from exitway.server.running import Running

_log = logging.getLogger("exitway")

LOOK_SECONDS = 0.03
"""Between two looks for the namespaces of pods that have just come."""
AT_ONCE = 8
"""Pods that are captured before the proxy is told: where many come at once, the first do not wait for the last."""
SLOW_LOOK_SECONDS = 0.25
FRESH_SECONDS = 20.0
"""How long a pod has just come: what takes longer waits for a volume or an image, and can wait for us as well."""
BARRED_SECONDS = 60.0
"""How long a pod is without a proxy in whose namespace the proxy could not listen."""
RENEWED_SECONDS = 5.0
"""After which a ruleset that could not be renewed is tried again: it may let through what is the cluster's no more."""
MOST_OF_A_NAME = 60
_ENDED = ("Succeeded", "Failed")
_TAKEN = "a program in it has a port that the proxy needs (1 or 2)"


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves pods. ``keeper``: the process that outlives us; names are served while it lives.

    ``changed``: tell the proxy; ``settled``: wait until it has done so; ``seen`` hears what the kernel says of packets; ``renewed``: the ruleset
    of a workload is a new one, with empty sets. ``audit_namespaces``: whose pods are under audit.
    """

    names: Names
    keeper: Process
    changed: Callable[[], Awaitable[None]]
    settled: Callable[[], Awaitable[object]]
    seen: Callable[[Member, Report], None]
    renewed: Callable[[str], None]
    audit_namespaces: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _Pod:
    """A pod of this node that is to be captured. ``search``: its own search domains; ``since``: when we first heard of it (``time.monotonic``)."""

    uid: str
    workload: Workload
    search: tuple[str, ...]
    since: float


@dataclass(kw_only=True)
class _Captured(Running):
    """A pod that is served. ``uid``: its own; ``inode``: of its network namespace; ``outlets``: where what it sends comes out of that."""

    uid: str
    inode: int
    capture: PodCapture
    outlets: tuple[Outlet, ...]


class NodePods:
    """``running``: the captured ones, by an id that tells their network namespaces apart, too."""

    def __init__(self, kube: Kube, node: str, directory: Path, serving: Serving, wall: NodeWall | None) -> None:
        """``directory``: where the namespaces are pinned."""
        self.running: dict[str, _Captured] = {}
        self.ended = ()
        self._netns = directory / "netns"
        self._netns.mkdir(mode=0o700, exist_ok=True)
        self._owner = str(directory)
        self._wall = wall
        self._barred: dict[str, float] = {}
        self._capture: PodCapture | None = None
        self._serving = serving
        self._pods: dict[str, _Pod] = {}
        self._errors: dict[str, str] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._processes = PodProcesses()
        self._news = asyncio.Event()
        self.reflector = Reflector(
            kube,
            "/api/v1/pods",
            params={"labelSelector": f"{CAPTURED}={Placement.NODE}", "fieldSelector": f"spec.nodeName={node}"},
            changed=self._heard,
            kept=_kept,
        )

    async def take_in(self, capture: PodCapture) -> None:
        """Capture the pods that run already, of which the API has told."""
        self._capture = capture
        await self._look(most=None)
        pinned = {path.name for path in self._netns.iterdir()}
        for left in pinned - self.running.keys():
            unpin(self._netns / left)

    async def follow(self) -> None:
        """Capture pods that come, let go those that end, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            if await self._look():
                for identity in list(self.running)[:1]:  # the proxy comes last: the gate looks for it
                    await self._serving.names.ready(identity)
                await self._serving.changed()
            await asyncio.to_thread(self._wall_up)

    async def proxy_starts(self) -> None:
        """Let go the pods in which a program has the proxy's ports: there is none, so it is not the proxy.

        They would be a proxy's end, and again that of the next (``Supervisor``): it is for all pods of the node.
        """
        taken = self.running.keys() & await asyncio.to_thread(self._taken)  # some have ended meanwhile
        for identity in taken:
            self._bar(identity)
        if taken:
            await self._serving.changed()

    def proxy_strayed(self, namespaces: set[int]) -> None:
        """A proxy could not listen in these: the same."""
        for identity in [one for one, running in self.running.items() if running.inode in namespaces]:
            self._bar(identity)

    def recapture(self, capture: PodCapture) -> None:
        """From now on, capture pods so, those that are captured included."""
        self._capture = capture
        self._news.set()

    def close(self) -> None:
        """Serve no more. The pods stay captured, and reach nothing; but their addresses may soon be other pods'."""
        for running in self.running.values():
            running.close()
        if self._wall:
            self._wall.close()

    @property
    def problems(self) -> list[str]:
        """One sentence for each pod that the proxy does not serve, and one for the wall round them if it does not stand."""
        wall = [self._wall.problem] if self._wall and self._wall.problem else []
        return [*(f"a pod reaches nothing: {error}" for error in self._errors.values()), *wall]

    def search(self, identity: str) -> tuple[str, ...]:
        """The search domains of a pod's own."""
        running = self.running.get(identity)
        pod = running and self._pods.get(running.uid)
        return pod.search if pod else ()

    def _heard(self, _: Iterable[Name]) -> None:
        pods = {pod["metadata"]["uid"]: pod for pod in self.reflector.objects.values() if _is_ours(pod)}
        now = time.monotonic()
        self._pods = {
            uid: _Pod(uid, _workload(pod), tuple(pod["spec"]["search"]), self._since(uid, now))
            for uid, pod in pods.items()
        }
        self._processes.forget()
        self._news.set()

    def _since(self, uid: str, now: float) -> float:
        return self._pods[uid].since if uid in self._pods else now

    def _pause(self) -> float | None:
        """How long until the next look; None: until there is news."""
        now = time.monotonic()
        waiting = [self._pods[uid].since for uid in self._waiting()]
        if waiting:
            return LOOK_SECONDS if now - max(waiting) < FRESH_SECONDS else SLOW_LOOK_SECONDS
        due = [*self._barred.values(), *([now + RENEWED_SECONDS] if any(self._outdated()) else [])]
        return max(LOOK_SECONDS, min(due) - now) if due else None

    def _waiting(self) -> set[str]:
        """The uids of pods whose namespace we do not know, or whose process in it has ended."""
        known = {running.uid for running in self.running.values() if running.process.alive}
        now = time.monotonic()
        return self._pods.keys() - known - {uid for uid, until in self._barred.items() if until > now}

    async def _look(self, most: int | None = AT_ONCE) -> bool:
        """Bring ``running`` up to date, with no more new pods than ``most``; whether that changed something for the proxy."""
        found = await asyncio.to_thread(self._processes.sandboxes, waiting) if (waiting := self._waiting()) else {}
        changes = [self._let_go(one) for one, running in list(self.running.items()) if running.uid not in self._pods]
        known = (uid for uid in found if uid in self._pods)
        first = sorted(known, key=lambda uid: (uid in self._errors, self._pods[uid].since))[:most]
        changes += await asyncio.gather(*(self._found(self._pods[uid], found[uid]) for uid in first))
        changes += list(self._relabelled())
        changes += await asyncio.gather(*map(self._renew, self._outdated()))
        self._errors = {uid: error for uid, error in self._errors.items() if uid in self._pods}
        self._barred = {uid: until for uid, until in self._barred.items() if uid in self._pods}
        return any(changes)

    async def _found(self, pod: _Pod, sandbox: Sandbox) -> bool:
        identity = _identity(pod, sandbox)
        if known := self.running.get(identity):
            known.process = sandbox.process
            self._watch(known)
            return False
        try:
            await self._take(pod, identity, sandbox)
        except (OSError, ValueError, KeyError) as error:  # also an answer of `ip` that nobody thought of
            self._serving.names.remove(identity)
            unpin(self._netns / identity)
            self._failed(pod.uid, str(error))
            return False
        self._errors.pop(pod.uid, None)
        for one in [one for one, other in self.running.items() if other.uid == pod.uid and one != identity]:
            self._let_go(one)  # its sandbox was made anew
        return True

    async def _take(self, pod: _Pod, identity: str, sandbox: Sandbox) -> None:
        began = time.monotonic()
        netns = self._netns / identity
        member = self._member(identity, pod.workload)
        hold(sandbox, netns)
        capture, outlets = await self._install(identity)
        if pod.uid in self._barred:  # the proxy has left it
            if await asyncio.to_thread(ports_taken, netns):
                self._barred[pod.uid] = time.monotonic() + BARRED_SECONDS
                raise OSError(_TAKEN)
            del self._barred[pod.uid]
        self._serving.names.add(identity, netns, self._serving.keeper)
        running = _Captured(member, sandbox.process, uid=pod.uid, inode=sandbox.inode, capture=capture, outlets=outlets)
        running.refusals = RefusalLog.open(netns, lambda packet: self._serving.seen(running.member, packet))
        self._watch(running)
        self.running[identity] = running
        _log.info("pod %s is captured, in %.0f ms", pod.workload, 1000 * (time.monotonic() - began))

    def _member(self, identity: str, workload: Workload) -> Member:
        audit = workload.namespace in self._serving.audit_namespaces
        return Member(identity, workload, str(self._netns / identity), audit=audit)

    async def _install(self, identity: str) -> tuple[PodCapture, tuple[Outlet, ...]]:
        capture = self._capture
        assert capture is not None
        return capture, await asyncio.to_thread(install, self._netns / identity, capture, self._owner)

    def _outdated(self) -> Iterator[_Captured]:
        return (running for running in self.running.values() if running.capture != self._capture)

    async def _renew(self, running: _Captured) -> bool:
        identity = running.member.id
        try:
            running.capture, running.outlets = await self._install(identity)
        except OSError as error:  # what was there is there still
            _log.warning("the ruleset of %s is not renewed: %s", identity, error)
            return False
        self._serving.renewed(identity)
        return True

    def _watch(self, running: Running) -> None:
        """Look again when its process ends: another one may be in there, or the pod in another namespace."""
        if running.watch is not None:
            running.watch.cancel()
        running.watch = asyncio.create_task(self._until_ended(running.process), name=f"watch {running.member.id}")

    async def _until_ended(self, process: Process) -> None:
        await process.ended()
        self._news.set()

    def _let_go(self, identity: str) -> bool:
        self.running.pop(identity).close()
        self._serving.names.remove(identity)
        task = asyncio.create_task(self._unpin(identity))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return True

    def _bar(self, identity: str) -> None:
        uid = self.running[identity].uid
        self._let_go(identity)
        self._barred[uid] = time.monotonic() + BARRED_SECONDS
        self._failed(uid, _TAKEN)
        self._news.set()

    def _failed(self, uid: str, why: str) -> None:
        error = f"{self._pods[uid].workload}: {why}" if uid in self._pods else why
        if self._errors.get(uid) != error:
            _log.warning("a pod reaches nothing: %s", error)
        self._errors[uid] = error

    def _taken(self) -> list[str]:
        return [one for one in list(self.running) if _is_taken(self._netns / one)]

    def _wall_up(self) -> None:
        """What has ended has no addresses any more: they may be another pod's."""
        if self._wall is None:
            return
        assert self._capture is not None
        alive = [running for running in list(self.running.values()) if running.process.alive]
        outlets = [outlet for running in alive for outlet in running.outlets]
        self._wall.follow(outlets, self._capture.cluster)

    async def _unpin(self, identity: str) -> None:
        """When the proxy has left: one that is still to enter must find the namespace, for its threads stay where they cannot listen."""
        await self._serving.changed()
        await self._serving.settled()
        if identity not in self.running:
            unpin(self._netns / identity)

    def _relabelled(self) -> Iterator[bool]:
        for identity, running in self.running.items():
            pod = self._pods.get(running.uid)
            if pod and running.member.workload != pod.workload:
                running.member = self._member(identity, pod.workload)
                yield True


def _identity(pod: _Pod, sandbox: Sandbox) -> str:
    digest = hashlib.blake2b(f"{pod.uid} {sandbox.inode}".encode(), digest_size=6).hexdigest()
    return f"{pod.workload.name[:MOST_OF_A_NAME]}-{digest}"


def _is_ours(pod: Mapping[str, Any]) -> bool:
    """The node's own network is never captured, what has ended needs nothing, and what stands for a static pod is never run."""
    return (
        not pod["spec"].get("hostNetwork")
        and not pod["metadata"]["static"]
        and pod["status"].get("phase") not in _ENDED
    )


def _workload(pod: Mapping[str, Any]) -> Workload:
    metadata = pod["metadata"]
    return Workload(metadata["namespace"], metadata["name"], metadata.get("labels", {}))


def _kept(pod: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: pod["metadata"].get(key) for key in ("name", "namespace", "uid", "resourceVersion", "labels")}
    return {
        "metadata": metadata
        | {"labels": metadata["labels"] or {}, "static": MIRROR in (pod["metadata"].get("annotations") or {})},
        "spec": {
            "hostNetwork": pod["spec"].get("hostNetwork", False),
            "search": [one.lower().strip(".") for one in pod["spec"].get("dnsConfig", {}).get("searches") or ()],
        },
        "status": {"phase": pod.get("status", {}).get("phase", "")},
    }


def _is_taken(netns: Path) -> bool:
    try:
        return ports_taken(netns)
    except OSError:  # the namespace is gone
        return False
