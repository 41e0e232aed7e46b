"""The links of workloads that go past the proxy: made when first needed, adopted from a server that was killed, removed with the workload."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from exitway.capture import forward
from exitway.capture.link import INSIDE, MARK, MOST_LINKS, PREFIX, Link, rules
from exitway.capture.netns import in_netns
from exitway.capture.steering import Steering
from exitway.capture.table import removal
from exitway.capture.tools import ask, feed

_log = logging.getLogger("exitway")

_OUTSIDE = re.compile(f"{PREFIX}[0-9a-f]{{4}}")
_NET = Path("/proc/sys/net")
_SWITCHES = {"ip": _NET / "ipv4/ip_forward", "ip6": _NET / "ipv6/conf/all/forwarding"}


class Links:
    """One for each server. ``owner``: the runtime directory; it stands on the machine's ends, and names the table that guards them."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._links: dict[str, Link] = {}
        self._steerings: dict[str, Steering] = {}
        self._loaded = ""
        self._changing = asyncio.Lock()

    def adopt(self, identities: Collection[str]) -> None:
        """Find the links of workloads that still run, and remove what else a server before us has left."""
        known = {_disguised(identity): identity for identity in identities}
        for name, alias in _interfaces().items():
            owner, _, whose = alias.rpartition(" ")
            if owner == forward.table(self._owner):
                self._links[known.get(whose, whose)] = _numbered(name)
        for ended in self._links.keys() - identities:
            _delete(self._links.pop(ended))
        if not self._links and forward.table(self._owner) in ask("nft", "list", "tables"):
            self._clear()

    def of(self, identity: str) -> Link | None:
        """The link of a workload, if it has one."""
        return self._links.get(identity)

    async def open(self, identity: str, netns: Path, steering: Steering) -> Link:
        """Give a workload a link, behind a table that lets out what the steering says.

        Raises:
            OSError: the kernel refuses something, or not all adopted ones are guarded yet; there is no link then.
        """
        async with self._changing:
            if self._links.keys() - self._steerings.keys():  # it would be unguarded, or they cut off
                raise OSError("what workloads of the server before may reach is not known yet")
            taken = {_numbered(name).number for name in await asyncio.to_thread(_interfaces)}
            link = next(Link(number) for number in range(MOST_LINKS) if number not in taken)
            await self._guard({**self._links, identity: link}, {**self._steerings, identity: steering})
            try:
                await asyncio.to_thread(_open, link, netns, f"{forward.table(self._owner)} {_disguised(identity)}")
            except BaseException:
                with _logged():
                    _delete(link)
                raise
            self._links[identity], self._steerings[identity] = link, steering
            return link

    async def guard(self, identity: str, steering: Steering) -> None:
        """Let a workload with a link out to what the steering says. The table stays as it was until all adopted ones have been through this.

        Raises:
            OSError: the kernel refuses; the table stays as it was.
        """
        async with self._changing:
            await self._guard(self._links, {**self._steerings, identity: steering})
            self._steerings[identity] = steering

    async def close(self, identity: str) -> None:
        """Remove the link of a workload, if it has one.

        Raises:
            OSError: the kernel refuses; it is to be tried again.
        """
        async with self._changing:
            link = self._links.get(identity)
            if link is None:
                return
            self._steerings[identity] = Steering()
            await asyncio.to_thread(_delete, link)
            others = {one: link for one, link in self._links.items() if one != identity}
            if not others:
                await asyncio.to_thread(self._clear)
            elif not self._loaded:  # they may have waited for it
                await self._guard(others, self._steerings)
            self._links = others
            del self._steerings[identity]

    def close_all(self) -> None:
        """Remove all of them, and every trace."""
        for link in self._links.values():
            with _logged():
                _delete(link)
        if self._links:
            self._links = {}
            with _logged():
                self._clear()

    async def _guard(self, links: Mapping[str, Link], steerings: Mapping[str, Steering]) -> None:
        if links.keys() - steerings.keys():
            return
        text = forward.ruleset(self._owner, {link: steerings[one] for one, link in links.items()})
        if text != self._loaded:
            await asyncio.to_thread(feed, "nft", "-f", "-", text=text)
            self._loaded = text

    def _clear(self) -> None:
        feed("nft", "-f", "-", text=removal(forward.table(self._owner)))
        self._loaded = ""
        tables = ask("nft", "list", "tables")
        for family, switch in _SWITCHES.items():
            if forward.in_place(family) in tables and not _interfaces():
                switch.write_text("0")
                feed("nft", "-f", "-", text=forward.something_else(family))


def _open(link: Link, netns: Path, alias: str) -> None:
    for family in _SWITCHES:
        _switch_on(family)
    feed("ip", "-batch", "-", text=link.make(str(netns), alias))
    in_netns(netns, lambda: _attach(link))


def _attach(link: Link) -> None:
    """Inside. What comes in by the link is for an address that is local on another interface, and from one that is local as well."""
    for name, setting, value in ((INSIDE, "accept_local", "1"), (INSIDE, "rp_filter", "0"), ("all", "rp_filter", "0")):
        (_NET / "ipv4/conf" / name / setting).write_text(value)
    feed("ip", "-batch", "-", text=link.attach())
    for option in ("-4", "-6"):
        if f"fwmark {MARK:#x}" not in ask("ip", option, "rule", "show"):  # it has had a link before
            feed("ip", option, "-batch", "-", text=rules())


def _switch_on(family: str) -> None:
    """Forwarding; where it was off, for nothing but links. An interface that takes its IPv6 routes from a router goes on doing so."""
    switch = _SWITCHES[family]
    if switch.read_text().strip() != "0":
        return
    feed("nft", "-f", "-", text=forward.nothing_else(family))
    if family == "ip6":
        for accepts in (_NET / "ipv6/conf").glob("*/accept_ra"):
            if accepts.read_text().strip() == "1":
                accepts.write_text("2")
    switch.write_text("1")


def _interfaces() -> dict[str, str]:
    """The machine's ends of all links, whoever's they are, with their aliases."""
    found = json.loads(ask("ip", "-json", "link", "show", "type", "veth") or "[]")
    return {one["ifname"]: one.get("ifalias", "") for one in found if _OUTSIDE.fullmatch(one.get("ifname", ""))}


def _numbered(name: str) -> Link:
    return Link(int(name.removeprefix(PREFIX), 16))


def _delete(link: Link) -> None:
    if link.outside in _interfaces():
        feed("ip", "-batch", "-", text=f"link del {link.outside}\n")


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _log.warning("a link is not removed: %s", error)


def _disguised(identity: str) -> str:
    """What stands on an interface for a workload: everybody on the machine can read it, and the id is not for everybody."""
    return hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
