import socket
from contextlib import ExitStack

import pytest

from exitway.capture import sock_diag
from exitway.capture.sock_diag import connections, destroy, unavailable

pytestmark = pytest.mark.lab


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


def connect(stack, address):
    """Both ends, as sockets, and how the kernel calls them."""
    listener = stack.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    client = stack.enter_context(socket.create_connection((address, listener.getsockname()[1])))
    server = stack.enter_context(listener.accept()[0])
    return client, server, said(client.getsockname()), said(client.getpeername())


def said(end):
    return f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_exactly_the_connection_that_is_named_ends(stack, address):
    client, server, local, remote = connect(stack, address)
    other, its_server, other_local, other_remote = connect(stack, address)
    plain = tuple(end.replace("[::ffff:127.0.0.1]", "127.0.0.1") for end in (local, remote))
    assert plain in connections()
    assert destroy(local, remote)
    with pytest.raises(ConnectionAbortedError):
        client.recv(1)
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    assert plain not in connections()
    assert not destroy(local, remote)
    other.sendall(b"x")
    assert its_server.recv(1) == b"x"
    assert other_local != other_remote


def test_a_listener_is_not_a_connection(stack):
    client, _, local, remote = connect(stack, "127.0.0.1")
    client.close()
    assert not destroy(remote, remote)
    assert not destroy(remote, "127.0.0.1:1")
    assert (remote, local) in connections()
    port = int(remote.rpartition(":")[2])
    assert stack.enter_context(socket.create_connection(("127.0.0.1", port)))


def test_it_says_why_it_cannot(monkeypatch):
    assert not unavailable()
    monkeypatch.setattr(sock_diag, "_DESTROY", 22)  # as a kernel that does not know it
    assert "Invalid argument" in unavailable() or "not supported" in unavailable()
