"""Where names may lead, told to those who hold it: the resolver (for each workload) and the kernel (for all together)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Mapping

from exitway.capture.table import removal
from exitway.capture.tools import feed
from exitway.capture.wall import Wall
from exitway.dns.resolution import LOOPBACK
from exitway.names.call import Sort, Verdict
from exitway.names.guard import ALWAYS, NEVER, Excepted, Network
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.question import Kind
from exitway.policy.difference import At, allows, kept, lost
from exitway.policy.policy import Policy
from exitway.resources.intent import Permissions
from exitway.resources.problem import Problem, Problems
from exitway.server.name_process import LOST_SECONDS
from exitway.server.names import Names

_KINDS = {Sort.HTTP: Kind.HTTP, Sort.TLS: Kind.TLS, Sort.TCP: Kind.TCP}
_log = logging.getLogger("exitway")


class Guard:
    """Holds from the first policies to :meth:`stop`; a server that is killed leaves it in force.

    ``loopback``: whether the machine's is where the proxy is. Where it is not, ``host.exitway.internal`` leads nowhere. ``closed``: networks that no
    name may lead to here, beside those that none may lead to anywhere; changed by who made us. ``shared``: as in :mod:`exitway.policy.shared`.
    """

    def __init__(self, wall: Wall, names: Names, *, loopback: bool, shared: bool) -> None:
        self._wall = wall
        self._names = names
        self._loopback = loopback
        self._never = (*NEVER, *ALWAYS) if shared else NEVER
        self._held: object = None
        self.closed: tuple[Network, ...] = ()
        self._policies: Mapping[str, Policy] = {}
        self._lost: dict[str, dict[At, float]] = {}
        self.problem = ""

    async def follow(self, policies: Mapping[str, Policy]) -> None:
        """Hold to these policies from now on; by workload id. Where the kernel refuses, its wall stays as it was (``problem``).

        Raises:
            Problems: it refuses at the very first, so that there is no wall.
        """
        self._lose(policies)
        everybody: set[Excepted] = set()
        for identity, policy in policies.items():
            excepted, local = policy.exceptions, _local_ports(policy) if self._loopback else set()
            held = (str(host) for host in policy.tcp_hosts if host.wildcard)
            self._names.limit(identity, excepted, local, held, audit=policy.audit)
            everybody |= excepted | {(ipaddress.IPv4Network(LOOPBACK), port, True) for port in local}
        audit = any(policy.audit for policy in policies.values())
        if (everybody, audit, self.closed) != self._held:
            text = self._wall.ruleset(sorted(everybody, key=str), audit=audit, closed=self.closed, never=self._never)
            try:
                await asyncio.to_thread(_nft, text)
            except Problems as error:
                if self._held is None:
                    raise
                self.problem = error.problems[0].message
                _log.error("%s", self.problem)
            else:
                self._held, self.problem = (everybody, audit, self.closed), ""

    def _lose(self, policies: Mapping[str, Policy]) -> None:
        """Tell what was allowed a moment ago and is no more: all of it each time, without what is allowed again."""
        now = time.monotonic()
        for identity, policy in policies.items():
            before = self._policies.get(identity, policy)
            if policy is before:
                continue
            known = self._lost.pop(identity, {})
            recent = {at: until for at, until in known.items() if until > now and not allows(policy, at)}
            recent |= dict.fromkeys(lost(before, policy), now + LOST_SECONDS)
            if recent or known:
                self._lost[identity] = recent
                told = [(at, True) for at in recent] + [(at, False) for at in kept(policy, recent)]
                self._names.lose(identity, [(str(host), port, _KINDS[sort], gone) for (host, port, sort), gone in told])
        self._policies = dict(policies)
        self._lost = {identity: recent for identity, recent in self._lost.items() if identity in policies}

    def stop(self) -> None:
        """Nothing is sent any more."""
        _nft(removal(self._wall.table))


def _local_ports(policy: Policy) -> set[int]:
    permissions = policy.hosts.get(Host(LOCAL_HOST), Permissions())
    return {port for (port, _), said in permissions.items() if said[-1].verdict is Verdict.ALLOW}


def _nft(text: str) -> None:
    try:
        feed("nft", "-f", "-", text=text)
    except OSError as error:
        hint = "the server needs nftables, and root or a user namespace of its own"
        message = f"the kernel does not guard where names lead: {error}"
        raise Problems([Problem("EXW0606", message, hint)]) from None
