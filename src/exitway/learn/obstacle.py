"""Why a recorded call is not learned: no rule can say just that, or only what nobody has asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from exitway.flows.flow import Flow
from exitway.names.address import endpoint
from exitway.names.call import Call, Reason, Sort
from exitway.names.guard import audited, permitted
from exitway.names.host import LOCAL_HOST, is_host
from exitway.names.request import is_plain, is_upper_case
from exitway.resources.request import LONGEST_PATH

TOLD_OF_METHOD = 32
"""Characters (``envoy/access_log.py``); a longer one is not known."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for beyond what went out, to the letter.

    ``denied``: also what was denied. ``hosts_only``: of requests neither methods nor paths. ``addresses``: also what was dialled without a name,
    and the private addresses that names led to. ``wildcards``: patterns in the place of several names under one parent.
    """

    denied: bool = False
    hosts_only: bool = False
    addresses: bool = False
    wildcards: bool = False


def obstacle(flow: Flow, call: Call | None, wanted: Wanted) -> str:
    """Why a flow, which was this call (None: not TCP), is not learned; empty: it is."""
    return next(_obstacles(flow, call, wanted), "")


def went_out(flow: Flow) -> bool:
    """Whether it was let through: by a rule, or by an audit, which dials nothing where it leads nowhere.

    Of what was broken off before anything was dialled nobody knows where it would have led: it is taken for let through.
    """
    flags = flow.detail.partition(" ")[0].split(",")
    return flow.decision.allowed or (flow.audit and (bool(flow.upstream) or _NOWHERE.isdisjoint(flags)))


_NOWHERE = frozenset({"DF", "UH", "DPE"})
"""Of Envoy's response flags those of a name without an address, of an address that is refused, and of what is no HTTP
(https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage#response-flags)."""


def without_name(call: Call) -> bool:
    """Whether an address was dialled that no name stands behind, whatever was said there."""
    return not call.asked and bool(call.address)


def private_addresses(flow: Flow) -> frozenset[str]:
    """Those that the name of a flow led to, and that no name may lead to by itself."""
    if not flow.upstream or not flow.name or flow.name == LOCAL_HOST:
        return frozenset()
    address = ip_address(endpoint(flow.upstream)[0])
    return frozenset() if permitted(address, flow.port, ()) else frozenset({str(address)})


def _obstacles(flow: Flow, call: Call | None, wanted: Wanted) -> Iterator[str]:
    """All of them, what can be helped least first."""
    if call is None:
        yield "it is not TCP: it does not leave, whatever rules say"
        return
    if _DENIALS.get(flow.decision.reason) and not flow.decision.allowed:
        yield _DENIALS[flow.decision.reason].format(rule=flow.decision.because or "a rule")
    if not went_out(flow):
        yield from _refused(flow, call, wanted)
    if flow.decision.reason is Reason.RANGE:
        yield "it went past the proxy by an IP range that the run was given, which no rule says"
    if without_name(call):
        if not wanted.addresses:
            yield "no name stands behind the address (--addresses learns it, for whatever is spoken there)"
        return
    yield from _unsaid(call, wanted)
    if (addresses := private_addresses(flow)) and not wanted.addresses:
        where = ", ".join(sorted(addresses))
        yield f"its name leads to {where}, where no name may lead by itself (--addresses learns the address as well)"


_DENIALS = {
    Reason.DENIED: "{rule} denies it, and DENY wins over what is learned",
    Reason.MISMATCH: "it was TLS to another name than the program had asked for, which no rule allows",
    Reason.ADDRESS: "{rule} allows its name, but that leads only to addresses where no name may lead (private, metadata, ...)",
}
"""Denials that no further rule for the name changes."""


def _refused(flow: Flow, call: Call, wanted: Wanted) -> Iterator[str]:
    if without_name(call) and not audited(ip_address(call.address)):
        yield "it is a loopback, link-local or metadata address, where not even an audit leads"
    if not wanted.denied:
        nowhere = "nothing was dialled: its name has no address, or none where an audit leads"
        yield f"{nowhere if flow.audit else 'it was denied'} (--denied learns it)"


def _unsaid(call: Call, wanted: Wanted) -> Iterator[str]:
    """What rules have no words for."""
    name = call.name or call.asked or ""
    if not is_host(name):
        yield "no rule can name it: it is not a host name, or the authority is an address"
    if call.sort is Sort.TLS and call.asked not in (None, call.name):
        yield f"it was TLS to another name than the program had asked for ({call.asked or 'an address'}), which no rule allows"
    if call.sort is not Sort.HTTP:
        return
    if not call.path.startswith("/"):
        yield "a request without a path (CONNECT, OPTIONS of *) is never allowed"
    if wanted.hosts_only:
        return
    if not is_upper_case(call.method) or len(call.method) >= TOLD_OF_METHOD:
        yield "no rule can name its method (--hosts-only leaves methods and paths out)"
    if not is_plain(call.path) or set("*?") & set(call.path) or "%2A" in call.path or len(call.path) > LONGEST_PATH:
        yield "no rule can name its path, which servers read in more than one way (--hosts-only leaves methods and paths out)"
