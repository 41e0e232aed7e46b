"""What serves workloads, wherever it runs: policy, names, xDS, Envoy, rulesets and records, joined in one process.

Where the rules and the workloads come from is the affair of who extends it: one machine's server (``serve.py``), a node's agent in a cluster.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import resource
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from exitway.capture.nflog import Begun, Refused, Report
from exitway.capture.wall import Wall
from exitway.envoy.bootstrap import Machine, bootstrap
from exitway.envoy.listener import Proxy
from exitway.names.address import Pinned
from exitway.names.cluster import AUTHORITIES
from exitway.policy.direct import Direct
from exitway.policy.policy import Policy
from exitway.proxy.binary import find_envoy
from exitway.proxy.process import EnvoyProcess
from exitway.resources.problem import Problems
from exitway.server.guard import Guard
from exitway.server.links import Links
from exitway.server.metrics import EngineMetrics
from exitway.server.names import Names
from exitway.server.owners import Owners
from exitway.server.program import Member, Program
from exitway.server.record import Recorder
from exitway.server.revoke import Revoker
from exitway.server.running import Running
from exitway.server.settle import settle
from exitway.server.steer import Steerer
from exitway.server.supervise import Supervisor, system_authorities
from exitway.settings import Settings
from exitway.store.reading import Rules
from exitway.xds.server import DiscoveryServer

_log = logging.getLogger("exitway")

ACKNOWLEDGED_SECONDS = 10.0
REVOKED_SECONDS = 0.5
"""How long what has lost its permission lives on for a proxy that does not acknowledge that: then it is cut all the same."""
CLOCK_SECONDS = 0.25
RETRY_SECONDS = 10.0


class Workloads(Protocol):
    """The workloads that are served now."""

    @property
    def running(self) -> Mapping[str, Running]:
        """By id."""

    @property
    def ended(self) -> Iterable[Member]:
        """Those that ended while nobody served: what they did last may be yet to be recorded."""

    def close(self) -> None:
        """Stop serving them; what leads their packets to the proxy stays."""


class Engine(ABC):
    """Joins the parts. One for each runtime directory.

    ``loopback``: whether ``host.exitway.internal`` leads to the loopback of where we are.
    """

    workloads: Workloads

    def __init__(self, settings: Settings, rules: Rules, names: Names, *, alone: bool, loopback: bool = False) -> None:
        """``alone``: whether all rules are those of the machine's owner.

        If not, nothing goes past the proxy (what rules call direct goes through it), and files of authorities are in one directory.
        """
        self.settings = settings
        self.rules = rules
        self.names = names
        wall = Wall(str(settings.runtime_dir))
        access_log = settings.runtime_dir / "access.log"
        resolver = f"127.0.0.1:{names.proxy_port}"
        machine = Machine(
            str(settings.xds_socket),
            str(settings.admin_socket),
            resolver,
            system_authorities(),
            wall.mark,
            _connections(),
            str(access_log),
        )
        self.supervisor = Supervisor(envoy_process(settings), bootstrap(machine), self.proxy_starts, self.proxy_strayed)
        self.guard = Guard(wall, names, loopback=loopback, shared=not alone)
        self.discovery = DiscoveryServer()
        ipv6 = socket.has_dualstack_ipv6()
        proxy = Proxy(
            resolver, wall.mark, str(access_log), settings.denied_status, ipv6=ipv6, traces=settings.collector
        )
        self._program = Program(proxy, direct=alone, authorities="" if alone else AUTHORITIES)
        self._owners = Owners()
        self._recorder = Recorder(access_log, settings.flow_db)
        self.revoker = Revoker(
            self._recorder.reader, lambda: self.discovery.settled(1, REVOKED_SECONDS), self._recorder.tell
        )
        self._links = Links(str(settings.runtime_dir))
        self.steerer = Steerer(names, self._links, self._recorder.cut)
        self._publishing = asyncio.Lock()
        self._compiled: object = None
        self._published: dict[str, Pinned] | None = None
        self._revision = rules.revision
        self.metrics = EngineMetrics(self, self._recorder)
        self.stopping = asyncio.Event()
        self.started = time.time()
        self._carried_out = time.monotonic()

    @abstractmethod
    async def populate(self) -> None:
        """Know the rules, and the workloads that run already: what the proxy is told first. A proxy that has been there goes on until then."""

    @abstractmethod
    def parts(self) -> Iterable[Awaitable[object]]:
        """What else runs, once the proxy is told; the end of one is the end of all."""

    @property
    def problems(self) -> list[str]:
        """What does not work as it should: a sentence for each."""
        return [problem for problem in (self.revoker.problem, self.guard.problem, self._recorder.problem) if problem]

    async def proxy_starts(self) -> None:  # noqa: B027 - most have nothing to add
        """There is no proxy, and one is started next."""

    def proxy_strayed(self, namespaces: set[int]) -> None:  # noqa: B027 - most have nothing to add
        """A proxy could not listen in these network namespaces (their inodes), and is ended."""

    def told(self, policies: Mapping[str, Policy]) -> None:  # noqa: B027 - most have nothing to add
        """These are the policies, by workload id, of which the proxy is told next."""

    def publish_anew(self) -> None:
        """The next publication is not what it was: something beside rules and workloads has changed."""
        self._published = None

    async def publish(self) -> None:
        """Make what the rules and workloads say now the proxy's target. Costs next to nothing when that is what it is already."""
        heard = time.monotonic()
        async with self._publishing:
            await self._publish(datetime.now(UTC), heard)

    async def _publish(self, now: datetime, heard: float) -> None:
        members = [one.member for one in self.workloads.running.values()]
        compiled = (self.rules.registry, members)
        if compiled != self._compiled or not self._program.holds(now):
            self._compiled = compiled
            self._program.compile(*compiled, now)
            self._published = None
        pinned = await self._pin(members)
        if pinned != self._published or self.guard.problem:
            await self.guard.follow(self._program.policies)
            self.told(self._program.policies)
            changed = heard if self.rules.revision != self._revision else 0.0
            self.discovery.publish(self._program.snapshot(pinned), changed=changed)
            self._published, self._revision = pinned, self.rules.revision
            for member in members:
                if self._observe(member, self._program.policies[member.id]):
                    self.revoker.policy_changed(member.id)
        await self._steer(members, pinned)

    def _observe(self, member: Member, policy: Policy) -> bool:
        """What it does is recorded by this policy from now on. True: it is another one than before."""
        return self._recorder.observe(
            member,
            policy,
            functools.partial(self.names.name_of, member.id),
            functools.partial(self.names.refusal, member.id),
            functools.partial(self._owners.of, self.workloads.running, member.id),
        )

    async def _pin(self, members: list[Member]) -> dict[str, Pinned]:
        """The addresses of the names that are enforced by them, as far as they are known: none is where the name process is away."""
        wanted = {one.id: self._names_to_pin(one.id, self._program.policies[one.id]) for one in members}
        pinned: dict[str, Pinned] = {one: self.names.pin(one, names) for one, names in wanted.items()}
        if any(len(pinned[one]) < len(names) for one, names in wanted.items()):
            await asyncio.gather(*(self.names.pinned(one) for one in wanted))
            pinned = {one: self.names.pin(one, names) for one, names in wanted.items()}
        return pinned

    def _names_to_pin(self, identity: str, policy: Policy) -> set[str]:
        """Names that are enforced by their addresses. Patterns mean the names that were asked for."""
        asked = self.names.names_of(identity, [host for host in policy.tcp_hosts if host.wildcard])
        direct = {name for name, _ in policy.direct.names}
        return direct.union(asked, (str(host) for host in policy.tcp_hosts if not host.wildcard))

    async def _steer(self, members: list[Member], pinned: Mapping[str, Pinned]) -> None:
        """Let every ruleset follow the policy that is in force."""
        await self.steerer.follow(
            {one.id: (Path(one.netns), self._program.policies[one.id], pinned[one.id]) for one in members}
        )

    def direct(self, identity: str) -> list[str]:
        """What a workload reaches past the proxy, each in a word: ``name:port``, ``network:port``, and the ranges without a port."""
        policy = self._program.policies.get(identity)
        direct = policy.direct if policy else Direct()
        ported = sorted(f"{name}:{port}" for name, port in (*direct.names, *direct.networks))
        return [*map(str, direct.ranges), *ported]

    async def settled(self) -> bool:
        """Wait until all is written that workloads have done which have ended by now, but not for ever; whether it is."""
        await self.publish()
        acknowledged = await self.acknowledged()
        access_log = self.settings.runtime_dir / "access.log"
        return acknowledged and await settle(self.settings.admin_socket, access_log, self._recorder.up_to_now)

    def seen(self, member: Member, packet: Report) -> None:
        """What the kernel tells of a workload: what it refused, what begins, and what goes past the proxy."""
        if isinstance(packet, Begun):
            self._owners.began(self.workloads.running, member.id, packet.local, packet.remote)
            return
        if isinstance(packet, Refused):
            self._recorder.refused(member, self.names.name_of(member.id, packet.address), packet)
            return
        nowhere = self.steerer.leads_nowhere(member.id, packet.address, packet.port)
        self._recorder.opened(member, packet, refused=nowhere)

    async def acknowledged(self) -> bool:
        """Wait until the proxy has answered to what is published, but not for ever; whether it has."""
        return await self.discovery.settled(proxies=1, timeout_seconds=ACKNOWLEDGED_SECONDS)

    async def programmed(self, revision: int) -> list[str]:
        """Publish the store's state, wait for the proxy; one sentence for each that has not acknowledged it."""
        del revision  # what is published is always the newest
        await self.publish()
        await self.steerer.settled()
        settled = await self.acknowledged()
        await self.revoker.cut()
        if not settled:
            return [
                f"the proxy has not acknowledged the change within {ACKNOWLEDGED_SECONDS:.0f} s; it stays on its last good configuration"
            ]
        return self.steerer.errors + [
            f"the proxy refused the change and stays on its last good configuration: {error}"
            for error in self.discovery.errors
        ]

    async def serve(self) -> None:
        """Serve until stopped (SIGINT, SIGTERM)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stopping.set)
        try:
            await _first_of([asyncio.ensure_future(self.stopping.wait()), asyncio.ensure_future(self._work())])
        finally:
            self.stopping.set()
            await self._close()

    async def _work(self) -> None:
        await self.populate()
        tasks = [asyncio.ensure_future(self.names.run())]  # not before: what it serves that we do not know is let go
        self._links.adopt(self.workloads.running)
        if self.workloads.running:
            await self.names.known()
        await self.publish()
        for member in self.workloads.ended:
            self._observe(member, self._program.policy(self.rules.registry, member, datetime.now(UTC)))
        # not before: a proxy that has been there would be told of nothing, and close all
        await self.discovery.start(self.settings.xds_socket)
        await _first_of(tasks + [asyncio.ensure_future(part) for part in (*self._parts(), *self.parts())])

    def _parts(self) -> Iterable[Awaitable[object]]:
        yield self.supervisor.run()
        yield self.steerer.follow_names()
        yield self._recorder.follow(self.settings.admin_socket, self.revoker.begun)
        yield self._recorder.retain(self.settings.flows_days, self.settings.flows_megabytes)
        yield self.revoker.run()
        yield self._follow_rules()
        yield self._follow_names()
        yield self._follow_clock()

    async def _follow_rules(self) -> None:
        """Changes that nobody waits for are published, too."""
        while await self.rules.after(self.rules.revision):
            await self.carry_out()

    async def _follow_names(self) -> None:
        """Names of a pattern that a rule for TCP speaks of are asked for when they are: their addresses have to be known to the proxy first."""
        while True:
            await self.names.asked.wait()
            self.names.asked.clear()
            held = self.names.take_held()
            await self.carry_out()
            await self.acknowledged()
            for identity, names in held.items():
                self.names.release(identity, names & (self._published or {}).get(identity, {}).keys())

    async def _follow_clock(self) -> None:
        """Rules that have expired are withdrawn. Looking is cheap, and holds whatever becomes of the clock or of a timer."""
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            await self.carry_out()

    async def carry_out(self) -> None:
        """As :meth:`publish`. What fails is tried again by the clock.

        A server that cannot carry out for long what the rules say ends, and its proxy with it: nothing is let out rather than what was.
        """
        try:
            await self.publish()
        except (OSError, ValueError, Problems) as error:
            _log.error("what the rules say could not be carried out: %s", error)
            if time.monotonic() - self._carried_out > RETRY_SECONDS:
                raise
        else:
            self._carried_out = time.monotonic()

    async def _close(self) -> None:
        self.supervisor.stop()
        self.workloads.close()
        for step in (self._links.close_all, self.guard.stop, self.names.close):
            try:
                step()
            except (OSError, Problems) as error:
                _log.error("something is left behind: %s", error)
        await self.discovery.stop()
        self.rules.close()
        self.closed()
        self._recorder.close()  # last: a full disk fails it

    def closed(self) -> None:  # noqa: B027 - most have nothing to add
        """All is closed but the records."""


async def _first_of(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until one ends, and end the others. Raises what it has raised."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def envoy_process(settings: Settings) -> EnvoyProcess:
    """The Envoy of a runtime directory."""
    return EnvoyProcess(
        find_envoy(settings.envoy), settings.runtime_dir, settings.concurrency or min(4, os.cpu_count() or 1)
    )


def _connections() -> int:
    """A fifth of the proxy's files for what arrives, one for each way out, and one for listeners, logs and the rest."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 5


def many_files() -> None:
    """Raise our limit of open files as far as we may. Envoy inherits it: two for each connection."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
