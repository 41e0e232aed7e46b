"""Who is connected, what each proxy should have, and what each has acknowledged. No I/O: ``server.py`` reads and writes.

Proxies of equal policy are a group, which shares one snapshot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exitway.envoy.snapshot import Snapshot
from exitway.xds.stream import DeltaStream

STREAMS_OF_ONE = 4
"""How many streams one proxy may have: those that it has left behind without a word are not known to be over yet."""

_NOTHING = Snapshot()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who a proxy has proved to be: ``id``, and the ``group`` whose snapshot it should have."""

    id: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """``proxies``: how many there are; ``acknowledged``: how many of them have what is meant; ``errors``: who has refused something, and why."""

    proxies: int
    acknowledged: int
    errors: tuple[tuple[Peer, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Having:
    """What one proxy has: everything up to a revision of the rules, and the configuration (a hash) that they make if it has all of it."""

    peer: Peer
    revision: int
    configuration: str
    in_step: bool
    errors: tuple[str, ...]


class Connection:
    """A stream, and what its writer waits for.

    ``since``: the proxy has everything up to this revision, or, if it is in step, up to now. ``over``: it is not to be told more.
    ``changed``: when the rules changed of which it is told, and has not acknowledged all (``time.monotonic``); 0: that is not so.
    ``acknowledged``, ``refused``: so many answers of the stream have been counted.
    """

    def __init__(self, peer: Peer, snapshot: Snapshot) -> None:
        self.peer = peer
        self.stream = DeltaStream(snapshot)
        self.due = asyncio.Event()
        self.since = 0
        self.over = False
        self.changed = 0.0
        self.acknowledged = self.refused = 0

    @property
    def in_step(self) -> bool:
        """Whether the proxy has answered for everything, and will for what comes."""
        return self.stream.in_step and not self.over


class Proxies:
    """The proxies that hold a stream, by group and by who they are.

    ``moved``: called with the group when a proxy of it came, went or answered.
    ``revision``: of the rules that all snapshots are of; set it when the last of them is published, before anybody else has his turn.
    ``propagated``: called when a proxy has acknowledged a change of the rules, with the seconds since then. ``refusals``: so many were refused.
    """

    def __init__(self) -> None:
        self.moved: Callable[[str], None] = lambda _: None
        self.propagated: Callable[[float], None] = lambda _: None
        self.refusals = 0
        self.revision = 0
        self._snapshots: dict[str, Snapshot] = {}
        self._groups: dict[str, set[Connection]] = {}
        self._peers: dict[str, dict[Connection, None]] = {}
        self._calm: dict[str, int] = {}
        """How many proxies there are in groups where all have everything; so that counting costs nothing where nothing goes on."""
        self._progress = asyncio.Event()

    @property
    def connected(self) -> int:
        """How many proxies hold a stream."""
        return sum(map(len, self._groups.values()))

    @property
    def errors(self) -> list[str]:
        """What proxies have refused, and why; empty when all is in force."""
        return [error for one in self._all() for error in one.stream.errors.values()]

    def having(self) -> list[Having]:
        """What each connected proxy has acknowledged."""
        return [
            Having(
                one.peer,
                self.revision if one.in_step and not one.stream.errors else one.since,
                one.stream.snapshot.revision if one.in_step and not one.stream.errors else "",
                one.in_step,
                tuple(one.stream.errors.values()),
            )
            for one in self._all()
        ]

    def publish(self, snapshot: Snapshot, group: str = "", changed: float = 0.0) -> None:
        """From now on this is what every proxy of the group should have. ``changed``: when the rules did (``time.monotonic``); 0: they did not."""
        if self._snapshots.get(group) is snapshot:
            return
        self._snapshots[group] = snapshot
        for connection in self._groups.get(group, ()):
            if not connection.over:
                connection.changed = connection.changed or changed
                self._tell(connection, snapshot)
        self._moved(group)

    def forget(self, group: str) -> None:
        """No proxy is in this group any more."""
        self._snapshots.pop(group, None)

    def move(self, peer: str, group: str) -> None:
        """A proxy is in another group from now on; its snapshot has been published."""
        for connection in self._peers.get(peer, ()):
            before = connection.peer.group
            if before != group:
                self._leave(connection)
                self._enter(connection, group)
                self._tell(connection, self._snapshots.get(group, _NOTHING))
                self._moved(before)

    def end(self, peer: str) -> None:
        """Whoever proved to be this is that no more: it is told that there is nothing for it, and its streams end.

        A proxy that only lost its stream would keep what it has for ever, whatever becomes of the rules.
        """
        for connection in self._peers.get(peer, ()):
            connection.over = True
            self._tell(connection, _NOTHING)

    def standing(self, groups: Iterable[str], revision: int) -> Standing:
        """How many proxies of these groups have what the rules said at a revision."""
        proxies, acknowledged, errors = 0, 0, list[tuple[Peer, str]]()
        for group in groups:
            if group in self._calm and self.revision >= revision:
                proxies, acknowledged = proxies + self._calm[group], acknowledged + self._calm[group]
                continue
            of_it = self._groups.get(group, ())
            refused = [(one.peer, error) for one in of_it for error in one.stream.errors.values()]
            having = [one for one in of_it if (self.revision if one.in_step else one.since) >= revision]
            if not refused and all(one.in_step for one in of_it):
                self._calm[group] = len(of_it)
            proxies, errors = proxies + len(of_it), errors + refused
            acknowledged += sum(not one.stream.errors for one in having)
        return Standing(proxies, acknowledged, tuple(errors))

    def standing_of_all(self) -> dict[str, int]:
        """How many proxies have all that they should (``current``), have refused some of it (``refused``), or have yet to answer (``behind``)."""
        found = dict.fromkeys(("current", "behind", "refused"), 0)
        for one in self._all():
            found["refused" if one.stream.errors else "current" if one.in_step else "behind"] += 1
        return found

    async def settled(self, proxies: int, timeout_seconds: float) -> bool:
        """Wait until so many proxies are connected and all are in step with their snapshots. False: not within the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.connected < proxies or not all(one.stream.in_step for one in self._all()):
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    def _all(self) -> Iterable[Connection]:
        return (one for group in self._groups.values() for one in group)

    def _tell(self, connection: Connection, snapshot: Snapshot) -> None:
        if connection.stream.in_step and not connection.stream.errors:
            connection.since = self.revision
        connection.stream.publish(snapshot)
        connection.due.set()
        self._calm.pop(connection.peer.group, None)

    def _moved(self, group: str) -> None:
        """Wake whoever waits, and arm the event anew for the next move."""
        self._progress.set()
        self._progress = asyncio.Event()
        self.moved(group)

    def join(self, peer: Peer) -> Connection:
        """A proxy has come. Of too many streams of one the oldest ends."""
        connection = Connection(peer, self._snapshots.get(peer.group, _NOTHING))
        self._enter(connection, peer.group)
        streams = self._peers.setdefault(peer.id, {})
        if peer.id and len(streams) >= STREAMS_OF_ONE:
            oldest = next(iter(streams))
            oldest.over = True
            oldest.due.set()
        streams[connection] = None
        return connection

    def heard(self, connection: Connection) -> None:
        """It has said something, or everything was told: whether it is in step may be another thing than it was."""
        self._calm.pop(connection.peer.group, None)
        stream = connection.stream
        self.refusals += stream.refused - connection.refused
        connection.refused = stream.refused
        if stream.in_step:
            if connection.changed and stream.acknowledged > connection.acknowledged and not stream.errors:
                self.propagated(time.monotonic() - connection.changed)
            connection.changed, connection.acknowledged = 0.0, stream.acknowledged
            self._moved(connection.peer.group)

    def gone(self, connection: Connection) -> None:
        """Its stream has ended."""
        peer = connection.peer
        self._leave(connection)
        self._peers[peer.id].pop(connection, None)
        if not self._peers[peer.id]:
            del self._peers[peer.id]
        self._moved(peer.group)

    def _enter(self, connection: Connection, group: str) -> None:
        self._groups.setdefault(group, set()).add(connection)
        self._calm.pop(group, None)
        connection.peer = Peer(connection.peer.id, group)

    def _leave(self, connection: Connection) -> None:
        name = connection.peer.group
        self._calm.pop(name, None)
        self._groups[name].discard(connection)
        if not self._groups[name]:
            del self._groups[name]
