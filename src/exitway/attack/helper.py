"""A service of the machine that would be a way out: on its loopback, on a Unix socket, on an abstract one. It notes who speaks to it."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Iterable
from pathlib import Path

from exitway.attack.watcher import Watcher


class Service(Watcher):
    """Listens from the beginning to the end of a ``with`` block; its facts are who has spoken to it."""

    def __init__(self, directory: Path, own: Iterable[str] = ()) -> None:
        """``own``: further addresses to listen at."""
        super().__init__()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stop, selectors.EVENT_READ, None)
        self.path = directory / "helper.sock"
        self.abstract = f"exitway-attack-{os.urandom(4).hex()}"
        self.port = self._listen(own)
        for address in (str(self.path), "\0" + self.abstract):
            self._add(socket.socket(socket.AF_UNIX), address)
        self.path.chmod(0o666)

    def _listen(self, own: Iterable[str]) -> int:
        first = socket.socket()
        self._add(first, ("127.0.0.1", 0))
        port: int = first.getsockname()[1]
        self._add(socket.socket(type=socket.SOCK_DGRAM), ("127.0.0.1", port))
        for address in ("::1", *own):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with contextlib.suppress(OSError):  # no IPv6 here, or the port is taken there
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    self._add(socket.socket(family, kind), (address, port))
        return port

    def _add(self, listener: socket.socket, address: str | tuple[str, int]) -> None:
        try:
            listener.bind(address)
        except OSError:
            listener.close()
            raise
        if listener.type == socket.SOCK_STREAM:
            listener.listen(100)
        self._selector.register(listener, selectors.EVENT_READ, address)

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        self.path.unlink()

    def _watch(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                self._receive(key.fileobj, key.data)  # type: ignore[arg-type]

    def _receive(self, listener: socket.socket, address: object) -> None:
        with contextlib.suppress(OSError):
            if listener.type == socket.SOCK_STREAM:
                listener.accept()[0].close()
            else:
                listener.recvfrom(65536)
        self.note({"kind": "helper", "what": f"the machine's {address!a}"})
