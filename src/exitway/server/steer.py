"""Brings what the rules mean for packets into the workloads' rulesets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from exitway.capture.netns import in_netns
from exitway.capture.steering import elements, steering
from exitway.capture.tools import feed
from exitway.names.address import Pinned
from exitway.policy.policy import Policy

_log = logging.getLogger("exitway")


@dataclass
class _Steered:
    """A workload's ruleset: what it is to follow, and what was loaded last."""

    netns: Path
    follows: tuple[Policy, Pinned] | None = None
    wanted: str = ""
    loaded: str | None = None
    error: str = ""
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Steerer:
    """The rulesets of all running workloads. An error opens nothing: the ruleset stays as it was, and the next publication tries again."""

    def __init__(self) -> None:
        self._steered: dict[str, _Steered] = {}

    async def steer(self, identity: str, netns: Path, policy: Policy, pinned: Pinned) -> None:
        """Make a workload's ruleset follow a policy, and the addresses of the names in it; returns when it does, or cannot.

        Nothing is loaded where nothing changes.
        """
        one = self._steered.setdefault(identity, _Steered(netns))
        if one.follows != (policy, pinned):
            one.follows, one.wanted = (policy, pinned), elements(steering(policy, pinned))
        async with one.loading:  # the last to come in loads what is wanted then
            if one.loaded != one.wanted:
                await self._load(identity, one, one.wanted)

    def keep(self, identities: Collection[str]) -> None:
        """Forget the workloads that have ended."""
        for ended in self._steered.keys() - identities:
            del self._steered[ended]

    def error(self, identity: str) -> str:
        """Why a workload's ruleset is not what it should be; empty: it is."""
        one = self._steered.get(identity)
        return one.error if one else ""

    async def _load(self, identity: str, one: _Steered, text: str) -> None:
        try:
            await asyncio.to_thread(in_netns, one.netns, lambda: feed("nft", "-f", "-", text=text))
        except OSError as error:
            if one.error != str(error):
                _log.warning("the ruleset of %s is not changed: %s", identity, error)
            one.error = str(error)
        else:
            one.loaded, one.error = text, ""
