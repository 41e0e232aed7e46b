"""The meaning of a policy: may this call leave?

In order:

1. The address that was dialled is looked up under the narrowest network that holds it. If a TCP rule speaks of it at that port, that is the
   verdict, whatever is spoken. Behind a synthetic address stands a name; no network holds it, and a TCP rule speaks of the name.
2. The name of the call (authority or SNI, in lower case) is looked up under the most specific pattern that matches it. There, the port and
   what is spoken on it give the verdict.
3. TLS must be to the name that the program asked for: the one behind the address that it dialled.
4. If nothing is said, it is denied, and the reason tells how near a rule came: another protocol on that port, other ports, or nothing.
"""

from __future__ import annotations

import ipaddress

from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.host import Host
from exitway.policy.policy import Policy
from exitway.resources.intent import Permissions


def decide(policy: Policy, call: Call) -> Decision:
    """The verdict on a call, with its reason and rule."""
    networks = by_name(policy, call.asked) if call.asked else _by_address(policy, call.address)
    names = by_name(policy, call.name)
    permission = networks.get((call.port, Sort.TCP)) or names.get((call.port, call.sort))
    if permission is None:
        return _nearest(names if call.name else networks, call)
    if permission.verdict is Verdict.DENY:
        return Decision(Verdict.DENY, Reason.DENIED, permission.because)
    if call.sort is Sort.TLS and (call.port, Sort.TCP) not in networks and call.asked not in (None, call.name):
        return Decision(Verdict.DENY, Reason.MISMATCH, permission.because)
    return Decision(Verdict.ALLOW, Reason.RULE, permission.because)


def _nearest(said: Permissions, call: Call) -> Decision:
    """Another protocol, or another port, is no help where a rule denies just that to what is spoken here."""
    denied = {port for (port, sort), known in said.items() if sort is call.sort and known.verdict is Verdict.DENY}
    allowed = {
        port: known.because
        for (port, _), known in sorted(said.items(), reverse=True)
        if known.verdict is Verdict.ALLOW and port not in denied
    }
    if call.port in allowed:
        return Decision(Verdict.DENY, Reason.PROTOCOL, allowed[call.port])
    if allowed:
        return Decision(Verdict.DENY, Reason.PORT, min(allowed.values()))
    return Decision(Verdict.DENY, Reason.NO_RULE)


def by_name(policy: Policy, name: str) -> Permissions:
    """What the most specific pattern that matches the name (lower case) is permitted or denied."""
    if not name:
        return {}
    exact = policy.hosts.get(Host(name))
    if exact is not None:
        return exact
    for start in range(
        1, len(name) + 1
    ):  # a wildcard stands for at least one character; the longest suffix comes first
        said = policy.hosts.get(Host(name[start:], wildcard=True))
        if said is not None and name:
            return said
    return {}


def _by_address(policy: Policy, address: str) -> Permissions:
    try:
        dialled = ipaddress.ip_address(address)
    except ValueError:
        return {}
    if any(dialled in network for network in SYNTHETIC):
        return {}
    holding = [network for network in policy.networks if network.version == dialled.version and dialled in network]
    return policy.networks[max(holding, key=lambda network: network.prefixlen)] if holding else {}
