"""The server: store, API, policy, xDS, Envoy and the running workloads, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from exitway.api.app import create_app
from exitway.api.guard import token
from exitway.api.listen import serve, unix_socket
from exitway.capture.home import Home
from exitway.capture.nflog import Opened, Refused
from exitway.capture.wall import Wall
from exitway.envoy.bootstrap import Machine, bootstrap
from exitway.envoy.listener import Proxy
from exitway.names.address import Pinned
from exitway.policy.direct import Direct
from exitway.policy.policy import Policy
from exitway.proxy.binary import find_envoy
from exitway.proxy.process import EnvoyProcess
from exitway.resources.problem import Problem, Problems
from exitway.server.guard import Guard
from exitway.server.links import Links
from exitway.server.names import Names
from exitway.server.program import Member, Program
from exitway.server.record import Recorder
from exitway.server.revoke import Revoker
from exitway.server.routes import routes
from exitway.server.steer import Steerer
from exitway.server.supervise import Supervisor, from_home, system_authorities, system_resolvers
from exitway.server.workloads import Workloads
from exitway.settings import Settings
from exitway.store.store import Store
from exitway.xds.server import DiscoveryServer

_log = logging.getLogger("exitway")

ACKNOWLEDGED_SECONDS = 10.0
REVOKED_SECONDS = 0.5
"""How long what has lost its permission lives on for a proxy that does not acknowledge that: then it is cut all the same."""
IDLE_SECONDS = 2.0
CLOCK_SECONDS = 0.25
RETRY_SECONDS = 10.0


class Server:
    """Joins the parts. One for each runtime directory."""

    def __init__(self, settings: Settings, home: Home | None) -> None:
        """``home``: where we are, if that is not the machine's own network."""
        self.settings = settings
        self._home = home
        wall = Wall(str(settings.runtime_dir))
        access_log = settings.runtime_dir / "access.log"
        envoy = EnvoyProcess(
            find_envoy(settings.envoy), settings.runtime_dir, settings.concurrency or min(4, os.cpu_count() or 1)
        )
        if home and home.new:  # what lives in one that is gone has no way out, and may not be found
            envoy.stop()
            for left in ("names.sock", "names.port"):
                (settings.runtime_dir / left).unlink(missing_ok=True)
        upstream = settings.resolvers or system_resolvers()
        self._names = Names(settings.runtime_dir, from_home(upstream) if home else upstream)
        resolver = f"127.0.0.1:{self._names.proxy_port}"
        self.supervisor = Supervisor(
            envoy,
            bootstrap(
                Machine(
                    str(settings.xds_socket),
                    str(settings.admin_socket),
                    resolver,
                    system_authorities(),
                    wall.mark,
                    _connections(),
                )
            ),
        )
        self.guard = Guard(wall, self._names, loopback=home is None)
        self.store = Store(settings.store)
        self.discovery = DiscoveryServer()
        self._program = Program(Proxy(resolver, wall.mark, str(access_log), settings.denied_status))
        self._recorder = Recorder(access_log, settings.flow_log)
        self.revoker = Revoker(
            self._recorder.reader, lambda: self.discovery.settled(1, REVOKED_SECONDS), self._recorder.tell
        )
        self.workloads = Workloads(
            settings.runtime_dir,
            self._names,
            audit_namespaces=settings.audit_namespaces,
            changed=self.publish,
            seen=self._seen,
        )
        self._links = Links(str(settings.runtime_dir))
        self.steerer = Steerer(self._names, self._links, self._recorder.cut)
        self._publishing = asyncio.Lock()
        self._compiled: object = None
        self._published: dict[str, Pinned] | None = None
        self.stopping = asyncio.Event()
        self.started = time.time()
        self._carried_out = time.monotonic()

    async def publish(self) -> None:
        """Make what the rules and workloads say now the proxy's target. Costs next to nothing when that is what it is already."""
        async with self._publishing:
            await self._publish(datetime.now(UTC))

    async def _publish(self, now: datetime) -> None:
        members = [one.member for one in self.workloads.running.values()]
        compiled = (self.store.registry, members)
        if compiled != self._compiled or not self._program.holds(now):
            self._compiled = compiled
            self._program.compile(*compiled, now)
            self._published = None
        pinned = await self._pin(members)
        if pinned != self._published or self.guard.problem:
            await self.guard.follow(self._program.policies)
            self.discovery.publish(self._program.snapshot(pinned))
            self._published = pinned
            for member in members:
                if self._recorder.observe(
                    member,
                    self._program.policies[member.id],
                    functools.partial(self._names.name_of, member.id),
                    functools.partial(self._names.refusal, member.id),
                ):
                    self.revoker.policy_changed(member.id)
        await self._steer(members, pinned)

    async def _pin(self, members: list[Member]) -> dict[str, Pinned]:
        """The addresses of the names that are enforced by them, as far as they are known: none is where the name process is away."""
        wanted = {one.id: self._names_to_pin(one.id, self._program.policies[one.id]) for one in members}
        pinned: dict[str, Pinned] = {one: self._names.pin(one, names) for one, names in wanted.items()}
        if any(len(pinned[one]) < len(names) for one, names in wanted.items()):
            await asyncio.gather(*(self._names.pinned(one) for one in wanted))
            pinned = {one: self._names.pin(one, names) for one, names in wanted.items()}
        return pinned

    def _names_to_pin(self, identity: str, policy: Policy) -> set[str]:
        """Names that are enforced by their addresses. Patterns mean the names that were asked for."""
        asked = self._names.names_of(identity, [host for host in policy.tcp_hosts if host.wildcard])
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

    def _seen(self, member: Member, packet: Refused | Opened) -> None:
        """What the kernel tells of a workload: what it refused, and what goes past the proxy."""
        if isinstance(packet, Refused):
            self._recorder.refused(member, self._names.name_of(member.id, packet.address), packet)
            return
        nowhere = self.steerer.leads_nowhere(member.id, packet.address, packet.port)
        self._recorder.opened(member, packet, refused=nowhere)

    async def programmed(self, revision: int) -> list[str]:
        """Publish the store's state, wait for the proxy; one sentence for each that has not acknowledged it."""
        del revision  # what is published is always the newest
        await self.publish()
        await self.steerer.settled()
        settled = await self.discovery.settled(proxies=1, timeout_seconds=ACKNOWLEDGED_SECONDS)
        await self.revoker.cut()
        if not settled:
            return [
                f"the proxy has not acknowledged the change within {ACKNOWLEDGED_SECONDS:.0f} s; it stays on its last good configuration"
            ]
        return self.steerer.errors + [
            f"the proxy refused the change and stays on its last good configuration: {error}"
            for error in self.discovery.errors
        ]

    async def run(self, *, until_idle: bool, unix: socket.socket, tcp: socket.socket | None) -> None:
        """Serve until stopped, or (``until_idle``) until the last workload has gone. ``tcp``: a listener for those who have the token."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stopping.set)
        names = asyncio.ensure_future(self._names.run())
        await self.workloads.restore()
        self._links.adopt(self.workloads.running)
        if self.workloads.running:
            await self._names.known()
        await self.publish()
        # not before: a proxy that has been there would be told of nothing, and close all
        await self.discovery.start(self.settings.xds_socket)
        parts = [
            names,
            self.supervisor.run(),
            self.steerer.follow_names(),
            self._recorder.follow(self.settings.admin_socket, self.revoker.begun),
            self.revoker.run(),
            self._follow_store(),
            self._follow_names(),
            self._follow_clock(),
            self._serve_api(unix, tcp),
        ]
        if self._home:
            parts.append(self._home.holder.ended())
        tasks = [
            asyncio.ensure_future(part)
            for part in [*parts, *([self._idle()] if until_idle else []), self.stopping.wait()]
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.stopping.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    async def _serve_api(self, unbound: socket.socket, tcp: socket.socket | None) -> None:
        app = create_app(self.store, self.programmed, extra_routes=routes(self))
        with unix_socket(self.settings.socket, unbound) as unix:
            if tcp:
                secret = token(self.settings.token)
                await serve(app, unix, self.stopping, tcp=tcp, secret=secret)
            else:
                await serve(app, unix, self.stopping)

    async def _follow_store(self) -> None:
        """Changes that nobody waits for are published, too."""
        while await self.store.after(self.store.revision):
            await self._publish_or_retry()

    async def _follow_names(self) -> None:
        """Names of a pattern that a rule for TCP speaks of are asked for when they are: their addresses have to be known to the proxy first."""
        while True:
            await self._names.asked.wait()
            self._names.asked.clear()
            held = self._names.take_held()
            await self._publish_or_retry()
            await self.discovery.settled(proxies=1, timeout_seconds=ACKNOWLEDGED_SECONDS)
            for identity, names in held.items():
                self._names.release(identity, names & (self._published or {}).get(identity, {}).keys())

    async def _follow_clock(self) -> None:
        """Rules that have expired are withdrawn. Looking is cheap, and holds whatever becomes of the clock or of a timer."""
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            await self._publish_or_retry()

    async def _publish_or_retry(self) -> None:
        """What fails is tried again by the clock.

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
        for step in (self._links.close_all, self.guard.stop, self._names.close):
            try:
                step()
            except (OSError, Problems) as error:
                _log.error("something is left behind: %s", error)
        await self.discovery.stop()
        self.store.close()
        if self._home and not self.workloads.running:
            self._home.end()
        self._recorder.close()  # last: a full disk fails it

    async def _idle(self) -> None:
        """Ends when there has been no workload for a while, and none is about to come."""
        since = time.monotonic()
        with self.settings.arrivals.open("a") as arrivals:
            while time.monotonic() - since < IDLE_SECONDS or not _alone(arrivals):
                if self.workloads.running:
                    since = time.monotonic()
                await asyncio.sleep(0.1)
            self._idle_lock = os.dup(
                arrivals.fileno()
            )  # until the process ends: who comes now waits, and starts another server


def _alone(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def sole(settings: Settings) -> Iterator[None]:
    """Be the only server of the runtime directory.

    Raises:
        Problems: another server is.
    """
    for directory in (settings.runtime_dir, settings.state_dir):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with settings.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problems(
                [
                    Problem(
                        "EXW0602",
                        f"a server is already running for {settings.runtime_dir}",
                        "`exitway status` shows it",
                    )
                ]
            ) from None
        yield


def _connections() -> int:
    """A fifth of the proxy's files for what arrives, one for each way out, and one for listeners, logs and the rest."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 5


def serve_forever(
    settings: Settings, *, until_idle: bool, unix: socket.socket, tcp: socket.socket | None, home: Home | None
) -> None:
    """Run a server in this process until it is told to stop (SIGINT, SIGTERM). ``unix``, ``tcp``: see :meth:`Server.run`."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # Envoy inherits it: two for each connection
    with sole(settings):
        asyncio.run(Server(settings, home).run(until_idle=until_idle, unix=unix, tcp=tcp))
