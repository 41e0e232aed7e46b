"""``run -p`` of an ordinary user: ports of this machine that lead to ports of a sealed program.

Envoy listens in the home's network, where nobody calls. So a process of its own accepts out here and connects in there; it ends with the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from exitway.capture import kernel
from exitway.capture.job import let_go_of_streams
from exitway.resources.problem import Problem, Problems

_BYTES = 1 << 16
_Listener = tuple[socket.socket, int]


class Relay:
    """Begin it after the home is entered and before the sandbox: it must not be born inside."""

    def __init__(self, publications: Sequence[Mapping[str, Any]]) -> None:
        """``publications``: ``address``, ``port``, ``target``, as the API wants them.

        Raises:
            Problems: a port cannot be had.
        """
        listeners = [(_listen(one["address"], one["port"]), one["target"]) for one in publications]
        told, self._pid = os.pipe()
        if listeners and os.fork() == 0:
            _be_relay(listeners, told)
        os.close(told)
        for listener, _ in listeners:
            listener.close()

    def lead_to(self, pid: int) -> None:
        """Lead to the ports of a process's network namespace. Without this, nothing is accepted."""
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._pid, "w") as told:
            told.write(str(pid))


def _listen(address: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=socket.SOMAXCONN
        )
    except OSError as error:
        message = f"port {port} of {address} cannot be published: {os.strerror(error.errno or 0)}"
        raise Problems([Problem("EXW0703", message, "publish another one, as in -p 8081:8080")]) from error


def _be_relay(listeners: Sequence[_Listener], told: int) -> NoReturn:
    try:
        kernel.die_with_parent()
        os.setsid()  # what the terminal sends is the program's
        _keep_only([told, *(listener.fileno() for listener, _ in listeners)])
        pid = os.read(told, 20).decode()
        if pid:  # else the run has ended already
            inside = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            kernel.setns(inside)
            os.close(inside)
            kernel.drop_privileges()
            asyncio.run(_serve(listeners))
    finally:
        os._exit(0)


def _keep_only(kept: Iterable[int]) -> None:
    """Close everything else: whoever reads what the program writes learns of its end from the program."""
    let_go_of_streams()
    edges = [2, *sorted(kept)]
    for before, after in itertools.pairwise(edges):
        os.closerange(before + 1, after)
    kernel.close_from(edges[-1] + 1)


async def _serve(listeners: Sequence[_Listener]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for listener, target in listeners:
            server = await asyncio.start_server(_leading_to(target), sock=listener)
            tasks.create_task(server.serve_forever())


def _leading_to(target: int) -> Any:
    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
            with contextlib.closing(inner_writer):
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    return lead


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """To the end of one direction; the other may go on (a half-closed connection)."""
    while data := await source.read(_BYTES):
        sink.write(data)
        await sink.drain()
    sink.write_eof()
