"""The world's servers. Each holds one port at every address (IPv4 and IPv6 alike) and tells the witness what reaches it."""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass

from exitway.lab import zone
from exitway.lab.witness import Witness

_IPV6_RECVPKTINFO, _IPV6_PKTINFO, _IPV6_FREEBIND = 49, 50, 78  # linux/in6.h
_numbers = itertools.count(1)

Talk = Callable[["Connection"], None]


@dataclass(frozen=True)
class Connection:
    """An accepted TCP connection: where the client wanted to go, its own address, and the connection's number in the world."""

    socket: socket.socket
    witness: Witness
    address: str
    port: int
    client: str
    number: int

    @property
    def name(self) -> str:
        """The name whose address was dialled; empty: no name has it."""
        return zone.name_of(self.address)


class _Listener(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6  # an IPv6 socket takes IPv4 as well
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


def serve_tcp(port: int, talk: Talk, witness: Witness) -> None:
    """Accept connections from now on, each in a thread that ``talk`` has until the connection is over."""

    class Accepted(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            address = plain(self.request.getsockname()[0])
            client = plain(self.client_address[0])
            connection = Connection(self.request, witness, address, port, client, next(_numbers))
            witness.record("connection", address=address, port=port, name=connection.name)
            try:
                talk(connection)
            except OSError:
                return  # the client went away

    listener = _Listener(("::", port), Accepted)
    threading.Thread(target=listener.serve_forever, daemon=True).start()


def serve_udp(port: int, answer: Callable[[bytes], bytes | None]) -> None:
    """Answer datagrams from now on, each from the address that it was sent to."""
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    datagrams.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)  # to answer from addresses that no interface has
    datagrams.bind(("::", port))
    threading.Thread(target=_answer_datagrams, args=(datagrams, answer), daemon=True).start()


def _answer_datagrams(datagrams: socket.socket, answer: Callable[[bytes], bytes | None]) -> None:
    while True:
        question, ancillary, _, client = datagrams.recvmsg(65535, socket.CMSG_SPACE(20))
        reply = answer(question)
        destination = [item for item in ancillary if item[1] == _IPV6_PKTINFO]
        if reply is not None:
            datagrams.sendmsg([reply], destination, 0, client)


def plain(address: str) -> str:
    """The address as the client wrote it: without the prefix of an IPv4 address on an IPv6 socket."""
    return address.removeprefix("::ffff:")


def echo(connection: Connection) -> None:
    """Say what was said (RFC 862)."""
    while data := connection.socket.recv(65536):
        connection.socket.sendall(data)


def sink(connection: Connection) -> None:
    """Take all there is, and then say how many bytes it was: the client has closed its half, and reads on."""
    size = 0
    while data := connection.socket.recv(1 << 20):
        size += len(data)
    connection.socket.sendall(b"%d\n" % size)


def source(connection: Connection) -> None:
    """Send as many bytes as the first line says, and close."""
    with connection.socket.makefile("rb") as lines:
        size = int(lines.readline())
    block = bytes(1 << 20)
    while size > 0:
        connection.socket.sendall(block[:size])
        size -= len(block)


def speak_first(connection: Connection) -> None:
    """Greet before the client has said anything, as SMTP and MySQL do; then one line for each line."""
    connection.socket.sendall(f"220 {connection.name or connection.address} speaks first\r\n".encode())
    with connection.socket.makefile("rb") as lines:
        for line in lines:
            connection.socket.sendall(b"250 " + line)
