"""The server's end of the name process: starts it or finds it, hands it workloads, and hears which name has which address."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from exitway.capture.netns import in_netns
from exitway.dns.server import open_sockets
from exitway.processes import Process
from exitway.server.name_process import LARGEST_MESSAGE

_log = logging.getLogger("exitway")

POLL_SECONDS = 0.01
START_SECONDS = 10.0
MOST_ENDED = 100


class Names:
    """What is given before the name process is there is handed over when it comes."""

    def __init__(self, path: Path, log: Path) -> None:
        self._path = path
        self._output = log
        self._connection: socket.socket | None = None
        self._given: dict[str, tuple[Path, Process]] = {}
        self._served: set[str] = set()
        self._names: dict[str, dict[str, str]] = {}
        self._handed_over = asyncio.Event()

    async def run(self) -> None:
        """Keep the name process running, until cancelled. One that ends is started again and given everything anew."""
        while True:
            self._connection = await self._connect()
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

    def remove(self, identity: str) -> None:
        """Serve there no more. The names are still known for a while: what was seen of the workload may be yet to be recorded."""
        self._given.pop(identity, None)
        self._served.discard(identity)
        self._send({"remove": identity})
        ended = [known for known in self._names if known not in self._given]
        for known in ended[:-MOST_ENDED]:
            del self._names[known]

    def name_of(self, identity: str, address: str) -> str | None:
        """The name behind a synthetic address of a workload."""
        return self._names.get(identity, {}).get(address)

    def _hand_over(self, identity: str) -> None:
        netns, process = self._given[identity]
        try:
            sockets = in_netns(netns, open_sockets)
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
        try:
            socket.send_fds(self._connection, [json.dumps(message).encode()], [one.fileno() for one in sockets])
        except OSError:  # it has just ended, and run() sees to it; or it does not read
            return False
        return True

    async def _connect(self) -> socket.socket:
        """Connect to the name process; start it unless it runs."""
        loop = asyncio.get_running_loop()
        started = False
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                if not started:
                    with self._output.open("ab") as output:
                        _start(self._path, output)
                    started = True
                await asyncio.sleep(POLL_SECONDS)
                continue
            connection.setblocking(False)  # noqa: FBT003 - its name
            self._served = set(json.loads(await loop.sock_recv(connection, LARGEST_MESSAGE))["serving"])
            return connection

    async def _listen(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(connection, LARGEST_MESSAGE):
                message = json.loads(data)
                names = self._names.setdefault(message["id"], {})
                names.update(dict.fromkeys(message["addresses"], message["name"]))
        except OSError:
            pass
        finally:
            self._connection = None
            self._served = set()
            connection.close()


def _start(path: Path, output: IO[bytes]) -> None:
    """It runs in a session of its own, with no privilege that it needs to keep."""
    subprocess.Popen(
        [sys.executable, "-P", "-m", "exitway.server.name_process", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd="/",
    )
