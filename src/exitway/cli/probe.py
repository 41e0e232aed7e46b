"""One call, made by a program that is sealed: ``python -m exitway.cli.probe JSON``. It says what it sent and what came back, as JSON.

Nothing is sent that was not asked for: of TCP only the connection, of TLS only the handshake, of HTTP the request, without a body.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from typing import Any

PATIENCE_SECONDS = 10.0
SILENCE_SECONDS = 2.0
"""How long a server of an unknown protocol may take to speak first. Within it the proxy has decided, whatever it waits for."""


def main() -> None:
    """Make the call, whatever becomes of it."""
    call = json.loads(sys.argv[1])
    try:
        answer = _made(call)
    except OSError as error:
        answer = f"no answer: {(error.strerror or str(error)).lower()}"
    print(json.dumps({"sent": _sent(call), "answer": answer}))  # noqa: T201 - read by the command that started us


def _sent(call: dict[str, Any]) -> str:
    where = f"{call['dial']} port {call['port']}"
    if call["sort"] == "http":
        return f"{call['method']} {_target(call)} with Host: {call['authority']}, to {where}"
    if call["sort"] == "tls":
        return f"a ClientHello {'for ' if call['name'] else 'without a name'}{call['name']}, to {where}"
    return f"a datagram to {where}" if call["sort"] == "udp" else f"a connection to {where}, and nothing on it"


def _target(call: dict[str, Any]) -> str:
    """CONNECT has none but the authority (RFC 9112, section 3.2.3)."""
    return str(call["path"]) or f"{call['name']}:{call['port']}"


def _made(call: dict[str, Any]) -> str:
    if call["sort"] == "udp":
        return _datagram(call)
    with socket.create_connection((call["dial"], call["port"]), PATIENCE_SECONDS) as connection:
        if call["sort"] == "http":
            return _request(connection, call)
        if call["sort"] == "tls":
            return _handshake(connection, call["name"])
        connection.settimeout(SILENCE_SECONDS)
        try:
            said = connection.recv(64)
        except TimeoutError:
            return "the connection stood, and nobody spoke"
        return f"the connection stood, and the server said {said!r}" if said else "the connection was closed"


def _request(connection: socket.socket, call: dict[str, Any]) -> str:
    head = f"{call['method']} {_target(call)} HTTP/1.1\r\nHost: {call['authority']}\r\nUser-Agent: exitway-explain\r\n"
    connection.sendall(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
    said = connection.makefile("rb").readline(200)
    return said.decode("latin-1").strip() or "the connection was closed"


def _handshake(connection: socket.socket, name: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who the server is, is not the question
    with context.wrap_socket(connection, server_hostname=name or None) as session:
        return f"a handshake, {session.version()}"


def _datagram(call: dict[str, Any]) -> str:
    family, kind, _, _, address = socket.getaddrinfo(call["dial"], call["port"], type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as one:
        one.settimeout(SILENCE_SECONDS)
        one.connect(address)
        one.send(b"\0")
        one.send(b"\0")  # the refusal of the first is told to the second
        one.recv(1)
    return "an answer"


if __name__ == "__main__":
    main()
