"""The running workloads: how one comes in, how its end is noticed, and what a server that was killed left behind."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from exitway.api.authorities import authority_faults
from exitway.api.status import Cause, Refusal, invalid
from exitway.capture.netns import pin, unpin
from exitway.capture.nflog import RefusalLog, Report
from exitway.processes import Process
from exitway.resources.problem import Problem
from exitway.server.names import Names
from exitway.server.program import Member, Publication
from exitway.server.request import ITSELF, Brought, read_request
from exitway.server.running import Running, listening

_log = logging.getLogger("exitway")

READY_SECONDS = 10.0
MOST_OF_A_NAME = 60
"""What of a workload's name goes into its id, and so into the names of files."""


class Workloads:
    """All running workloads, by id. Each has a record and a pinned network namespace under the runtime directory."""

    def __init__(
        self,
        directory: Path,
        names: Names,
        *,
        audit_namespaces: Collection[str],
        changed: Callable[[], Awaitable[None]],
        seen: Callable[[Member, Report], None],
    ) -> None:
        self._records = directory / "workloads"
        self._netns = directory / "netns"
        self._audit_namespaces = audit_namespaces
        self._changed = changed
        self._names = names
        self._seen = seen
        self.running: dict[str, Running] = {}
        self.ended: list[Member] = []
        """Those that ended while no server ran: what they did last may be yet to be recorded."""
        for path in (self._records, self._netns):
            path.mkdir(mode=0o700, exist_ok=True)

    async def restore(self) -> None:
        """Take in again the workloads of a server that was killed, and remove what remains of those that have ended."""
        for record in sorted(self._records.glob("*.json")):
            try:
                content = json.loads(record.read_text())
                process = Process(content["process"]["pid"], content["process"]["start_time"])
                member = self._member(read_request(content["request"]), record.stem)
                if process.alive:
                    self._serve(member, process)
                else:
                    self.ended.append(member)
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
        brought = read_request(request)
        if brought.require_enforce and self._audited(brought):
            message = "the workload would be under audit: what is denied would be recorded and let through"
            raise _refusal("EXW0705", message, "without --audit, and its namespace not in EXITWAY_AUDIT_NAMESPACES")
        process = _process(brought.pid)
        if faults := list(authority_faults(brought.intents)):
            raise invalid([Cause(problem, ITSELF) for problem in faults])
        for one in brought.publications:
            _need_free(one)
        name = f"{brought.workload.name[:MOST_OF_A_NAME]}-{secrets.token_hex(4)}"
        member = self._member(brought, name)
        try:
            self._keep(member, process, request)
            running = self._serve(member, process)
            await self._changed()
            await self._named(member)
            await self._listening(member)
        except BaseException as error:
            await self.remove(name)
            if isinstance(error, OSError):  # such as a disk that is full
                raise Refusal(503, "ServiceUnavailable", f"the workload cannot be served: {error}") from error
            raise
        return running

    def _keep(self, member: Member, process: Process, request: Mapping[str, Any]) -> None:
        """Write down what the next server needs to take the workload in again, and hold its network namespace."""
        record = {"request": dict(request), "process": {"pid": process.pid, "start_time": process.start_time}}
        (self._records / f"{member.id}.json").write_text(json.dumps(record))
        try:
            pin(process.pid, Path(member.netns))
        except OSError:
            if not process.alive:
                raise _not_there(process.pid) from None
            raise

    def brought(self, identity: str) -> Mapping[str, Any]:
        """The request that a running workload came with (:mod:`exitway.server.request`)."""
        record: Mapping[str, Any] = json.loads((self._records / f"{identity}.json").read_text())
        return record["request"]  # type: ignore[no-any-return]

    async def remove(self, identity: str) -> None:
        """Let a workload go, and what there is of one that did not come up."""
        running = self.running.pop(identity, None)
        try:
            if running is not None:
                self._names.remove(identity)
                running.close()
                await self._changed()
        finally:
            self._forget(identity)

    def close(self) -> None:
        """Stop serving; the records stay, so that the next server takes the living workloads in again."""
        for running in self.running.values():
            running.close()

    def _member(self, brought: Brought, identity: str) -> Member:
        return Member(
            identity,
            brought.workload,
            str(self._netns / identity),
            brought.intents,
            brought.publications,
            brought.ranges,
            self._audited(brought),
        )

    def _audited(self, brought: Brought) -> bool:
        return brought.audit or brought.workload.namespace in self._audit_namespaces

    def _serve(self, member: Member, process: Process) -> Running:
        running = Running(member, process)
        self._names.add(member.id, Path(member.netns), process)
        running.refusals = RefusalLog.open(Path(member.netns), lambda packet: self._seen(member, packet))
        running.watch = asyncio.create_task(self._until_ended(running), name=f"watch {member.id}")
        self.running[member.id] = running
        return running

    async def _until_ended(self, running: Running) -> None:
        await running.process.ended()
        await self.remove(running.member.id)

    async def _named(self, member: Member) -> None:
        if not await self._names.ready(member.id):
            message = "names are not served in the workload's namespace"
            raise _refusal("EXW0704", message, "`exitway status` shows how the server is")

    async def _listening(self, member: Member) -> None:
        """Wait until the proxy accepts connections inside the namespace, and has the published ports."""
        until = time.monotonic() + READY_SECONDS
        while not await asyncio.to_thread(listening, Path(member.netns)):
            if time.monotonic() > until:
                message = "the proxy does not listen in the workload's namespace"
                raise _refusal("EXW0702", message, "`exitway status` shows how it is")
            await asyncio.sleep(0.002)
        while free := [one for one in member.publications if _bind_error(one) != errno.EADDRINUSE]:
            if time.monotonic() > until:
                raise _unpublished(free[0], "the proxy does not listen there")
            await asyncio.sleep(0.002)

    def _forget(self, identity: str) -> None:
        (self._records / f"{identity}.json").unlink(missing_ok=True)
        unpin(self._netns / identity)


def _process(pid: int) -> Process:
    process = Process.of(pid)
    try:
        if process is not None and not Path(f"/proc/{pid}/ns/net").samefile("/proc/self/ns/net"):
            return process
    except OSError:  # it has ended meanwhile
        pass
    raise _not_there(pid)


def _need_free(publication: Publication) -> None:
    error = _bind_error(publication)
    if error:
        raise _unpublished(publication, os.strerror(error))


def _bind_error(publication: Publication) -> int:
    """Why the address cannot be had; 0: it can, nobody listens there."""
    family = socket.AF_INET6 if ":" in publication.address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended do not count
        try:
            probe.bind((publication.address, publication.port))
        except OSError as error:
            return error.errno or errno.EINVAL
    return 0


def _not_there(pid: int) -> Refusal:
    return _refusal("EXW0701", f"process {pid} is not in a network namespace of its own")


def _unpublished(publication: Publication, reason: str) -> Refusal:
    message = f"port {publication.port} of {publication.address} cannot be published: {reason}"
    return _refusal("EXW0703", message, "publish another one, as in -p 8081:8080")


def _refusal(code: str, message: str, hint: str = "") -> Refusal:
    return invalid([Cause(Problem(code, message, hint), ITSELF)])
