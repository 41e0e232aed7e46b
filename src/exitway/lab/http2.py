"""HTTP/2 for the world (RFC 9113; the library h2 knows the frames), and gRPC on it: each message comes back.

A gRPC call to a method named ``Repeat`` gets each message three times, any other once, as soon as it has arrived: that is unary, server
streaming or bidirectional as the client has it (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset

from exitway.lab.servers import Connection
from exitway.lab.wsgi import Program, Request

_GRPC = "application/grpc"
_REPETITIONS = 3


@dataclass
class _Stream:
    """One request and its answer. ``unread``: what of the body no message has taken; ``unsent``: what of the answer has to wait for its window."""

    headers: dict[str, str]
    unread: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    blocks: Iterator[bytes] = field(default_factory=lambda: iter(()))
    whole: bool = False

    @property
    def is_grpc(self) -> bool:
        return self.headers.get("content-type", "").startswith(_GRPC)

    def messages(self) -> Iterator[bytes]:
        """The messages that have arrived whole, each with the five bytes before it."""
        while len(self.unread) >= 5 and len(self.unread) >= (end := 5 + int.from_bytes(self.unread[1:5])):
            yield bytes(self.unread[:end])
            del self.unread[:end]


def speak(stream: socket.socket, connection: Connection, program: Program) -> None:
    """Answer the requests of a connection until it ends."""
    _Conversation(stream, connection, program).run()


class _Conversation:
    def __init__(self, stream: socket.socket, connection: Connection, program: Program) -> None:
        self._socket = stream
        self._connection = connection
        self._program = program
        self._http2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, _Stream] = {}
        self._requests = 0

    def run(self) -> None:
        self._http2.initiate_connection()
        self._flush()
        while data := self._socket.recv(65536):
            for event in self._http2.receive_data(data):
                self._take(event)
            for number in list(self._streams):
                self._send(number)
            self._flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, RequestReceived) and event.stream_id:
            self._streams[event.stream_id] = stream = _Stream({str(key): str(value) for key, value in event.headers})
            if stream.is_grpc:
                self._record(stream)
                self._http2.send_headers(event.stream_id, [(":status", "200"), ("content-type", _GRPC)])
        elif isinstance(event, DataReceived):
            stream = self._streams[event.stream_id]
            stream.unread += event.data
            self._http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if stream.is_grpc:
                times = _REPETITIONS if stream.headers[":path"].endswith("/Repeat") else 1
                stream.unsent += b"".join(message * times for message in stream.messages())
        elif isinstance(event, StreamEnded):
            self._streams[event.stream_id].whole = True
            if not self._streams[event.stream_id].is_grpc:
                self._answer(event.stream_id)
        elif isinstance(event, StreamReset):
            self._streams.pop(event.stream_id, None)

    def _answer(self, number: int) -> None:
        stream = self._streams[number]
        request = self._record(stream)

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            said = [(key.lower(), value) for key, value in headers if key.lower() != "connection"]
            self._http2.send_headers(number, [(":status", status.partition(" ")[0]), *said])

        blocks = self._program(request.environ(), start_response)
        stream.blocks = iter(()) if request.method == "HEAD" else iter(blocks)

    def _record(self, stream: _Stream) -> Request:
        """The request, and the witness knows of it."""
        self._requests += 1
        request = Request(
            connection=self._connection,
            number=self._requests,
            version="HTTP/2",
            scheme="https" if isinstance(self._socket, ssl.SSLSocket) else "http",
            method=stream.headers[":method"],
            path=stream.headers[":path"],
            host=stream.headers.get(":authority", ""),
            sni=getattr(self._socket, "sni", ""),
            headers=[(key, value) for key, value in stream.headers.items() if not key.startswith((":", "content-"))],
            content_type=stream.headers.get("content-type", ""),
            body=bytes(stream.unread),
        )
        self._connection.witness.record("request", **request.facts())
        return request

    def _send(self, number: int) -> None:
        """As much of an answer as its window takes."""
        stream = self._streams[number]
        while window := min(self._http2.local_flow_control_window(number), self._http2.max_outbound_frame_size):
            if not stream.unsent:
                stream.unsent += next(stream.blocks, b"")
            if not stream.unsent:
                break
            self._http2.send_data(number, bytes(stream.unsent[:window]))
            del stream.unsent[:window]
            self._flush()
        if stream.whole and not stream.unsent and window:
            del self._streams[number]
            if stream.is_grpc:
                self._http2.send_headers(number, [("grpc-status", "0")], end_stream=True)
            else:
                self._http2.end_stream(number)

    def _flush(self) -> None:
        self._socket.sendall(self._http2.data_to_send())
