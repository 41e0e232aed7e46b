"""The tools of the attempts: exchanges that end in time, and what they saw, in a line each."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

PATIENCE_SECONDS = 1.0
"""A refusal comes in milliseconds; what does not answer for so long will not."""

AT_ONCE = 16

_libc = ctypes.CDLL(None, use_errno=True)


class Reached(Exception):  # noqa: N818 - it is not an error of the attempt
    """The attempt has got out, or in, and can prove it itself."""


class Try:
    """A call to be made, and what it is called in the report."""

    def __init__(self, what: str, action: Callable[..., object], *arguments: Any, **options: Any) -> None:
        self._what = what
        self._call = partial(action, *arguments, **options)

    def __call__(self) -> str:
        """Make it; what came of it."""
        try:
            outcome = self._call()
        except OSError as error:
            return f"{self._what}: {error.strerror or error}"
        except ValueError as error:  # such as a name that getaddrinfo does not encode
            return f"{self._what}: {error}"
        return f"{self._what}: {_short(outcome)}"


Tries = list[Try | str]
"""What is to be tried, in no order; text is what has come of it already."""


def all_at_once(tries: Sequence[Try | str]) -> list[str]:
    """Do everything; most of it waits for answers that do not come."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = [one if isinstance(one, str) else pool.submit(one) for one in tries]
        return [one if isinstance(one, str) else one.result() for one in begun]


def _short(outcome: object) -> str:
    if isinstance(outcome, bytes):
        return ascii(outcome[:60].decode("latin-1")) if outcome else "closed"
    return "done" if outcome is None else str(outcome)[:80]


def talk(host: str, port: int, *pieces: bytes, pause_seconds: float = 0.0) -> bytes:
    """Connect over TCP (a name is looked up first), send the pieces, and what is answered until silence or the end."""
    with socket.create_connection((host, port), PATIENCE_SECONDS) as connection:
        return exchange(connection, *pieces, pause_seconds=pause_seconds)


def exchange(connection: socket.socket, *pieces: bytes, pause_seconds: float = 0.0) -> bytes:
    """Send each piece in a segment of its own; what is answered."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(ConnectionError):  # what was answered before is still to be read
        for piece in pieces:
            connection.sendall(piece)
            if pause_seconds:
                time.sleep(pause_seconds)
    return heard(connection)


def heard(connection: socket.socket) -> bytes:
    """All that comes, until the end or until nothing has come for a while. The first answer may take longer than what follows it."""
    answer = b""
    connection.settimeout(PATIENCE_SECONDS)
    with contextlib.suppress(OSError):
        while data := connection.recv(65536):
            answer += data
            connection.settimeout(0.1)
    return answer


def tell(host: str, port: int, data: bytes, kind: int = socket.SOCK_DGRAM, protocol: int = 0) -> bytes:
    """One datagram, and what is answered. The second ``send`` says what became of the first (ICMP)."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as datagrams:
        datagrams.settimeout(0.2)
        datagrams.connect(address)
        datagrams.send(data)
        time.sleep(0.005)
        datagrams.send(data)
        with contextlib.suppress(TimeoutError):
            return datagrams.recv(65536)
    return b""


def system_call(number: int, *arguments: int) -> int:
    """Of the machine's architecture, by number.

    Raises:
        OSError: it is refused.
    """
    result = int(_libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def c_call(name: str, *arguments: object) -> int:
    """A function of the C library that returns -1 and sets errno.

    Raises:
        OSError: it did.
    """
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def real(address: str) -> bool:
    """Whether the text is an IPv6 literal."""
    return ":" in address
