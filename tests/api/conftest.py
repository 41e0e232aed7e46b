"""The real API over a real store: in a thread, on a Unix socket and on TCP."""

import asyncio
import http.client
import json
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exitway.api.app import create_app
from exitway.api.guard import token
from exitway.api.listen import serve, tcp_socket, unix_socket
from exitway.store.store import Store


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self):
        return json.loads(self.content)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("exitway", timeout=10)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Api:
    """A running server. ``silent``: what ``programmed`` says; ``waited``: for which revisions it was asked."""

    directory: Path
    silent: list[str] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)
    port: int = 0
    token: str = ""

    @property
    def socket(self):
        return self.directory / "run" / "api.sock"

    @property
    def database(self):
        return self.directory / "state" / "store.db"

    def connection(self):
        return _UnixConnection(self.socket)

    def ask(self, method, path, body=None, *, content_type="application/json", connection=None, **headers):
        """``body``: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = connection or self.connection()
        try:
            connection.request(
                method, path, content, {"content-type": content_type, **sent} if body is not None else sent
            )
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def tcp(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def change(self, verb, *wires, **options):
        return self.ask("POST", "/exitway/v1/changes", {"verb": verb, "objects": list(wires), **options})

    def watch(self, path):
        """The lines of a watch, as an iterator; closing it ends the watch."""
        connection = self.connection()
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            assert response.status == 200, response.read()
            for line in response:
                yield json.loads(line)
        finally:
            connection.close()


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    ready, thread_error = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def programmed(revision):
        api.waited.append(revision)
        return api.silent

    async def main():
        with Store(api.database) as store, unix_socket(api.socket) as unix, tcp_socket("127.0.0.1:0") as tcp:
            api.port, api.token = tcp.getsockname()[1], token(api.directory / "state" / "token")
            loop.call_soon(ready.set)
            await serve(create_app(store, programmed), unix, stop, tcp=tcp, secret=api.token)

    def run():
        try:
            loop.run_until_complete(main())
        except BaseException as error:  # noqa: BLE001 - shown by the fixture
            thread_error.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield api
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    assert not thread.is_alive()
    loop.close()
    assert not thread_error, thread_error
