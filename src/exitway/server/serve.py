"""The server of one machine: an engine with a store and an API of its own, and with the workloads that commands bring."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from exitway.api.app import create_app
from exitway.api.guard import token
from exitway.api.listen import serve, unix_socket
from exitway.capture.home import Home
from exitway.server.dashboard import dashboard
from exitway.server.engine import Engine, envoy_process, many_files
from exitway.server.names import Names
from exitway.server.routes import routes, serve_metrics
from exitway.server.sole import sole
from exitway.server.supervise import from_home, system_resolvers
from exitway.server.workloads import Workloads
from exitway.settings import Settings
from exitway.store.store import Store

IDLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sockets:
    """They are made where clients have to be. ``unix``: unbound; ``tcp``: listens for those who have the token; ``metrics``: for Prometheus."""

    unix: socket.socket
    tcp: socket.socket | None = None
    metrics: socket.socket | None = None


class Server(Engine):
    """One for each runtime directory."""

    workloads: Workloads

    def __init__(
        self,
        settings: Settings,
        *,
        until_idle: bool,
        sockets: Sockets,
        home: Home | None,
    ) -> None:
        """``until_idle``: serve until the last workload has gone. ``home``: where we are, if that is not the machine's own network."""
        if home and home.new:  # what lives in one that is gone has no way out, and may not be found
            envoy_process(settings).stop()
            for left in ("names.sock", "names.port"):
                (settings.runtime_dir / left).unlink(missing_ok=True)
        self._until_idle = until_idle
        self._sockets = sockets
        self._home = home
        upstream = settings.resolvers or system_resolvers()
        self.store = Store(settings.store)
        names = Names(settings.runtime_dir, from_home(upstream) if home else upstream)
        super().__init__(settings, self.store, names, alone=True, loopback=home is None)
        self.workloads = Workloads(
            settings.runtime_dir,
            names,
            audit_namespaces=settings.audit_namespaces,
            changed=self.publish,
            seen=self.seen,
        )

    async def populate(self) -> None:
        """Take in what a server before us has left."""
        await self.workloads.restore()

    def parts(self) -> Iterator[Awaitable[object]]:
        """The API, and what ends us."""
        yield self._serve_api()
        if self._sockets.metrics:
            yield serve_metrics(self.metrics, self._sockets.metrics, self.stopping)
        if self._home:
            yield self._home.holder.ended()
        if self._until_idle:
            yield self._idle()

    def closed(self) -> None:
        """Nobody needs our home any more, unless somebody lives in it."""
        if self._home and not self.workloads.running:
            self._home.end()

    async def _serve_api(self) -> None:
        app = create_app(self.store, self.programmed, extra_routes=[*routes(self), *dashboard(self)])
        with unix_socket(self.settings.socket, self._sockets.unix) as unix:
            if self._sockets.tcp:
                secret = token(self.settings.token)
                await serve(app, unix, self.stopping, tcp=self._sockets.tcp, secret=secret)
            else:
                await serve(app, unix, self.stopping)

    async def _idle(self) -> None:
        """Ends when there has been no workload for a while, and none is about to come."""
        since = time.monotonic()
        with self.settings.arrivals.open("a") as arrivals:
            # who has just arrived has let go of the lock, and is running
            while self.workloads.running or time.monotonic() - since < IDLE_SECONDS or not _alone(arrivals):
                if self.workloads.running:
                    since = time.monotonic()
                await asyncio.sleep(0.1)
            self._idle_lock = os.dup(
                arrivals.fileno()
            )  # until the process ends: who comes now waits, and starts another server


def _alone(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def serve_forever(settings: Settings, **given: Any) -> None:
    """Run a server in this process until it is told to stop. The arguments are those of :class:`Server`."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    many_files()
    with sole(settings):
        asyncio.run(_serve(settings, **given))


async def _serve(settings: Settings, **given: Any) -> None:
    await Server(settings, **given).serve()
