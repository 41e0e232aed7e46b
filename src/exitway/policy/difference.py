"""What a policy allows no more that its predecessor did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from exitway.names.call import Sort, Verdict
from exitway.names.host import Host
from exitway.policy.decide import by_name
from exitway.policy.policy import Policy
from exitway.resources.intent import Permissions

At = tuple[Host, int, Sort]


def lost(before: Policy, now: Policy) -> set[At]:
    """Names and patterns, each with a port and what is spoken there, that were allowed and are no more."""
    changed = {host: said for host, said in before.hosts.items() if now.hosts.get(host) is not said}
    gone = {at for at in _allowed(changed) if not allows(now, at)}
    narrowed = {
        (host, port, sort)
        for host in now.hosts.keys() - before.hosts.keys()
        for port, sort in _at(before, host)
        if allows(before, (host, port, sort)) and not allows(now, (host, port, sort))
    }
    return gone | narrowed


def kept(now: Policy, losses: Iterable[At]) -> list[At]:
    """What is allowed within a pattern that is lost."""
    patterns = [at for at in losses if at[0].wildcard]
    return [at for at in _allowed(now.hosts) if any(_within(at, wider) for wider in patterns)] if patterns else []


def _allowed(hosts: Mapping[Host, Permissions]) -> Iterator[At]:
    for host, permissions in hosts.items():
        for (port, sort), said in permissions.items():
            if said[-1].verdict is Verdict.ALLOW:
                yield host, port, sort


def _at(policy: Policy, host: Host) -> Permissions:
    """What is said of a name, or of any name of a pattern that the policy does not know."""
    exact = policy.hosts.get(host)
    return exact if exact is not None else by_name(policy, f"x{host.suffix}" if host.wildcard else host.suffix)


def allows(policy: Policy, at: At) -> bool:
    """Whether a name, or the names of a pattern, may be reached at the port with what is spoken there."""
    host, port, sort = at
    said = _at(policy, host).get((port, sort))
    return said is not None and said[-1].verdict is Verdict.ALLOW


def _within(at: At, wider: At) -> bool:
    return at[1:] == wider[1:] and wider[0].covers(at[0])
