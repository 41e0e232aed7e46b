"""The name servers of all workloads, in a process of their own: ``python -m exitway.server.name_process SOCKET``.

It outlives the server, so the programs of a server that was killed still find their names; the next server connects to it and goes on. It ends
by itself when neither a server nor a workload is left. It parses what untrusted programs send, so it has no privilege: the server opens the
sockets inside the workloads' namespaces and hands them over.

On its Unix socket (SOCK_SEQPACKET, one server at a time) a message is one JSON object:

    from the server   {"add": ID, "pid": PID, "start_time": T} with the sockets; {"remove": ID}
                      {"pin": ID, "names": {NAME: IPV4 or ""}}: they keep their addresses (that one, if they have none yet)
                      {"unpin": ID, "names": [NAME, ...]}
    to the server     {"serving": [ID, ...]} at first; then {"id": ID, "name": NAME, "addresses": [IPV4, IPV6]} for each name, old ones first
                      {"id": ID, "pinned": {NAME: [IPV4, IPV6] or null}}: the answer to each "pin"; null: there is no room for it

A server finds no name pinned. It may pin names of a workload before it adds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exitway.capture import kernel
from exitway.dns.server import Resolver
from exitway.dns.synthetic import Synthetic, SyntheticAddresses
from exitway.processes import Process

LARGEST_MESSAGE = 1 << 16
MOST_SOCKETS = 16


class Announced(SyntheticAddresses):
    """Synthetic addresses that tell of each name when it gets them."""

    def __init__(self, identity: str, process: NameProcess) -> None:
        super().__init__()
        self._identity = identity
        self._process = process
        self._told: dict[Synthetic, str] = {}

    def address_of(self, name: str) -> Synthetic:
        """The addresses of a name; a new one is announced."""
        addresses = super().address_of(name)
        if self._told.get(addresses) != name:
            self._told[addresses] = name
            self._process.tell({"id": self._identity, "name": name, "addresses": addresses})
        return addresses

    def announce(self) -> None:
        """Tell of all names once more."""
        for addresses, name in self._told.items():
            self._process.tell({"id": self._identity, "name": name, "addresses": addresses})


@dataclass
class _Served:
    resolver: Resolver
    watch: asyncio.Task[None]


class NameProcess:
    """Serves the workloads it was given, until they end."""

    def __init__(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._server: socket.socket | None = None
        self._served: dict[str, _Served] = {}
        self._addresses: dict[str, Announced] = {}
        self.done = asyncio.Event()
        self._loop.add_reader(listener, self._accept)

    def tell(self, message: object) -> None:
        """Say something to the server. One that is away, or does not read, misses it: the name is then missing from a record, no more."""
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.send(json.dumps(message).encode())

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)  # noqa: FBT003 - its name
        self._hang_up()
        self._server = connection
        self._loop.add_reader(connection, self._receive)
        self.tell({"serving": list(self._served)})
        for addresses in self._addresses.values():
            self._unpin(addresses, addresses.pinned)
            addresses.announce()

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
        message = json.loads(data)
        if "add" in message:
            self._add(
                message["add"],
                Process(message["pid"], message["start_time"]),
                [socket.socket(fileno=one) for one in descriptors],
            )
        elif "pin" in message:
            self._pin(message["pin"], message["names"])
        elif "unpin" in message:
            self._unpin(self._table(message["unpin"]), message["names"])
        else:
            self._remove(message["remove"])

    def _table(self, identity: str) -> Announced:
        return self._addresses.setdefault(identity, Announced(identity, self))

    def _pin(self, identity: str, names: Mapping[str, str]) -> None:
        table = self._table(identity)
        self.tell({"id": identity, "pinned": {name: table.pin(name, wanted) for name, wanted in names.items()}})

    @staticmethod
    def _unpin(table: Announced, names: Iterable[str]) -> None:
        for name in names:
            table.unpin(name)

    def _hang_up(self) -> None:
        if self._server is not None:
            self._loop.remove_reader(self._server)
            self._server.close()
            self._server = None
            self._addresses = {identity: self._addresses[identity] for identity in self._served}

    def _add(self, identity: str, process: Process, sockets: list[socket.socket]) -> None:
        watch = self._loop.create_task(self._until_ended(identity, process))
        self._served[identity] = _Served(Resolver(sockets, self._table(identity)), watch)

    async def _until_ended(self, identity: str, process: Process) -> None:
        await process.ended()
        self._remove(identity)
        self._end_when_alone()

    def _remove(self, identity: str) -> None:
        served = self._served.pop(identity, None)
        self._addresses.pop(identity, None)
        if served is not None:
            served.resolver.close()
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
