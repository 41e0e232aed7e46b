"""What a policy allows no more that its predecessor did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exitway.names.call import Sort, Verdict
from exitway.names.host import Host
from exitway.policy.decide import by_name
from exitway.policy.policy import Policy
from exitway.resources.intent import Permissions

At = tuple[Host, int, Sort]


def lost(before: Policy, now: Policy) -> list[tuple[At, bool]]:
    """Names and patterns, each with a port and what is spoken: True where the permission is lost, False where it is kept within a lost pattern."""
    changed = {host: said for host, said in before.hosts.items() if now.hosts.get(host) is not said}
    gone = [at for at in _allowed(changed) if not _allows(now, at)]
    narrowed = [
        (host, port, sort)
        for host in now.hosts.keys() - before.hosts.keys()
        for port, sort in _at(before, host)
        if _allows(before, (host, port, sort)) and not _allows(now, (host, port, sort))
    ]
    patterns = [at for at in gone if at[0].wildcard]
    kept = [at for at in _allowed(now.hosts) if any(_within(at, wider) for wider in patterns)] if patterns else []
    return [(at, True) for at in (*gone, *narrowed)] + [(at, False) for at in kept]


def _allowed(hosts: Mapping[Host, Permissions]) -> Iterator[At]:
    for host, permissions in hosts.items():
        for (port, sort), said in permissions.items():
            if said[-1].verdict is Verdict.ALLOW:
                yield host, port, sort


def _at(policy: Policy, host: Host) -> Permissions:
    """What is said of a name, or of any name of a pattern that the policy does not know."""
    exact = policy.hosts.get(host)
    return exact if exact is not None else by_name(policy, f"x{host.suffix}" if host.wildcard else host.suffix)


def _allows(policy: Policy, at: At) -> bool:
    host, port, sort = at
    said = _at(policy, host).get((port, sort))
    return said is not None and said[-1].verdict is Verdict.ALLOW


def _within(at: At, wider: At) -> bool:
    return at[1:] == wider[1:] and wider[0].covers(at[0])
