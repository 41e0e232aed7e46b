"""The meaning of a policy: may this call leave?

What is direct (:mod:`exitway.policy.direct`) is allowed. Then, in order:

1. The address that was dialled is looked up under the narrowest network that holds it. If a TCP rule speaks of it at that port, that is the
   verdict, whatever is spoken. Behind a synthetic address stands a name; no network holds it, and a TCP rule speaks of the name.
2. The name of the call (authority or SNI, in lower case) is looked up under the most specific pattern that matches it. There, the port and
   what is spoken on it give the verdict:

   a. Where a rule speaks of paths, a request whose path is not plain (:mod:`exitway.names.request`) is denied, whatever else holds.
   b. A DENY that speaks of the request denies it.
   c. An ALLOW that speaks of it allows it; but where a rule speaks of methods, only if the request leaves no doubt about its own.
3. TLS must be to the name that the program asked for: the one behind the address that it dialled.
4. If nothing is said, it is denied, and the reason tells how near a rule came: another method, another path, another protocol on that port,
   other ports, or nothing.

A request without a path (CONNECT, or OPTIONS of ``*``) is never allowed.
"""

from __future__ import annotations

import ipaddress

from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.request import is_plain, is_upper_case
from exitway.policy.direct import decide_direct
from exitway.policy.policy import Policy
from exitway.resources.intent import Permission, Permissions


def decide(policy: Policy, call: Call) -> Decision:
    """The verdict on a call, with its reason and rule."""
    if policy.direct and (direct := decide_direct(policy.direct, call)):
        return direct
    networks = by_name(policy, call.asked) if call.asked else _by_address(policy, call.address)
    names = by_name(policy, call.name)
    said = networks.get((call.port, Sort.TCP))
    if said is not None:
        return _verdict(said[0])
    if call.sort is Sort.HTTP and not call.path.startswith("/"):
        return Decision(Verdict.DENY, Reason.NO_RULE)
    decision = _by_request(names.get((call.port, call.sort), ()), call)
    if decision is None:
        return _nearest(names if call.name else networks, call)
    if decision.allowed and call.sort is Sort.TLS and call.asked not in (None, call.name):
        return Decision(Verdict.DENY, Reason.MISMATCH, decision.because)
    return decision


def let_out_by(policy: Policy, call: Call) -> Permission | None:
    """What lets a call out through the proxy, and says how it goes on from there; None: it is denied, or direct."""
    decision = decide(policy, call)
    if not decision.allowed or decision.direct:
        return None
    networks = by_name(policy, call.asked) if call.asked else _by_address(policy, call.address)
    said = networks.get((call.port, Sort.TCP)) or by_name(policy, call.name)[call.port, call.sort]
    return next(one for one in said if one.verdict is Verdict.ALLOW and one.speaks_of(call.method, call.path))


def _verdict(permission: Permission) -> Decision:
    reason = Reason.DENIED if permission.verdict is Verdict.DENY else Reason.RULE
    return Decision(permission.verdict, reason, permission.because)


def _by_request(said: tuple[Permission, ...], call: Call) -> Decision | None:
    """The verdict of what holds for a name, at a port and for what is spoken there; None: nothing of it speaks of this call."""
    of_paths = [one for one in said if one.paths]
    if of_paths and not is_plain(call.path):
        return Decision(Verdict.DENY, Reason.PATH, _first(of_paths))
    in_doubt = any(one.methods for one in said) and (call.overridden or not is_upper_case(call.method))
    for one in said:  # DENY comes first
        if one.speaks_of(call.method, call.path) and not (in_doubt and one.verdict is Verdict.ALLOW):
            return _verdict(one)
    allowed = [one for one in said if one.verdict is Verdict.ALLOW]
    with_path = [one for one in allowed if one.has_path(call.path)]
    if with_path:
        return Decision(Verdict.DENY, Reason.METHOD, _first(with_path))
    return Decision(Verdict.DENY, Reason.PATH, _first(allowed)) if allowed else None


def _first(said: list[Permission]) -> Key:
    return min(one.because for one in said)


def _nearest(said: Permissions, call: Call) -> Decision:
    """Another protocol, or another port, is no help where a rule denies just that to what is spoken here."""
    denied = {port for (port, sort), (first, *_) in said.items() if sort is call.sort and _denies_all(first)}
    allowed = {
        port: _first([one for one in known if one.verdict is Verdict.ALLOW])
        for (port, _), known in sorted(said.items(), reverse=True)
        if known[-1].verdict is Verdict.ALLOW and port not in denied
    }
    if call.port in allowed:
        return Decision(Verdict.DENY, Reason.PROTOCOL, allowed[call.port])
    if allowed:
        return Decision(Verdict.DENY, Reason.PORT, min(allowed.values()))
    return Decision(Verdict.DENY, Reason.NO_RULE)


def _denies_all(permission: Permission) -> bool:
    return permission.verdict is Verdict.DENY and permission.is_whole


def by_name(policy: Policy, name: str) -> Permissions:
    """What the most specific pattern that matches the name (lower case) is permitted or denied."""
    if not name:
        return _NOTHING
    exact = policy.hosts.get(Host(name))
    if exact is not None:
        return exact
    for length in policy.suffix_lengths:  # a wildcard stands for at least one character; the longest suffix comes first
        if length < len(name):
            said = policy.hosts.get(Host(name[len(name) - length :], wildcard=True))
            if said is not None:
                return said
    return _NOTHING


def _by_address(policy: Policy, address: str) -> Permissions:
    try:
        dialled = ipaddress.ip_address(address)
    except ValueError:
        return _NOTHING
    if any(dialled in network for network in SYNTHETIC):
        return _NOTHING
    holding = [network for network in policy.networks if network.version == dialled.version and dialled in network]
    return policy.networks[max(holding, key=lambda network: network.prefixlen)] if holding else _NOTHING


_NOTHING = Permissions()
