"""What was recorded, sorted: calls that a rule can let out again, each with all that was seen of it, and what is left out, with the reason.

What counts is what went out: what a rule let out, and what an audit let through. What was denied counts only where that is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from exitway.explain.recorded import asked_by
from exitway.explain.target import Packet, call_text
from exitway.flows.access_log import CROWD
from exitway.flows.flow import Flow
from exitway.learn.obstacle import Wanted, obstacle, private_addresses, went_out, without_name
from exitway.learn.seen import NOTHING, Seen, together
from exitway.names.call import Call, Sort
from exitway.names.workload import lasting

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A call that a rule can let out.

    ``direct``: it went past the proxy. ``vouchers``: the file of authorities (empty: those of the system) where the proxy spoke TLS for it; None: it
    did not. ``addresses``: private ones that its name led to.
    """

    call: Call
    namespace: str
    labels: Labels = ()
    direct: bool = False
    vouchers: str | None = None
    seen: Seen = NOTHING
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Left:
    """What is not learned, in a few words, and why. ``passed``: it went out, and will not with the rules that are learned."""

    what: str
    why: str
    passed: bool
    seen: Seen = NOTHING


@dataclass(frozen=True, slots=True)
class Recording:
    """In the order in which each was seen first."""

    uses: tuple[Use, ...]
    left: tuple[Left, ...]


class Unknown(Enum):
    """Who vouched for a server, if anybody did, where no rule says so any more."""

    UNKNOWN = "no rule in force says whether the proxy spoke TLS for it (originateTLS): learn while such a rule is in force, or under audit"


UNKNOWN = Unknown.UNKNOWN

Vouchers = Callable[[Flow], str | Unknown | None]
"""Of a flow, as in :class:`Use`: the rules in force know, or do not."""


def read(flows: Iterable[Flow], wanted: Wanted, vouchers: Vouchers = lambda _: None) -> Recording:
    """Sort flows. What is equal but for what was seen of it becomes one."""
    flows = list(flows)
    spoken = {_where(flow) for flow in flows if flow.protocol != "TCP" and went_out(flow)}
    uses: defaultdict[Use, list[Flow]] = defaultdict(list)
    left: defaultdict[Left, list[Flow]] = defaultdict(list)
    for flow in flows:
        call = call_of(flow)
        if why := obstacle(flow, call, wanted):
            left[Left(_what(flow, call), why, went_out(flow))].append(flow)
        elif _is_silent(flow) and _where(flow) in spoken:
            left[Left(_what(flow, call), SILENT, passed=False)].append(flow)
        elif (vouched := vouchers(flow)) is UNKNOWN:
            left[Left(_what(flow, call), UNKNOWN.value, passed=True)].append(flow)
        elif call is not None:
            use = Use(
                _learned(call),
                flow.namespace,
                tuple(sorted(lasting(flow.labels).items())),
                flow.decision.direct,
                vouched,
            )
            uses[use].append(flow)
            if flow.count > 1 and flow.detail.endswith(CROWD):
                left[_UNREAD].append(replace(flow, count=flow.count - 1))
            elif _uncounted(flow, call) and not wanted.hosts_only:
                left[_further(call)].append(replace(flow, count=flow.count - 1))
    return Recording(
        tuple(replace(use, seen=_seen(seen), addresses=_addresses(seen)) for use, seen in uses.items()),
        tuple(replace(one, seen=_seen(seen)) for one, seen in left.items()),
    )


_UNREAD = Left("some calls", "there were so many at once that they were counted, and not read one by one", passed=True)
SILENT = "nothing was said on it, and what else was spoken there is learned"
"""Connections that programs keep for later. A rule for TCP would let out whatever is spoken there."""


def _is_silent(flow: Flow) -> bool:
    """Whether nothing was said. What goes past the proxy nobody has heard."""
    return flow.protocol == "TCP" and not (flow.sent or flow.received or flow.decision.direct)


def _where(flow: Flow) -> tuple[str, str, int]:
    return flow.workload, flow.asked or flow.name, flow.port


def call_of(flow: Flow) -> Call | None:
    """The call that a flow was, as any workload would make it: the name behind an address counts, not the address. None: it was not TCP."""
    asked = asked_by(flow)
    if isinstance(asked, Packet):
        return None
    return replace(asked, method=flow.method) if asked.sort is Sort.HTTP else asked  # no method is made up


def _uncounted(flow: Flow, call: Call) -> bool:
    """Whether it stands for requests of which neither method nor path is known: they are told apart under audit, and where they are denied."""
    return call.sort is Sort.HTTP and flow.decision.allowed and not flow.audit and flow.count > 1


def _further(call: Call) -> Left:
    why = "their methods and paths are kept under audit only (--hosts-only leaves methods and paths out)"
    return Left(f"further requests to {call.name} port {call.port}", why, passed=True)


def _learned(call: Call) -> Call:
    """What a rule is to let out: what was said to an address without a name cannot be told apart there."""
    return Call(Sort.TCP, call.port, address=call.address, asked="") if without_name(call) else call


def _what(flow: Flow, call: Call | None) -> str:
    """``UDP 198.18.0.53 port 53``, ``GET http://a.example:8080/x``."""
    if call is not None and (call.name or call.asked or call.address):
        return call_text(call)
    return f"{flow.protocol} {flow.name or flow.address} port {flow.port}"


def _seen(flows: Iterable[Flow]) -> Seen:
    return together(map(Seen.of, flows))


def _addresses(flows: Iterable[Flow]) -> frozenset[str]:
    return frozenset(address for flow in flows for address in private_addresses(flow))
