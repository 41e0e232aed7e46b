"""The server's end of the name process: starts it or finds it, hands it workloads, and hears which name has which address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

from exitway.capture.netns import in_netns
from exitway.dns.cluster import Cluster
from exitway.dns.server import loopback_sockets, workload_sockets
from exitway.dns.synthetic import Synthetic
from exitway.names.call import Reason
from exitway.names.guard import Excepted
from exitway.names.host import Host
from exitway.names.question import Kind
from exitway.processes import Process
from exitway.server.leads import Leads
from exitway.server.name_process import IN_A_FILE, LARGEST_MESSAGE

_log = logging.getLogger("exitway")

POLL_SECONDS = 0.01
START_SECONDS = 10.0
PINNED_SECONDS = 1.0
MOST_ENDED = 100
MOST_REFUSALS = 10_000
MOST_OF_PATTERNS = 1000
REFUSED_SECONDS = 30.0
"""How long a refusal explains that the proxy had no address."""
PINNED_AT_ONCE = 100
"""Names in one question: the answer must not be larger than a message may be."""


@dataclass
class _Pinned:
    """``wanted``: the names that are to keep their addresses; ``asked_for``: those of them that the name process has yet to confirm."""

    wanted: frozenset[str] = frozenset()
    asked_for: dict[str, None] = field(default_factory=dict)
    addresses: dict[str, Synthetic] = field(default_factory=dict)
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)


class Names:
    """What is given before the name process is there is handed over when it comes.

    ``directory``: of the socket, of the log of the process, and of the file that remembers the proxy's port; ``upstream``: the DNS servers to
    ask. ``proxy_port``: where the proxy asks, on this machine's loopback. ``asked``: set when a name of a held pattern was asked for.
    """

    def __init__(
        self,
        directory: Path,
        upstream: Sequence[str],
        sockets: Callable[[], list[socket.socket]] = workload_sockets,
    ) -> None:
        """``sockets``: where names are served inside a workload; called there."""
        self._path = directory / "names.sock"
        self._output = directory / "server.log"
        self._upstream = list(upstream)
        self._port_file = directory / "names.port"
        self._sockets = sockets
        self._proxy_sockets: list[socket.socket] = []
        self.proxy_port = self._find_port()
        self._limits: dict[str, dict[str, Any]] = {}
        self._held: dict[str, set[str]] = {}
        self.asked = asyncio.Event()
        self._refusals: OrderedDict[tuple[str, str, int], tuple[Reason, float]] = OrderedDict()
        self._lost: dict[str, dict[str, Any]] = {}
        self._cluster: dict[str, Any] = {}
        self._views: dict[str, dict[str, Any]] = {}
        self._matching: dict[str, tuple[list[Host], int, list[str]]] = {}
        self._heard: Counter[str] = Counter()
        self._connection: socket.socket | None = None
        self._given: dict[str, tuple[Path, Process]] = {}
        self._served: set[str] = set()
        self._names: dict[str, dict[str, str]] = {}
        self._pinned: dict[str, _Pinned] = {}
        self._handed_over = asyncio.Event()
        self.leads = Leads(self._send)
        self._announced = asyncio.Event()

    async def run(self) -> None:
        """Keep the name process running, until cancelled. One that ends is started again and given everything anew."""
        while True:
            self._connection, serving_at = await self._connect()
            self._serve_proxy(already=serving_at == self.proxy_port)
            for identity in self._pinned:
                self._repin(identity)
            self.leads.again()
            for identity in self._served - self._given.keys():  # of a server before us, and gone since
                self._served.discard(identity)
                self._send({"remove": identity})
            for message in (
                *filter(None, [self._cluster]),
                *self._limits.values(),
                *self._views.values(),
                *self._lost.values(),
            ):
                self._send(message)
            for identity in self._given.keys() - self._served:
                self._hand_over(identity)
            self._handed_over.set()
            await self._listen(self._connection)
            self._handed_over.clear()
            _log.warning("the name process ended; starting it again")

    def add(self, identity: str, netns: Path, process: Process) -> None:
        """Serve names in a network namespace, until the process ends or :meth:`remove`."""
        self._given[identity] = (netns, process)
        if self._connection is not None and identity not in self._served:
            self._hand_over(identity)

    async def ready(self, identity: str) -> bool:
        """Wait until the name process has what was given; whether it serves this one."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._handed_over.wait()
        except TimeoutError:
            return False
        return identity in self._served

    async def known(self) -> None:
        """Wait until the names that workloads have asked for are known, from a name process that was there before us; not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await self._announced.wait()

    def limit(
        self,
        identity: str,
        exceptions: Iterable[Excepted],
        local_ports: Iterable[int],
        held: Iterable[str],
        *,
        audit: bool = False,
    ) -> None:
        """Where names of a workload may lead: networks and ports that the guard lets through, ports of ``host.exitway.internal``.

        ``held``: patterns of names that get their addresses when the proxy knows of these (:meth:`release`).
        """
        networks = [[str(network), port, allowed] for network, port, allowed in sorted(exceptions, key=str)]
        limits: dict[str, Any] = {"limits": identity, "exceptions": networks, "local": sorted(local_ports)}
        limits |= {"held": sorted(held), "audit": audit}
        if self._limits.get(identity) != limits:
            self._limits[identity] = limits
            self._send(limits)

    def lose(self, identity: str, entries: Sequence[tuple[str, int, Kind, bool]]) -> None:
        """What of a workload's policy is lost (or kept, within a pattern that is): what waits for an address is not to be told one."""
        self._lost[identity] = {"lost": identity, "entries": entries}
        self._send(self._lost[identity])

    def join(self, cluster: Cluster) -> None:
        """From now on the workloads are pods of a cluster."""
        self._cluster = {"cluster": cluster.json}
        self._send(self._cluster)

    def view(self, identity: str, namespace: str, search: Sequence[str], named: Iterable[Host]) -> None:
        """What the names of a pod depend on, see :class:`~exitway.dns.cluster.View`."""
        patterns = sorted(map(str, named))
        view = {"view": identity, "namespace": namespace, "search": list(search), "named": patterns}
        if self._views.get(identity) != view:
            self._views[identity] = view
            self._send(view)

    def names_of(self, identity: str, patterns: Iterable[Host]) -> list[str]:
        """The names that a workload has asked for and one of the patterns matches, the first ones first, no more than :data:`MOST_OF_PATTERNS`."""
        patterns, heard = list(patterns), self._heard[identity]
        if not patterns:
            return []
        if self._matching.get(identity, ())[:2] != (patterns, heard):
            names = dict.fromkeys(self._names.get(identity, {}).values())
            found = islice((name for name in names if any(one.matches(name) for one in patterns)), MOST_OF_PATTERNS)
            self._matching[identity] = patterns, heard, list(found)
        return self._matching[identity][2]

    def release(self, identity: str, names: Collection[str]) -> None:
        """The proxy knows the addresses of these names: they may be told."""
        self._send({"release": identity, "names": sorted(names)})

    def take_held(self) -> dict[str, set[str]]:
        """The names of held patterns that were asked for since the last time, by workload."""
        held, self._held = self._held, {}
        return held

    def refusal(self, identity: str, name: str, port: int) -> Reason | None:
        """Why the proxy was last refused the addresses of a name for a workload; None: it was not."""
        reason, when = self._refusals.get((identity, name, port), (None, 0.0))
        return reason if time.monotonic() - when < REFUSED_SECONDS else None

    def remove(self, identity: str) -> None:
        """Serve there no more. The names are still known for a while: what was seen of the workload may be yet to be recorded."""
        tables: tuple[dict[str, Any], ...] = (
            self._given, self._pinned, self._limits, self._held, self._lost, self._matching, self._heard, self._views,
        )  # fmt: skip
        for table in tables:
            table.pop(identity, None)
        self._served.discard(identity)
        self._send({"remove": identity})
        ended = [known for known in self._names if known not in self._given]
        for known in ended[:-MOST_ENDED]:
            del self._names[known]

    def name_of(self, identity: str, address: str) -> str | None:
        """The name behind a synthetic address of a workload."""
        return self._names.get(identity, {}).get(address)

    def pin(self, identity: str, names: Collection[str]) -> dict[str, Synthetic]:
        """From now on these names of a workload, and no others, keep their synthetic addresses.

        Returns the addresses that are known already; :meth:`pinned` waits for the others. Asked again with the same names, it costs nothing.
        """
        pinned = self._pinned.setdefault(identity, _Pinned())
        wanted = frozenset(names)
        if gone := sorted(pinned.wanted - wanted):
            self._send({"unpin": identity, "names": gone})
            for name in gone:
                pinned.addresses.pop(name, None)
                pinned.asked_for.pop(name, None)
        idle = not pinned.asked_for
        pinned.asked_for.update(dict.fromkeys(sorted(wanted - pinned.wanted)))
        if idle:
            self._ask(identity, pinned)
        pinned.wanted = wanted
        self._confirm(pinned)
        return dict(pinned.addresses)

    async def pinned(self, identity: str) -> bool:
        """Wait until the addresses of all pinned names are known; whether they are (a name process that is away is waited for a while)."""
        try:
            async with asyncio.timeout(PINNED_SECONDS):
                await self._pinned.setdefault(identity, _Pinned()).confirmed.wait()
        except TimeoutError:
            return False
        return True

    def _repin(self, identity: str) -> None:
        """Tell a name process that has just been connected to; before it serves, so that a new one gives the addresses that the old one gave."""
        pinned = self._pinned[identity]
        pinned.asked_for = dict.fromkeys(sorted(pinned.wanted))
        self._confirm(pinned)
        self._ask(identity, pinned)

    def _ask(self, identity: str, pinned: _Pinned) -> None:
        """Ask for the first of the names that are missing; the answer has the next ones asked for."""
        names = list(islice(pinned.asked_for, PINNED_AT_ONCE))
        if names:
            known = pinned.addresses
            wanted = {name: known[name].ipv4 if name in known else "" for name in names}
            self._send({"pin": identity, "names": wanted})

    def _answered(self, identity: str, answer: dict[str, list[str] | None]) -> None:
        pinned = self._pinned.get(identity)
        if pinned is None:
            return
        for name in answer.keys() & pinned.wanted:
            pinned.asked_for.pop(name, None)
            pinned.addresses.pop(name, None)
            if addresses := answer[name]:
                pinned.addresses[name] = Synthetic(*addresses)
                self._names.setdefault(identity, {}).update(dict.fromkeys(addresses, name))
        self._confirm(pinned)
        self._ask(identity, pinned)

    @staticmethod
    def _confirm(pinned: _Pinned) -> None:
        if pinned.asked_for:
            pinned.confirmed.clear()
        else:
            pinned.confirmed.set()

    def _hand_over(self, identity: str) -> None:
        netns, process = self._given[identity]
        try:
            sockets = in_netns(netns, self._sockets)
        except OSError as error:
            _log.warning("names of %s are not served: %s", identity, error)
            return
        if self._send({"add": identity, "pid": process.pid, "start_time": process.start_time}, sockets):
            self._served.add(identity)
        for one in sockets:
            one.close()

    def _send(self, message: object, sockets: Sequence[socket.socket] = ()) -> bool:
        if self._connection is None:
            return False
        data = json.dumps(message).encode()
        try:
            if len(data) <= LARGEST_MESSAGE:
                socket.send_fds(self._connection, [data], [one.fileno() for one in sockets])
            else:
                with os.fdopen(os.memfd_create("message"), "w+b") as file:
                    file.write(data)
                    file.seek(0)
                    socket.send_fds(self._connection, [IN_A_FILE], [file.fileno()])
        except OSError:  # it has just ended, or does not read: run() connects anew, and tells it all again
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            return False
        return True

    def close(self) -> None:
        """The proxy has ended. Workloads that have not still find their names."""
        for one in self._proxy_sockets:
            one.close()
        self._port_file.unlink(missing_ok=True)

    def _find_port(self) -> int:
        """The port that Envoy knows, if there is one: whoever has it is the name process of a server before us."""
        with contextlib.suppress(OSError, ValueError):
            port = int(self._port_file.read_text())
            with contextlib.suppress(OSError):
                self._proxy_sockets = loopback_sockets(port)
            return port
        self._proxy_sockets = loopback_sockets()
        port = int(self._proxy_sockets[0].getsockname()[1])
        self._port_file.write_text(str(port))
        return port

    def _serve_proxy(self, *, already: bool) -> None:
        """Hand over where the proxy asks. Our own copies stay open: nobody else can have the port while we are there."""
        if not already and not self._proxy_sockets:
            try:
                self._proxy_sockets = loopback_sockets(self.proxy_port)
            except OSError as error:
                _log.error("the proxy cannot resolve names: port %d of 127.0.0.1: %s", self.proxy_port, error)
        self._send({"upstream": self._upstream}, () if already else self._proxy_sockets)

    async def _connect(self) -> tuple[socket.socket, int]:
        """Connect to the name process; start it unless it runs. At which port it serves a proxy already; 0: at none."""
        child: subprocess.Popen[bytes] | None = None
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.connect(str(self._path))
                connection.setblocking(False)  # noqa: FBT003 - its name
                greeting = await asyncio.get_running_loop().sock_recv(connection, LARGEST_MESSAGE)
            except OSError:  # nobody is there, or somebody who is just ending
                greeting = b""
            if greeting:
                said = json.loads(greeting)
                self._served = set(said["serving"])
                return connection, said["proxy"]
            connection.close()
            if child is None or child.poll() is not None:
                with self._output.open("ab") as output:
                    child = _start(self._path, output)
            await asyncio.sleep(POLL_SECONDS)

    async def _listen(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(connection, LARGEST_MESSAGE):
                self._hear(json.loads(data))
        except OSError:
            pass
        finally:
            self._connection = None
            self._served = set()
            connection.close()

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "announced" in message:
            self._announced.set()
        elif "pinned" in message:
            self._answered(message["id"], message["pinned"])
        elif "leads" in message:
            self.leads.heard(message["leads"])
        elif "refused" in message:
            refusal = Reason(message["refused"]), time.monotonic()
            self._refusals[message["id"], message["name"], message["port"]] = refusal
            if len(self._refusals) > MOST_REFUSALS:
                self._refusals.popitem(last=False)
        else:
            names = self._names.setdefault(message["id"], {})
            names.update(dict.fromkeys(message["addresses"], message["name"]))
            self._heard[message["id"]] += 1
            held = self._limits.get(message["id"], {}).get("held", ())
            if any(Host.parse(pattern).matches(message["name"]) for pattern in held):
                self._held.setdefault(message["id"], set()).add(message["name"])
                self.asked.set()


def _start(path: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """It runs in a session of its own, with no privilege that it needs to keep."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "exitway.server.name_process", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd="/",
    )
