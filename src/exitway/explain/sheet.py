"""An explanation as text, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from exitway.explain.explanation import Explanation
from exitway.explain.near import Near
from exitway.explain.scene import Way
from exitway.explain.target import Packet, call_text
from exitway.names.address import bracketed
from exitway.names.call import Call, Reason
from exitway.names.key import Key
from exitway.names.workload import Workload

PlaceOf = Callable[[Key, int | None], str]
"""Where a rule stands, or one of its destinations (by index): ``rules.yml:7:5``; empty: in no file that we know."""

_INDENT = 9

SENTENCES = {
    Reason.RULE: "a rule allows it",
    Reason.RANGE: "it is in an IP range that the workload reaches directly",
    Reason.NO_RULE: "no rule allows the destination",
    Reason.PORT: "a rule allows the destination, at other ports",
    Reason.PROTOCOL: "a rule allows the destination and port, for another protocol",
    Reason.METHOD: "a rule allows the destination and path, not this method",
    Reason.PATH: "a rule allows the destination and port, not this path",
    Reason.DENIED: "a rule with action DENY names it",
    Reason.MISMATCH: "the SNI is not the name that was asked for",
    Reason.ADDRESS: "a rule allows the name, and it leads only to addresses that no name may lead to",
    Reason.REVOKED: "it was allowed when it began, and then no more",
    Reason.NOT_CAPTURED: "it is not TCP",
    Reason.UNKNOWN: "no record says why",
}


def lines(explanation: Explanation, workload: Workload, place_of: PlaceOf) -> Iterator[str]:
    """The text, but for the rule that would allow it."""
    word = "allowed" if explanation.allowed else "denied"
    yield f"{word}: {asked_text(explanation.asked)}, asked by {who(workload)}"
    if explanation.fault:
        yield _entry("fault", explanation.fault)
    decision = explanation.decision
    yield _entry("reason", f"{decision.reason}: {SENTENCES[decision.reason]}")
    if decision.because and (decision.allowed or decision.reason is Reason.DENIED):
        yield _entry("rule", rule_text(decision.because, explanation.target, place_of))
    if isinstance(explanation.asked, Call):
        yield _entry("path", way_text(explanation.way))
    for caveat in explanation.caveats:
        yield _entry("note", caveat)
    if explanation.near and decision.reason is not Reason.DENIED:
        yield ""
        yield "The nearest rules:" if len(explanation.near) > 1 else "The nearest rule:"
        for near in explanation.near:
            yield from _near(near, place_of)
    if explanation.why_none:
        yield ""
        yield f"No rule is offered: {explanation.why_none}."


def as_json(explanation: Explanation, workload: Workload, place_of: PlaceOf) -> dict[str, Any]:
    """The same, for programs."""
    decision, way = explanation.decision, explanation.way
    return {
        "call": asked_text(explanation.asked),
        "namespace": workload.namespace,
        "labels": dict(workload.labels),
        "verdict": "allow" if explanation.allowed else "deny",
        "reason": decision.reason,
        "rule": _rule(decision.because, explanation.target, place_of) if decision.because else None,
        "path": _path(way) if isinstance(explanation.asked, Call) else None,
        "nearest": [
            {**_rule(near.rule, near.target, place_of), "differs": list(near.differs)} for near in explanation.near
        ],
        "allowedBy": explanation.least,
        "whyNone": explanation.why_none,
        "notes": list(explanation.caveats),
        "fault": explanation.fault,
    }


def asked_text(asked: Call | Packet) -> str:
    """What was asked about."""
    if isinstance(asked, Call):
        return call_text(asked)
    return f"{asked.protocol} {asked.name or bracketed(asked.address)}{f':{asked.port}' if asked.port else ''}"


def who(workload: Workload) -> str:
    """``namespace shop``, with the labels if there are any."""
    labels = ", ".join(f"{key}={value}" for key, value in sorted(workload.labels.items()))
    name = f"{workload}" if workload.name else f"namespace {workload.namespace}"
    return f"{name} ({labels})" if labels else name


def rule_text(rule: Key, target: int | None, place_of: PlaceOf) -> str:
    """``shop/httpbin (rules.yml:7:5)``."""
    place = place_of(rule, target)
    return f"{rule.namespace}/{rule.name}{f' ({place})' if place else ''}"


def way_text(way: Way) -> str:
    """Listener, filter chain, virtual host, cluster."""
    if not way.listener:
        return "the kernel, past the proxy"
    path = way.path
    steps = [f"listener {way.listener}", f"filter chain {path.filter_chain}"]
    steps += [f"virtual host {path.virtual_host!r}"] if path.virtual_host else []
    steps += [f"cluster {path.cluster}"] if path.cluster else []
    steps += [f"answer {path.answer!r}"] if path.answer else []
    return ", ".join(steps)


def _near(near: Near, place_of: PlaceOf) -> Iterator[str]:
    yield f"  {rule_text(near.rule, near.target, place_of)}"
    yield from (f"    {sentence}" for sentence in near.differs)


def _entry(name: str, text: str) -> str:
    return f"  {name:<{_INDENT}}{text}"


def _rule(rule: Key, target: int | None, place_of: PlaceOf) -> dict[str, str]:
    return {"rule": str(rule), "group": rule.group, "place": place_of(rule, target)}


def _path(way: Way) -> dict[str, str]:
    if not way.listener:
        return {"listener": ""}
    path = way.path
    return {
        "listener": way.listener,
        "filterChain": path.filter_chain,
        "virtualHost": path.virtual_host,
        "cluster": path.cluster,
        "answer": path.answer,
    }
