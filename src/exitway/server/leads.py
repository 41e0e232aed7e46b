"""Where the names lead that rules call direct, as the name process follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence


class Leads:
    """``send`` gives the name process a message, if it is there. ``news`` is set when a name leads elsewhere.

    ``known``: the addresses of each name, IPv4 before IPv6; replaced when something changes, never changed itself.
    """

    def __init__(self, send: Callable[[object], bool]) -> None:
        self._send = send
        self._asked: set[str] = set()
        self._wanted: frozenset[str] = frozenset()
        self.known: Mapping[str, tuple[str, ...]] = {}
        self.news = asyncio.Event()

    def follow(self, names: Collection[str]) -> None:
        """From now on, these names and no others. Asked again with the same names, it costs nothing."""
        self._wanted = frozenset(names)
        for word, some in (("follow", self._wanted - self._asked), ("leave", self._asked - self._wanted)):
            self._tell(word, sorted(some))
        if self.known.keys() - self._wanted:
            self.known = {name: found for name, found in self.known.items() if name in self._wanted}

    def again(self) -> None:
        """The name process is a new one, or has a new server; it follows nothing."""
        self._asked = set()
        self.follow(self._wanted)

    def addresses(self, name: str) -> tuple[str, ...] | None:
        """Where a name leads, IPv4 before IPv6; None: that is not known yet."""
        return self.known.get(name)

    def heard(self, leads: Mapping[str, Sequence[str]]) -> None:
        """The name process has said something."""
        self.known = {**self.known, **{name: tuple(found) for name, found in leads.items() if name in self._wanted}}
        self.news.set()

    def _tell(self, word: str, names: list[str]) -> None:
        if names and self._send({word: names}):
            self._asked = self._asked | set(names) if word == "follow" else self._asked - set(names)
