"""The world's process: ``python -m exitway.lab.world DIRECTORY``, started in a network namespace of its own.

It reads one line from stdin (the cable is there), starts every server, and prints ``ready``.
"""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from exitway.lab import certificates, sniffer, zone
from exitway.lab.database import PORT as DATABASE_PORT
from exitway.lab.database import Database
from exitway.lab.http import http
from exitway.lab.servers import Connection, echo, serve_tcp, serve_udp, sink, source, speak_first
from exitway.lab.witness import Witness
from exitway.lab.wsgi import Program, mirror

INTERFACE = "world0"
HOST_END, WORLD_END = "02:45:57:ff:ff:00", "02:45:57:ff:ff:01"
"""Hardware addresses of the cable's ends. Both know the other's: the world answers from addresses that are on no interface, and Linux does not ask
for an IPv6 neighbour from such an address where there is no link-local one.
"""
WITNESS, CHANGED_NAMES = "witness.jsonl", "names.json"

HTTP_PORTS = (80, 8000, 8080)
TLS_PORTS = (443, 8443)
SPEAKING_FIRST_PORTS = (25, 3306)
ECHO_PORT, SINK_PORT, SOURCE_PORT, DNS_PORT = 7, 9, 19, 53

_NETWORK = f"""
link set lo up
addr add {zone.WORLD_IPV4}/30 dev {INTERFACE}
addr add {zone.WORLD_IPV6}/126 dev {INTERFACE} nodad
link set {INTERFACE} addrgenmode none up
neigh replace {zone.HOST_IPV4} lladdr {HOST_END} dev {INTERFACE} nud permanent
neigh replace {zone.HOST_IPV6} lladdr {HOST_END} dev {INTERFACE} nud permanent
route add local 0.0.0.0/0 dev lo table main
route add local ::/0 dev lo table main
"""
"""Whatever is sent here has arrived: every address is one of the world's own (Linux calls it AnyIP)."""


def main(directory: Path) -> None:
    """Start everything and wait to be killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the command
    certificates.make(directory)
    sys.stdin.readline()
    subprocess.run(["ip", "-batch", "-"], input=_NETWORK, text=True, check=True)
    serve(directory, INTERFACE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


def serve(directory: Path, interface: str) -> None:
    """Start every server and watch the packets that come in by the interface; what reaches them is told in the directory."""
    witness = Witness(directory / WITNESS)
    sniffer.start(interface, witness)
    names = _Names(directory / CHANGED_NAMES, witness)
    program = _programs()
    for port in HTTP_PORTS:
        serve_tcp(port, http(program), witness)
    for port in TLS_PORTS:
        serve_tcp(port, http(program, certificates.Contexts(directory)), witness)
    for port in SPEAKING_FIRST_PORTS:
        serve_tcp(port, speak_first, witness)
    serve_tcp(DATABASE_PORT, Database(directory / "database").talk, witness)
    serve_tcp(SINK_PORT, sink, witness)
    serve_tcp(SOURCE_PORT, source, witness)
    serve_tcp(ECHO_PORT, echo, witness)
    serve_udp(ECHO_PORT, lambda datagram: datagram)
    serve_tcp(DNS_PORT, names.talk, witness)
    serve_udp(DNS_PORT, names.answer)


def _programs() -> Callable[[Connection], Program]:
    import httpbin  # noqa: PLC0415  takes half a second, and whoever only asks for this module's constants needs it not

    def choose(connection: Connection) -> Program:
        return httpbin.app if connection.name in zone.HTTPBIN else mirror

    return choose


class _Names:
    """The DNS server: the zone, and what a test has changed in it since."""

    def __init__(self, changed: Path, witness: Witness) -> None:
        self._changed = changed
        self._witness = witness

    def answer(self, wire: bytes) -> bytes | None:
        query = zone.read(wire)
        if query is None:
            return None
        self._witness.record("query", name=zone.asked(query), type=zone.asked_type(query))
        changed = json.loads(self._changed.read_text()) if self._changed.exists() else {}
        return zone.answer(query, changed).to_wire()

    def talk(self, connection: Connection) -> None:
        """The same over TCP: each message after its length (RFC 1035, 4.2.2)."""
        with connection.socket.makefile("rwb") as stream:
            while length := stream.read(2):
                answer = self.answer(stream.read(*struct.unpack("!H", length)))
                if answer is None:
                    return
                stream.write(struct.pack("!H", len(answer)) + answer)
                stream.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
