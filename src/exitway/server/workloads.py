"""The running workloads: how one comes in, how its end is noticed, and what a server that was killed left behind."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exitway.api.status import Cause, Refusal, invalid
from exitway.capture.netns import in_netns, pin, unpin
from exitway.capture.nflog import RefusalLog, Refused
from exitway.envoy.listener import CAPTURE_PORT
from exitway.names.workload import Workload
from exitway.processes import Process
from exitway.resources import kinds
from exitway.resources.intent import Intent
from exitway.resources.problem import Problem, Problems
from exitway.server.names import Names
from exitway.server.program import Member, Publication

_log = logging.getLogger("exitway")

READY_SECONDS = 10.0


@dataclass
class Running:
    """A workload with what serves it inside its network namespace."""

    member: Member
    process: Process
    request: Mapping[str, Any]
    refusals: RefusalLog | None = None
    watch: asyncio.Task[None] | None = None


class Workloads:
    """All running workloads, by id. Each has a record and a pinned network namespace under the runtime directory."""

    def __init__(
        self,
        directory: Path,
        names: Names,
        *,
        changed: Callable[[], Awaitable[None]],
        refused: Callable[[Member, str | None, Refused], None],
    ) -> None:
        self._records = directory / "workloads"
        self._netns = directory / "netns"
        self._changed = changed
        self._names = names
        self._refused = refused
        self.running: dict[str, Running] = {}
        for path in (self._records, self._netns):
            path.mkdir(mode=0o700, exist_ok=True)

    async def restore(self) -> None:
        """Take in again the workloads of a server that was killed, and remove what remains of those that have ended."""
        for record in sorted(self._records.glob("*.json")):
            try:
                content = json.loads(record.read_text())
                process = Process(content["process"]["pid"], content["process"]["start_time"])
                if process.alive:
                    self._serve(self._member(content["request"], record.stem), process, content["request"])
            except (OSError, ValueError, KeyError, Refusal) as error:
                _log.warning("workload %s is not taken in again: %s", record.stem, error)
        for path in {*self._records.glob("*.json"), *self._netns.iterdir()}:
            if path.stem not in self.running:
                self._forget(path.stem)

    async def add(self, request: Mapping[str, Any]) -> Running:
        """Take in a workload; returns when the proxy listens in its namespace with the policy in force.

        Raises:
            Refusal: a bad request or rule, a process that is not in a namespace of its own, or a proxy that does not come up.
        """
        process = Process.of(int(request["pid"]))
        if process is None or _same_netns(process.pid):
            raise _refusal("EXW0701", f"process {request['pid']} is not in a network namespace of its own")
        name = f"{request['name']}-{secrets.token_hex(3)}"
        member = self._member(request, name)
        pin(process.pid, Path(member.netns))
        record = {"request": dict(request), "process": {"pid": process.pid, "start_time": process.start_time}}
        (self._records / f"{name}.json").write_text(json.dumps(record))
        try:
            running = self._serve(member, process, request)
            await self._changed()
            await self._names.ready()
            await self._listening(member)
        except BaseException:
            await self.remove(name)
            raise
        return running

    async def remove(self, identity: str) -> bool:
        """Let a workload go. False: there is none of this id."""
        running = self.running.pop(identity, None)
        if running is not None:
            self._names.remove(identity)
            if running.watch is not None and running.watch is not asyncio.current_task():
                running.watch.cancel()
            if running.refusals is not None:
                running.refusals.close()
            await self._changed()
        self._forget(identity)
        return running is not None

    def close(self) -> None:
        """Stop serving; the records stay, so that the next server takes the living workloads in again."""
        for running in self.running.values():
            if running.refusals is not None:
                running.refusals.close()
            if running.watch is not None:
                running.watch.cancel()

    def _member(self, request: Mapping[str, Any], identity: str) -> Member:
        namespace = request["namespace"]
        causes: list[Cause] = []
        intents: list[Intent] = []
        for index, wire in enumerate(request.get("rules", ())):
            try:
                intents += kinds.read({**wire, "metadata": {**wire["metadata"], "namespace": namespace}}).intents
            except Problems as found:
                causes += [Cause(problem, index) for problem in found.problems]
        if causes:
            raise invalid(causes)
        return Member(
            id=identity,
            workload=Workload(namespace, request["name"], dict(request.get("labels", {}))),
            netns=str(self._netns / identity),
            intents=tuple(intents),
            publications=tuple(Publication(p["address"], p["port"], p["target"]) for p in request.get("publish", ())),
        )

    def _serve(self, member: Member, process: Process, request: Mapping[str, Any]) -> Running:
        running = Running(member, process, request)
        self._names.add(member.id, Path(member.netns), process)
        running.refusals = RefusalLog.open(
            Path(member.netns),
            lambda refused: self._refused(member, self._names.name_of(member.id, refused.address), refused),
        )
        running.watch = asyncio.create_task(self._until_ended(running), name=f"watch {member.id}")
        self.running[member.id] = running
        return running

    async def _until_ended(self, running: Running) -> None:
        await running.process.ended()
        await self.remove(running.member.id)

    async def _listening(self, member: Member) -> None:
        """Wait until the proxy accepts connections inside the namespace."""
        until = time.monotonic() + READY_SECONDS
        while not await asyncio.to_thread(in_netns, Path(member.netns), _accepts):
            if time.monotonic() > until:
                raise _refusal(
                    "EXW0702",
                    "the proxy does not listen in the workload's namespace",
                    "`exitway status` shows how it is",
                )
            await asyncio.sleep(0.002)

    def _forget(self, identity: str) -> None:
        (self._records / f"{identity}.json").unlink(missing_ok=True)
        unpin(self._netns / identity)


def _accepts() -> bool:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            if probe.connect_ex((address, CAPTURE_PORT)) != 0:
                return False
    return True


def _same_netns(pid: int) -> bool:
    return Path(f"/proc/{pid}/ns/net").samefile("/proc/self/ns/net")


def _refusal(code: str, message: str, hint: str = "") -> Refusal:
    return invalid([Cause(Problem(code, message, hint))])
