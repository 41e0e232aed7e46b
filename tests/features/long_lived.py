"""Connections that go on: a server for them in the lab's world, and a program that opens them inside a workload.

    tls         a TLS tunnel             port 9443
    websocket   an upgraded connection   port 9000
    stream      a response without end   port 9000
    h2          an HTTP/2 stream without end, all of a program's on one connection   port 9000
    tcp         what is neither          port 9001

Whatever the server is sent, or sends of itself, is a beat: a connection lives as long as it beats.
"""

import contextlib
import functools
import json
import random
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

from exitway.capture.netns import in_netns

HTTP, TLS, TCP = 9000, 9443, 9001
BEAT_SECONDS = 0.05
SILENT_SECONDS = 3.0
"""After which a connection is dead. What is cut ends by itself, at once."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Server:
    """In this process, with sockets in the world's network namespace. ``beats``: (time, what, host) of all that has arrived from clients."""

    def __init__(self, certificates):
        self.beats = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        for port, talk in {HTTP: self._http, TLS: self._over_tls, TCP: self._echo}.items():
            listener = in_netns(world_netns(), functools.partial(listen, port))
            threading.Thread(target=self._accept, args=(listener, talk), daemon=True).start()

    def _accept(self, listener, talk):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._talk, args=(connection, talk), daemon=True).start()

    def _talk(self, connection, talk):
        with contextlib.suppress(OSError, IndexError, ValueError), connection:
            talk(connection)

    def _echo(self, connection, what="tcp", host=""):
        while data := connection.recv(4096):
            self.beats.append((time.time(), what, host or connection.getsockname()[0]))
            connection.sendall(data)

    def _over_tls(self, connection):
        with self._tls.wrap_socket(connection, server_side=True) as stream:
            self._echo(stream, "tls", stream.recv(256).decode().strip())

    def _http(self, connection):
        said = b""
        while b"\r\n\r\n" not in said:
            said += connection.recv(4096)
        if said.startswith(PREFACE[:16]):
            self._h2(connection, said)
            return
        lines = said.decode().split("\r\n")
        host = next(line.split(": ")[1] for line in lines if line.lower().startswith("host: "))
        if "upgrade: websocket" in said.decode().lower():
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            self._echo(connection, "websocket", host)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1\r\nx\r\n")
            self.beats.append((time.time(), "stream", host))
            time.sleep(BEAT_SECONDS)

    def _h2(self, connection, said):
        """One stream, as an outer connection of the proxy carries; its headers are not read."""
        connection.sendall(frame(4, 0, 0))
        said = said[len(PREFACE) :]
        kind, stream = None, 0
        while kind != 1:
            while len(said) < 9 or len(said) < 9 + int.from_bytes(said[:3]):
                said += connection.recv(4096)
            length, kind, stream = int.from_bytes(said[:3]), said[3], int.from_bytes(said[5:9])
            said = said[9 + length :]
        connection.sendall(frame(4, 1, 0) + frame(1, 4, stream, b"\x88"))
        while True:
            connection.sendall(frame(0, 0, stream, b"x"))
            self.beats.append((time.time(), "h2", ""))
            time.sleep(BEAT_SECONDS)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def listen(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    listener.settimeout(None)
    return listener


def world_netns():
    """The world is a process of the lab's."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"exitway.lab.world" in (process / "cmdline").read_bytes():
                return process / "ns/net"
    raise LookupError("no lab")


def open_tcp(host):
    return echoing(socket.create_connection((host, TCP), timeout=5))


def open_tls(host):
    context = ssl._create_unverified_context()
    stream = context.wrap_socket(socket.create_connection((host, TLS), timeout=5), server_hostname=host)
    stream.sendall(host.encode() + b"\n")
    return echoing(stream)


def open_websocket(host):
    return echoing(asked(host, "Connection: Upgrade\r\nUpgrade: websocket\r\n"))


def open_stream(host):
    connection = asked(host)
    return lambda: connection.recv(4096)


OPEN = {"tcp": open_tcp, "tls": open_tls, "websocket": open_websocket, "stream": open_stream}
"""Each gives a function that waits for the next beat, or is told the end: nothing, or OSError."""


def asked(host, headers=""):
    connection = socket.create_connection((host, HTTP), timeout=5)
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode())
    answer = connection.recv(4096)
    if not answer.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")):
        raise OSError(answer)
    return connection


def echoing(connection):
    def beat():
        connection.sendall(b"beat")
        time.sleep(BEAT_SECONDS)
        return connection.recv(4096)

    beat()  # the proxy lets a connection out when it knows what is spoken
    return beat


class Talker:
    """The program inside: opens what it is given, and says what has become of it each time it is asked."""

    def __init__(self, wanted):
        self.died = {}
        self.beaten = {}
        self._h2: Any = None
        self._streams = {}
        for what, host in wanted:
            name = f"{what} {host}"
            if what == "h2":
                self._open_h2(host, name)
            else:
                threading.Thread(target=self._go_on, args=(OPEN[what](host), name), daemon=True).start()
            self.beaten[name] = time.time()

    def states(self):
        """When each has died, or null; one that is silent for long is dead."""
        now = time.time()
        silent = {name: at for name, at in self.beaten.items() if now - at > SILENT_SECONDS}
        return {name: self.died.get(name, silent.get(name)) for name in self.beaten}

    def _go_on(self, beat, name):
        with contextlib.suppress(OSError):
            while beat():
                self.beaten[name] = time.time()
        self.died[name] = time.time()

    def _open_h2(self, host, name):
        if self._h2 is None:
            self._h2 = socket.create_connection((host, HTTP), timeout=5)
            self._h2.sendall(PREFACE + frame(4, 0, 0))
            threading.Thread(target=self._read_h2, daemon=True).start()
        stream = 2 * len(self._streams) + 1
        self._streams[stream] = name
        request = b"\x82\x84\x86\x01" + bytes([len(host)]) + host.encode()  # GET, /, http, and the authority (RFC 7541)
        self._h2.sendall(frame(1, 5, stream, request))

    def _read_h2(self):
        source = self._h2.makefile("rb")
        while header := source.read(9):
            payload = source.read(int.from_bytes(header[:3]))
            name = self._streams.get(int.from_bytes(header[5:9]), "")
            if header[3] == 0 and payload:
                self.beaten[name] = time.time()
            elif header[3] == 3:
                self.died[name] = time.time()
            elif header[3] == 4 and not header[4]:
                self._h2.sendall(frame(4, 1, 0))


class Load:
    """The program inside: some threads that try again and again; some connections are left soon, others live until they are cut."""

    def __init__(self, host, threads):
        self.counts = {"sent": 0, "allowed": 0, "denied": 0}
        for number in range(threads):
            what = ("tls", "websocket", "stream")[number % 3]
            threading.Thread(target=self._try, args=(OPEN[what], host), daemon=True).start()

    def _try(self, open_, host):
        while True:
            self.counts["sent"] += 1
            try:
                beat = open_(host)
            except OSError:
                self.counts["denied"] += 1
                continue
            self.counts["allowed"] += 1
            with contextlib.suppress(OSError):
                for _ in range(random.choices([1, 10_000], [30, 1])[0]):
                    beat()

    def states(self):
        return self.counts


if __name__ == "__main__":
    program = {"talker": Talker, "load": Load}[sys.argv[1]](*json.loads(sys.argv[2]))
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(program.states()) + "\n")
        sys.stdout.flush()
