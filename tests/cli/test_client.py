from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitway.cli.client import Client, Refusal, Unreachable
from exitway.settings import Settings


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[Client]:
    """A server that reads one request, gives one answer and hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        yield Client(Settings(path.parent, path.parent), path)
        thread.join()


REFUSED = (
    b'{"kind":"Status","message":"no","reason":"Invalid","details":'
    b'{"causes":[{"index":1,"field":"spec.x","reason":"EXW0103","message":"bad","hint":"mend"}]}}'
)


def http(status: str, body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(body) if length is None else length,
        body,
    )


def test_an_answer_is_its_json(tmp_path):
    with answering(tmp_path / "s", http("200 OK", b'{"a": [1]}')) as client:
        assert client.request("GET", "/") == {"a": [1]}


def test_a_refusal_holds_its_problems_and_the_index_of_each_object(tmp_path):
    with answering(tmp_path / "s", http("422 Unprocessable", REFUSED)) as client, pytest.raises(Refusal) as refusal:
        client.request("POST", "/", {})
    [(index, problem)] = refusal.value.causes
    assert (index, problem.code, problem.field, problem.message, problem.hint) == (
        1,
        "EXW0103",
        "spec.x",
        "bad",
        "mend",
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a head"),
        pytest.param(http("200 OK", b'{"a": 1}', 100), id="half a body"),
        pytest.param(http("200 OK", b"<html>"), id="not JSON"),
    ],
)
def test_a_broken_answer_is_never_taken_for_a_whole_one(tmp_path, answer):
    with answering(tmp_path / "s", answer) as client, pytest.raises(Unreachable, match="EXW0903"):
        client.request("GET", "/")


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client = Client(Settings(tmp_path, tmp_path), tmp_path / "s")
        with pytest.raises(Unreachable, match="does not answer"):
            client.request("GET", "/", patience_seconds=0.05)


def test_a_socket_that_a_dead_server_left_behind_is_no_server(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    with pytest.raises(Unreachable, match="no server is running"):
        Client(Settings(tmp_path, tmp_path), tmp_path / "s").request("GET", "/")
