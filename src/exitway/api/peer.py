"""Who may connect to the Unix socket: the server's own user and root, and only from the network namespace in which the server was started.

A sealed workload runs as the same user and sees the same files, so neither the socket's mode nor the user id keeps it out; its network
namespace does. An accepted Unix socket belongs to the namespace in which the *client's* was made, and SO_NETNS_COOKIE names that namespace.
Unlike looking up the peer's process id under /proc this cannot be raced by a client that ends, and it needs no right over the peer.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

from exitway.api.status import failure
from exitway.resources.problem import Problem, Problems

_SO_NETNS_COOKIE = 71  # <asm-generic/socket.h>, Linux 5.14
_UCRED = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))


def network_namespace(unix: socket.socket) -> int:
    """The namespace in which a socket was made; of an accepted Unix socket, its client's.

    Raises:
        Problems: the kernel cannot tell.
    """
    try:
        return int.from_bytes(unix.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), "little")
    except OSError as error:
        text = "the kernel does not tell the network namespace of a socket's peer (SO_NETNS_COOKIE)"
        raise Problems([Problem("EXW0604", text, "Exitway needs Linux 5.14 or newer")]) from error


def admits(accepted: socket.socket, home: int) -> bool:
    """Whether the client at the other end of an accepted Unix socket may use the API. ``home``: the network namespace of those who may."""
    _, uid, _ = _UCRED.unpack(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid in (os.geteuid(), 0) and network_namespace(accepted) == home


class PeerChecked(H11Protocol):
    """uvicorn's HTTP/1.1, for admitted peers. Another one is told no, and nothing that it sends is looked at."""

    home: int
    _admitted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Go on, or say no and close a little later, so that the client reads the answer before the end."""
        self.transport = transport
        self._admitted = admits(transport.get_extra_info("socket"), self.home)
        if self._admitted:
            super().connection_made(transport)
        else:
            transport.write(_FORBIDDEN)
            transport.write_eof()
            self.loop.call_later(1, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Look at it only if the peer is admitted."""
        if self._admitted:
            super().data_received(data)


def _forbidden() -> bytes:
    sentence = "the server serves only the user who started it, and root, and only from the network namespace where it was started"
    body = bytes(failure(403, "Forbidden", sentence).body)
    return (
        b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (len(body), body)
    )


_FORBIDDEN = _forbidden()
