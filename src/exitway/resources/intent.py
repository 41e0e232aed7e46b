"""What a resource means, whatever its kind: who may, or may not, reach what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network

from exitway.names.call import Sort, Verdict
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.port import Port
from exitway.names.request import path_matches
from exitway.names.workload import Selector

Network = IPv4Network | IPv6Network


class Action(StrEnum):
    """DENY wins over any ALLOW."""

    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True)
class Target:
    """Destinations and the ports on them. Either ``hosts`` or ``cidrs``, never both.

    ``methods`` and ``paths`` (exact, or a prefix ending in ``*``; see :mod:`exitway.names.request`) narrow it to such requests; empty: to all.
    ``direct``: past the proxy, whatever is spoken there. ``trace_context``: the destination is told of the span, where there is one.
    """

    hosts: tuple[Host, ...]
    cidrs: tuple[Network, ...]
    ports: tuple[Port, ...]
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    direct: bool = False
    trace_context: bool = False


@dataclass(frozen=True)
class Permission:
    """A verdict on one destination and port, or on some requests to it, and the rule that caused it. ``trace_context`` as in :class:`Target`."""

    verdict: Verdict
    port: Port
    because: Key
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    trace_context: bool = False

    @cached_property
    def is_whole(self) -> bool:
        """Whether it speaks of all requests."""
        return not self.methods and not self.paths

    @cached_property
    def terms(self) -> tuple[Verdict, bool, str, tuple[str, ...], tuple[str, ...], bool]:
        """All but the rule's name."""
        port = self.port
        return self.verdict, port.originate_tls, port.ca_file, self.methods, self.paths, self.trace_context

    def speaks_of(self, method: str, path: str) -> bool:
        """Whether it is a verdict on such a request."""
        return (not self.methods or method in self.methods) and self.has_path(path)

    def has_path(self, path: str) -> bool:
        """Whether it is a verdict on some requests for this path."""
        return not self.paths or any(path_matches(pattern, path) for pattern in self.paths)


class Permissions(dict[tuple[int, Sort], tuple[Permission, ...]]):
    """What holds for one destination, by port number and by what the proxy sees on the wire. Never changed once it is made.

    DENY comes before ALLOW. One that speaks of all requests stands alone with its verdict, and a DENY of that sort all alone.
    """

    @cached_property
    def terms(self) -> tuple[object, ...]:
        """All but the rules' names: equal where the same holds. Worked out once for a rule, not once for a change."""
        return tuple([(at, tuple([one.terms for one in said])) for at, said in sorted(self.items())])

    @cached_property
    def rules(self) -> tuple[Key, ...]:
        """The rules' names, in the same order."""
        return tuple([one.because for _, said in sorted(self.items()) for one in said])


@dataclass(frozen=True)
class Intent:
    """One rule. It holds in the namespace of its key (in ``exitway-system``: everywhere) until ``expires``."""

    key: Key
    to: tuple[Target, ...]
    selector: Selector = Selector()  # noqa: RUF009 - frozen
    action: Action = Action.ALLOW
    expires: datetime | None = None

    @cached_property
    def permissions(self) -> tuple[tuple[Target, Permissions], ...]:
        """What each target's destinations are permitted or denied by this rule alone. Worked out once for a rule, not once for a change."""
        return tuple(
            (
                target,
                Permissions({(port.number, port.sort): (self._permission(target, port),) for port in target.ports}),
            )
            for target in self.to
        )

    @cached_property
    def proxied(self) -> Intent:
        """The same where nothing can go past the proxy: what is direct is let out like all else."""
        if not any(target.direct for target in self.to):
            return self
        return replace(self, to=tuple(replace(target, direct=False) for target in self.to))

    def _permission(self, target: Target, port: Port) -> Permission:
        verdict = Verdict.ALLOW if self.action is Action.ALLOW else Verdict.DENY
        return Permission(verdict, port, self.key, target.methods, target.paths, target.trace_context)
