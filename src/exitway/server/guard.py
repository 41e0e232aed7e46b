"""Where names may lead, told to those who hold it: the resolver (for each workload) and the kernel (for all together)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import shutil
import subprocess
from collections.abc import Mapping

from exitway.capture.wall import Wall
from exitway.dns.resolution import LOOPBACK
from exitway.names.call import Sort, Verdict
from exitway.names.guard import Excepted
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.question import Kind
from exitway.policy.difference import lost
from exitway.policy.policy import Policy
from exitway.resources.intent import Permissions
from exitway.resources.problem import Problem, Problems
from exitway.server.names import Names

_KINDS = {Sort.HTTP: Kind.HTTP, Sort.TLS: Kind.TLS, Sort.TCP: Kind.TCP}
_log = logging.getLogger("exitway")


class Guard:
    """Holds from :meth:`start` to :meth:`stop`; a server that is killed leaves it in force.

    ``loopback``: whether the machine's is where the proxy is. Where it is not, ``host.exitway.internal`` leads nowhere.
    """

    def __init__(self, wall: Wall, names: Names, *, loopback: bool) -> None:
        self._wall = wall
        self._names = names
        self._loopback = loopback
        self._held: tuple[set[Excepted], bool] | None = None
        self._policies: Mapping[str, Policy] = {}
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
        if (everybody, audit) != self._held:
            try:
                await asyncio.to_thread(_nft, self._wall.ruleset(sorted(everybody, key=str), audit=audit))
            except Problems as error:
                if self._held is None:
                    raise
                self.problem = error.problems[0].message
                _log.error("%s", self.problem)
            else:
                self._held, self.problem = (everybody, audit), ""

    def _lose(self, policies: Mapping[str, Policy]) -> None:
        """Tell what is allowed no more; worked out once for workloads that share a policy."""
        losses: dict[tuple[int, int], list[tuple[str, int, Kind, bool]]] = {}
        for identity, policy in policies.items():
            before = self._policies.get(identity, policy)
            if policy is before:
                continue
            pair = id(before), id(policy)
            if pair not in losses:
                found = lost(before, policy)
                losses[pair] = [(str(host), port, _KINDS[sort], gone) for (host, port, sort), gone in found]
            self._names.lose(identity, losses[pair])
        self._policies = dict(policies)

    def stop(self) -> None:
        """Nothing is sent any more."""
        _nft(self._wall.removal())


def _local_ports(policy: Policy) -> set[int]:
    permissions = policy.hosts.get(Host(LOCAL_HOST), Permissions())
    return {port for (port, _), said in permissions.items() if said[-1].verdict is Verdict.ALLOW}


def _nft(text: str) -> None:
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin") or "nft"
    try:
        subprocess.run([nft, "-f", "-"], input=text, text=True, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        hint = "the server needs nftables, and root or a user namespace of its own"
        raise Problems(
            [Problem("EXW0606", f"the kernel does not guard where names lead: {said.strip()}", hint)]
        ) from None
