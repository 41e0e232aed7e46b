"""Which of many hosts have a name in common with another: looked up, not tried one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar

from exitway.names.host import Host

T = TypeVar("T")


class Overlapping(dict[Host, T]):
    """A table by hosts. Never changed once it is made.

    Two patterns that match one name are nested, so one of them ends in the other's suffix.
    """

    def of(self, host: Host) -> Iterator[Host]:
        """Those that have a name in common with this one, itself included."""
        name = host.suffix
        wider = (Host(name[len(name) - length :], wildcard=True) for length in self._lengths if length < len(name))
        yield from (one for one in wider if one in self)
        if host.wildcard:
            yield from self._narrower(host)
        elif host in self:
            yield host

    def _narrower(self, host: Host) -> Iterator[Host]:
        ending = host.suffix[::-1]
        for index in range(bisect_left(self._backwards, (ending,)), len(self._backwards)):
            text, one = self._backwards[index]
            if not text.startswith(ending):
                return
            if host.covers(one):
                yield one

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(one.suffix) for one in self if one.wildcard})

    @cached_property
    def _backwards(self) -> list[tuple[str, Host]]:
        """Names with one ending stand together."""
        return sorted((one.suffix[::-1], one) for one in self)
