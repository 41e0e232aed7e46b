"""Keeps one Envoy running: adopts the one that is there, starts one where there is none, and again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from exitway.capture.home import FORWARDED_RESOLVER, forwarded_resolver
from exitway.envoy.api import Json
from exitway.processes import Process
from exitway.proxy.admin import admin
from exitway.proxy.process import EnvoyProcess
from exitway.resources.problem import Problem, Problems

_log = logging.getLogger("exitway")

QUICK_END_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 2.0
STRAY_SECONDS = 0.5
LARGEST_ACCESS_LOG = 32 * 2**20

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",
)


def system_authorities() -> str:
    """The file of certificate authorities that this system trusts; without one, nothing is trusted."""
    return next((path for path in AUTHORITIES if Path(path).is_file()), os.devnull)


def system_resolvers(path: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """The DNS servers of this system (resolv.conf(5)), as ``address`` or ``[address]:53``."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        lines = []
    servers = [words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver"]
    return tuple(f"[{server}]:53" if ":" in server else server for server in servers) or ("127.0.0.1",)


def from_home(resolvers: tuple[str, ...], path: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """The same servers as they are reached from an ordinary user's :mod:`exitway.capture.home`, where the machine's loopback is not.

    Raises:
        Problems: all are on the machine's loopback, and pasta leads to none of them.
    """
    forwarded = forwarded_resolver(path)
    led = (FORWARDED_RESOLVER if one == forwarded else one for one in resolvers)
    reached = tuple(one for one in led if not one.startswith(("127.", "[::1]")))
    if not reached:
        message = f"the proxy of an ordinary user cannot ask {resolvers[0]}, which is on this machine's loopback"
        raise Problems(
            [Problem("EXW0804", message, "EXITWAY_RESOLVERS names another DNS server; root can use this one")]
        )
    return reached


class Supervisor:
    """Runs until cancelled. ``restarts`` counts Envoys that ended by themselves.

    ``starts``: waited for before one is started. ``strayed``: called with the inodes of the namespaces in which one stayed.
    """

    def __init__(
        self,
        envoy: EnvoyProcess,
        bootstrap: Json,
        starts: Callable[[], Awaitable[None]],
        strayed: Callable[[set[int]], None],
    ) -> None:
        self._envoy = envoy
        self._bootstrap = bootstrap
        self._starts = starts
        self._strayed = strayed
        self.process: Process | None = None
        self.restarts = 0

    async def run(self) -> None:
        """Supervise."""
        self._replace_outdated()
        pause = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self.process = self._envoy.running() or await self._start()
            began = loop.time()
            await self._ended(self.process)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.process.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not block
            quick = loop.time() - began < QUICK_END_SECONDS
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2 or 0.1) if quick else 0.0
            self.restarts += 1
            _log.warning("Envoy (process %d) ended; starting it again", self.process.pid)
            self.process = None
            await asyncio.sleep(pause)

    async def _start(self) -> Process:
        await self._starts()
        return self._envoy.start(self._bootstrap)

    async def _ended(self, process: Process) -> None:
        """Wait for its end.

        Where Envoy cannot listen in a workload's network namespace, threads of it stay there, and would ask and dial from there for everybody
        (seen with 1.40). Such an Envoy is ended.
        """
        ended = asyncio.ensure_future(process.ended())
        before: set[tuple[str, str]] = set()
        try:
            while not (await asyncio.wait([ended], timeout=STRAY_SECONDS))[0]:
                strays = stray_threads(process.pid)
                if before & strays:  # for a moment, each thread that opens a socket inside is one
                    _log.error("Envoy (process %d) stayed in a workload's network namespace; ending it", process.pid)
                    self._strayed({int(place[len("net:[") : -1]) for _, place in before & strays})
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)
                before = strays
        finally:
            ended.cancel()

    def stop(self) -> None:
        """End Envoy."""
        self._envoy.stop()

    def _replace_outdated(self) -> None:
        if self._envoy.running() and self._envoy.bootstrap_changed(self._bootstrap):
            self._envoy.stop()


def stray_threads(pid: int) -> set[tuple[str, str]]:
    """The threads of a process that are in another network namespace than we are, with that namespace."""
    try:
        places = {(task.name, str((task / "ns/net").readlink())) for task in Path(f"/proc/{pid}/task").iterdir()}
    except OSError:  # it has just ended, or one of them
        return set()
    home = str(Path("/proc/self/ns/net").readlink())
    return {(task, place) for task, place in places if place != home}


def aside(access_log: Path) -> Path:
    """Where a log is that was put aside."""
    return access_log.with_suffix(".old")


def rotate(access_log: Path, admin_socket: Path) -> bool:
    """Put a large access log aside and let Envoy begin a new one. False: it is not large, or Envoy does not answer."""
    try:
        if access_log.stat().st_size < LARGEST_ACCESS_LOG:
            return False
    except FileNotFoundError:
        return False
    access_log.rename(aside(access_log))
    try:
        admin(admin_socket, "POST", "/reopen_logs")
    except (FileNotFoundError, ConnectionRefusedError):  # the next Envoy begins one anyway
        return True
    except OSError:  # it goes on with this one
        aside(access_log).rename(access_log)
        return False
    return True
