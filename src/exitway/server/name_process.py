"""The name servers of all workloads and of the proxy, in a process of their own: ``python -m exitway.server.name_process SOCKET``.

It outlives the server, so the programs of a server that was killed still find their names, and the proxy theirs; the next server connects to it
and goes on. It ends by itself when neither a server nor a workload is left. It parses what untrusted programs and name servers send, so it has no
privilege: the server opens the sockets and hands them over.

On its Unix socket (SOCK_SEQPACKET, one server at a time) a message is one JSON object; from the server an empty one says that it is in the file
that comes with it, being larger than a message may be:

    from the server   {"add": ID, "pid": PID, "start_time": T} with the sockets; {"remove": ID}
                      {"pin": ID, "names": {NAME: IPV4 or ""}}: they keep their addresses (that one, if they have none yet)
                      {"unpin": ID, "names": [NAME, ...]}
                      {"follow": [NAME, ...]} and {"leave": [NAME, ...]}: say where they lead, and whenever they lead elsewhere
                      {"upstream": [SERVER, ...]}, with the sockets that the proxy asks at unless it serves there already
                      {"limits": ID, "exceptions": [[NETWORK, PORT, ALLOWED], ...], "local": [PORT, ...],
                       "held": [PATTERN, ...], "audit": BOOL}
                      {"lost": ID, "entries": [[PATTERN, PORT, KIND, LOST], ...]}: all that may not be answered for a while
                      {"release": ID, "names": [NAME, ...]}: their addresses mean something to the proxy now
                      {"cluster": {"servers": [SERVER, ...], "domains": [DOMAIN, ...], "ranges": [NETWORK, ...], "search": [DOMAIN, ...]}}:
                       all workloads are pods of a cluster (``dns/cluster.py``)
                      {"view": ID, "namespace": NAMESPACE, "search": [DOMAIN, ...], "named": [PATTERN, ...]}: what a pod's names depend on
    to the server     {"serving": [ID, ...], "proxy": PORT} at first
                      {"id": ID, "name": NAME, "addresses": [IPV4, IPV6]} for each name; the old ones first, then
                      {"announced": true}
                      {"id": ID, "pinned": {NAME: [IPV4, IPV6] or null}}: the answer to each "pin"; null: there is no room for it
                      {"id": ID, "name": NAME, "port": PORT, "refused": REASON}
                      {"leads": {NAME: [ADDRESS, ...]}}

Names of held patterns are answered for when they are released, or after a while: a program that dials at once is to be let through at once.
A server finds no name pinned, and none followed. It may pin names of a workload, and limit it, before it adds it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from exitway.capture import kernel
from exitway.dns.answer import answer
from exitway.dns.cluster import Cluster, View
from exitway.dns.following import Following
from exitway.dns.pod import PodNames
from exitway.dns.resolution import Asker, Lost, Resolution
from exitway.dns.server import NameServer, Source
from exitway.dns.synthetic import Synthetic, SyntheticAddresses
from exitway.dns.upstream import Upstream
from exitway.names.call import Reason
from exitway.names.host import Host
from exitway.names.question import Kind, label
from exitway.processes import Process

LARGEST_MESSAGE = 1 << 16
IN_A_FILE = b"{}"
HELD_SECONDS = 1.0
LOST_SECONDS = 10.0
"""Longer than the proxy waits for an answer."""
MOST_SOCKETS = 16
ANNOUNCING_SECONDS = 1.0
"""How long a server that has just come is waited for while it is told the old names."""


class Announced(SyntheticAddresses):
    """Synthetic addresses that tell of each name when it gets them."""

    def __init__(self, identity: str, process: NameProcess) -> None:
        super().__init__()
        self._identity = identity
        self._process = process
        self._told: dict[Synthetic, str] = {}
        self.held: list[Host] = []
        self._waiting: dict[str, asyncio.Event] = {}
        self._asked = ""

    def address_of(self, name: str) -> Synthetic:
        """The addresses of a name; a new one is announced."""
        addresses = super().address_of(name)
        self._asked = name
        if self._told.get(addresses) != name:
            self._told[addresses] = name
            if any(pattern.matches(name) for pattern in self.held):
                self._waiting[name] = asyncio.Event()
            self._process.tell(self._message(name, addresses))
        return addresses

    def release(self, names: Iterable[str]) -> None:
        """Let the answers for these names go."""
        for name in names:
            if name in self._waiting:
                self._waiting.pop(name).set()

    async def released(self) -> None:
        """Wait until the name that was just asked for is released, or long enough."""
        name, self._asked = self._asked, ""
        if name in self._waiting:
            try:
                async with asyncio.timeout(HELD_SECONDS):
                    await self._waiting[name].wait()
            except TimeoutError:
                self._waiting.pop(name, None)

    def known(self) -> list[object]:
        """What has been told, of all names."""
        return [self._message(name, addresses) for addresses, name in self._told.items()]

    def _message(self, name: str, addresses: Synthetic) -> object:
        return {"id": self._identity, "name": name, "addresses": addresses}


@dataclass
class _Served:
    server: NameServer
    watch: asyncio.Task[None]


class NameProcess:
    """Serves the workloads it was given, until they end."""

    def __init__(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._server: socket.socket | None = None
        self._served: dict[str, _Served] = {}
        self._askers: dict[str, Asker[Announced]] = {}
        self._resolution = Resolution(Upstream(()), self._askers, self._refused)
        self._following = Following(lambda: self._resolution.upstream, self._leads)
        self._pods: PodNames | None = None
        self._views: dict[str, View] = {}
        self._proxy: NameServer | None = None
        self._proxy_port = 0
        self.done = asyncio.Event()
        self._loop.add_reader(listener, self._accept)

    def tell(self, message: object) -> bool:
        """Say something to the server. One that is away, or does not read (False), misses it: the name is then missing from a record, no more."""
        try:
            if self._server is not None:
                self._server.send(json.dumps(message).encode())
        except OSError:
            return False
        return True

    def reply(self, message: object) -> None:
        """The same with what it waits for: a server that does not get it connects anew, and is told all."""
        if not self.tell(message):
            self._hang_up()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(ANNOUNCING_SECONDS)  # what was asked for before must not be missed
        self._hang_up()
        self._server = connection
        self._loop.add_reader(connection, self._receive)
        self._following.leave_all()
        for asker in self._askers.values():
            self._unpin(asker.addresses, asker.addresses.pinned)
        greeting = {"serving": list(self._served), "proxy": self._proxy_port}
        if all(map(self.tell, [greeting, *self._known_names(), {"announced": True}])):
            connection.setblocking(False)  # noqa: FBT003 - its name
        else:  # it does not read: nobody else is to wait for it
            self._hang_up()

    def _known_names(self) -> Iterator[object]:
        for asker in self._askers.values():
            yield from asker.addresses.known()

    def _receive(self) -> None:
        assert self._server is not None
        try:
            data, descriptors, _, _ = socket.recv_fds(self._server, LARGEST_MESSAGE, MOST_SOCKETS)
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._hang_up()
            self._end_when_alone()
            return
        if data == IN_A_FILE:
            with os.fdopen(descriptors.pop(), "rb") as file:
                data = file.read()
        self._hear(json.loads(data), [socket.socket(fileno=one) for one in descriptors])

    def _lose(self, identity: str, entries: list[tuple[str, int, str, bool]]) -> None:
        known = {(Host.parse(host), port, Kind(kind)): lost for host, port, kind, lost in entries}
        self._asker(identity).lost = Lost(known, self._loop.time() + LOST_SECONDS)

    def _hear(self, message: dict[str, Any], sockets: list[socket.socket]) -> None:
        if "add" in message:
            self._add(message["add"], Process(message["pid"], message["start_time"]), sockets)
        elif "upstream" in message:
            self._serve_proxy(message["upstream"], sockets)
        elif "follow" in message:
            self._following.follow(message["follow"])
        elif "leave" in message:
            self._following.leave(message["leave"])
        elif "cluster" in message:
            self._join(Cluster.of_json(message["cluster"]))
        elif "remove" in message:
            self._remove(message["remove"])
        else:
            self._hear_of_one(message)

    def _hear_of_one(self, message: dict[str, Any]) -> None:
        """What a workload's names are to be."""
        if "pin" in message:
            self._pin(message["pin"], message["names"])
        elif "unpin" in message:
            self._unpin(self._asker(message["unpin"]).addresses, message["names"])
        elif "limits" in message:
            self._limit(message)
        elif "lost" in message:
            self._lose(message["lost"], message["entries"])
        elif "release" in message:
            self._asker(message["release"]).addresses.release(message["names"])
        elif "view" in message:
            self._views[message["view"]] = self._view(message)

    def _asker(self, identity: str) -> Asker[Announced]:
        closed = self._pods.cluster.ranges if self._pods else ()
        return self._askers.setdefault(label(identity), Asker(identity, Announced(identity, self), closed=closed))

    def _join(self, cluster: Cluster) -> None:
        if self._pods is not None:
            self._pods.close()
        self._pods = PodNames(cluster, lambda: self._resolution.upstream)
        for asker in self._askers.values():
            asker.closed = cluster.ranges

    def _view(self, message: dict[str, Any]) -> View:
        addresses = self._asker(message["view"]).addresses
        named = frozenset(map(Host.parse, message["named"]))
        same = next((view.named for view in self._views.values() if view.named == named), named)
        return View(addresses, message["namespace"], tuple(message["search"]), same)

    def _pin(self, identity: str, names: Mapping[str, str]) -> None:
        table = self._asker(identity).addresses
        self.reply({"id": identity, "pinned": {name: table.pin(name, wanted) for name, wanted in names.items()}})

    @staticmethod
    def _unpin(table: Announced, names: Iterable[str]) -> None:
        for name in names:
            table.unpin(name)

    def _serve_proxy(self, upstream: list[str], sockets: list[socket.socket]) -> None:
        self._resolution.upstream = Upstream(upstream)
        if sockets:
            if self._proxy is not None:
                self._proxy.close()
            self._proxy = NameServer(sockets, lambda query, _: self._resolution.answer(query))
            self._proxy_port = sockets[0].getsockname()[1]

    def _limit(self, message: dict[str, Any]) -> None:
        asker = self._asker(message["limits"])
        asker.exceptions = tuple(
            (ip_network(network), port, allowed) for network, port, allowed in message["exceptions"]
        )
        asker.local_ports = frozenset(message["local"])
        asker.audit = message["audit"]
        asker.addresses.held = [Host.parse(pattern) for pattern in message["held"]]

    def _refused(self, asker: Asker[Any], name: str, port: int, reason: Reason) -> None:
        self.tell({"id": asker.identity, "name": name, "port": port, "refused": reason})

    def _leads(self, name: str, addresses: tuple[str, ...]) -> None:
        self.reply({"leads": {name: addresses}})

    def _hang_up(self) -> None:
        if self._server is not None:
            self._loop.remove_reader(self._server)
            self._server.close()
            self._server = None
            self._askers = {one: asker for one, asker in self._askers.items() if asker.identity in self._served}
            self._resolution.askers = self._askers
            self._views = {identity: view for identity, view in self._views.items() if identity in self._served}

    def _add(self, identity: str, process: Process, sockets: list[socket.socket]) -> None:
        watch = self._loop.create_task(self._until_ended(identity, process))
        addresses = self._asker(identity).addresses

        async def answer_it(query: bytes, source: Source) -> bytes | None:
            answered = self._answer(identity, query, addresses, source)
            response = answered if answered is None or isinstance(answered, bytes) else await answered
            await addresses.released()  # of the name that was asked for just now: nobody else was in between
            return response

        self._served[identity] = _Served(NameServer(sockets, answer_it), watch)

    def _answer(
        self, identity: str, query: bytes, addresses: Announced, source: Source
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        if self._pods is None:
            return answer(query, addresses)
        view = self._views.get(identity) or View(addresses)
        return self._pods.answer(query, view, stream=source.stream)

    async def _until_ended(self, identity: str, process: Process) -> None:
        await process.ended()
        self._remove(identity)
        self._end_when_alone()

    def _remove(self, identity: str) -> None:
        served = self._served.pop(identity, None)
        self._askers.pop(label(identity), None)
        self._views.pop(identity, None)
        if served is not None:
            served.server.close()
            if served.watch is not asyncio.current_task():
                served.watch.cancel()

    def _end_when_alone(self) -> None:
        if self._server is None and not self._served:
            self.done.set()


async def _serve(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - of a process that was killed
        os.umask(0o177)
        listener.bind(str(path))
        listener.listen(1)
        process = NameProcess(listener)
        await process.done.wait()
    path.unlink(missing_ok=True)  # noqa: ASYNC240


if __name__ == "__main__":
    kernel.drop_privileges()
    asyncio.run(_serve(Path(sys.argv[1])))
