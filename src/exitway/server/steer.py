"""Brings what the rules mean for packets into the workloads' rulesets, and cuts what went past the proxy and may no more."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from exitway.capture import sock_diag
from exitway.capture.loading import loaded
from exitway.capture.netns import in_netns
from exitway.capture.steering import Lead, Steering, steering
from exitway.capture.tools import feed
from exitway.names.address import Pinned, endpoint
from exitway.names.guard import Excepted, permitted
from exitway.policy.policy import Policy
from exitway.server.links import Links
from exitway.server.names import Names

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_log = logging.getLogger("exitway")

PATIENCE_SECONDS = 5.0
"""For names that are not known yet: whoever waits for a rule to take effect waits so long for them."""


@dataclass
class _Steered:
    """A workload's ruleset: what it is to follow, and what was loaded last (``loaded``: its text; None: by a server before us, empty: it failed).

    ``followed``: the policy, names and leads that it is known to follow; None: there is something to do.
    """

    netns: Path
    policy: Policy
    pinned: Pinned
    wanted: Steering = field(default_factory=Steering)
    steering: Steering = field(default_factory=Steering)
    loaded: str | None = None
    followed: tuple[object, ...] | None = None
    error: str = ""
    chosen: dict[tuple[str, int, int], Address] = field(default_factory=dict)
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Steerer:
    """The rulesets of all running workloads. An error opens nothing: what can be loaded is, and the next time tries again.

    ``cut`` hears of each connection that was ended: whose, and to which address and port.
    """

    def __init__(self, names: Names, links: Links, cut: Callable[[str, str, int], None]) -> None:
        self._names = names
        self._links = links
        self._cut = cut
        self._steered: dict[str, _Steered] = {}
        self._ended: dict[str, _Steered] = {}
        self._began = time.monotonic()

    async def follow(self, workloads: Mapping[str, tuple[Path, Policy, Pinned]]) -> None:
        """Make the ruleset of each workload (its network namespace, policy, names) follow; returns when it does, or cannot.

        Nothing is loaded where nothing changes.
        """
        for identity, (netns, policy, pinned) in workloads.items():
            one = self._steered.setdefault(identity, _Steered(netns, policy, pinned))
            one.policy, one.pinned = policy, pinned
        for identity in self._steered.keys() - workloads:
            self._ended[identity] = self._steered.pop(identity)
        self._names.leads.follow({name for one in self._steered.values() for name, _ in one.policy.direct.names})
        await self._steer_all()
        for identity, one in list(self._ended.items()):
            await self._close(identity, one)

    def renewed(self, identity: str) -> None:
        """The ruleset of a workload is a new one, with empty sets: it is loaded when it is to follow next."""
        if one := self._steered.get(identity):
            one.loaded = one.followed = None

    async def settled(self) -> None:
        """Wait until it is known of all names where they lead, but not for ever; then follow that."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not all(map(self._known, self._steered.values())):  # noqa: ASYNC110 - it is not one event
                    await asyncio.sleep(0.005)
        except TimeoutError:
            pass
        await self._steer_all()

    async def follow_names(self) -> None:
        """Follow where names lead, until cancelled."""
        while True:
            await self._names.leads.news.wait()
            self._names.leads.news.clear()
            await self._steer_all()

    async def _steer_all(self) -> None:
        changed = [(identity, one) for identity, one in self._steered.items() if one.followed != self._basis(one)]
        await asyncio.gather(*(self._steer(identity, one) for identity, one in changed))

    def _basis(self, one: _Steered) -> tuple[object, ...]:
        return one.policy, one.pinned, self._names.leads.known

    @property
    def errors(self) -> list[str]:
        """One sentence for each workload whose ruleset is not what it should be."""
        return [
            f"the ruleset of {identity} is not changed: {one.error}"
            for identity, one in (*self._steered.items(), *self._ended.items())
            if one.error
        ]

    def error(self, identity: str) -> str:
        """Why a workload's ruleset is not what it should be; empty: it is."""
        one = self._steered.get(identity)
        return one.error if one else ""

    def leads_nowhere(self, identity: str, address: str, port: int) -> bool:
        """Whether this is the synthetic address of a name that has no address that it may lead to."""
        one = self._steered.get(identity)
        sought = ipaddress.ip_address(address)
        return one is not None and (sought, port, None) in one.wanted.names

    def _known(self, one: _Steered) -> bool:
        names = {name for name, _ in one.policy.direct.names}
        return all(name in one.pinned and self._names.leads.addresses(name) is not None for name in names)

    async def _steer(self, identity: str, one: _Steered) -> None:
        async with one.loading:  # the last to come in follows what is wanted then
            basis = self._basis(one)
            if self._steered.get(identity) is not one or one.followed == basis:
                return
            one.followed = None
            fresh = time.monotonic() - self._began < PATIENCE_SECONDS
            if one.loaded is None and fresh and not self._known(one) and self._links.of(identity):
                return  # of a server before us: it is right until we know better
            one.wanted = steering(one.policy, one.pinned, self._leads(one))
            try:
                await self._load(identity, one)
            except OSError as error:
                _failed(identity, one, error)
            else:
                one.error, one.followed = "", basis

    async def _close(self, identity: str, one: _Steered) -> None:
        async with one.loading:
            try:
                await self._links.close(identity)
            except OSError as error:
                _failed(identity, one, error)
            else:
                self._ended.pop(identity, None)

    async def _load(self, identity: str, one: _Steered) -> None:
        """First the machine's table, then the workload's ruleset, even if that fails: what both let out is let out."""
        wanted, errors = one.wanted, list[OSError]()
        try:
            if self._links.of(identity):
                await self._links.guard(identity, wanted)
            elif wanted.goes_direct:
                await self._links.open(identity, one.netns, wanted)
        except OSError as error:
            errors.append(error)
        text = loaded(wanted, self._links.of(identity))
        if text != one.loaded:
            try:
                ended, failed = await asyncio.to_thread(
                    in_netns, one.netns, lambda: _change(text, one.steering, wanted)
                )
            except OSError as error:
                ended, failed = set(), [error]
            for address, port in sorted(ended):
                self._cut(identity, address, port)
            one.loaded = "" if failed else text
            one.steering = one.steering if failed else wanted
            errors += failed
        if errors:
            raise errors[0]

    def _leads(self, one: _Steered) -> Iterator[Lead]:
        excepted = set(one.policy.exceptions)
        for name, port in one.policy.direct.names:
            for synthetic in one.pinned.get(name, ()):
                address = ipaddress.ip_address(synthetic)
                yield address, port, self._lead(one, name, port, address.version, excepted)

    def _lead(self, one: _Steered, name: str, port: int, version: int, excepted: set[Excepted]) -> Address | None:
        """The address that a name leads to: the one that was chosen before, while it has it."""
        addresses = map(ipaddress.ip_address, self._names.leads.addresses(name) or ())
        able = [one for one in addresses if one.version == version and permitted(one, port, excepted)]
        before = one.chosen.get((name, port, version))
        if able and before not in able:
            one.chosen[name, port, version] = able[0]
        return one.chosen[name, port, version] if able else None


def _failed(identity: str, one: _Steered, error: OSError) -> None:
    if one.error != str(error):
        _log.warning("the ruleset of %s is not changed: %s", identity, error)
    one.error = str(error)


def _change(text: str, before: Steering, after: Steering) -> tuple[set[tuple[str, int]], list[OSError]]:
    """Inside. What is ended while the old ruleset is there can still tell the other side; what began meanwhile is ended behind it.

    Returns what was ended, and what went wrong: no step waits for another to succeed.
    """
    ended = set[tuple[str, int]]()
    errors = []
    end = partial(_end, before, after, ended)
    for step in (end, partial(feed, "nft", "-f", "-", text=text), end):
        try:
            step()
        except OSError as error:
            errors.append(error)
    return ended, errors


def _end(before: Steering, after: Steering, ended: set[tuple[str, int]]) -> None:
    if not before.goes_direct:
        return
    for local, remote in sock_diag.connections():
        address, port = endpoint(remote)
        if before.leads(address, port) and not after.leads(address, port) and sock_diag.destroy(local, remote):
            ended.add((address, port))
