"""What has happened: the call that a flow was, and what was decided then."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from exitway.explain.sheet import SENTENCES, asked_text
from exitway.explain.target import Packet
from exitway.flows.flow import Flow
from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Reason, Sort

_SORTS = {"TLS": Sort.TLS, "TCP": Sort.TCP}


def asked_by(flow: Flow) -> Call | Packet:
    """The call, as any workload would make it: the name behind an address counts, not the address."""
    sort = Sort.HTTP if flow.protocol.startswith("HTTP") else _SORTS.get(flow.protocol)
    synthetic = any(ip_address(flow.address) in network for network in SYNTHETIC) if flow.address else True
    address, asked = ("", flow.asked or flow.name) if synthetic else (flow.address, "")
    if sort is None:
        return Packet(flow.protocol, flow.port, asked, address)
    name = "" if sort is Sort.TCP else flow.name
    if sort is not Sort.HTTP:
        return Call(sort, flow.port, name, address, asked)
    return Call(sort, flow.port, name, address, asked, flow.method or "GET", flow.path)


def then(flow: Flow) -> Iterator[str]:
    """The lines about it."""
    decision = flow.decision
    word = "allowed" if decision.allowed else "let through under audit, not allowed" if flow.audit else "denied"
    yield f"{word}: {asked_text(asked_by(flow))}, asked by {_who(flow)}"
    yield _entry("when", f"{flow.time}{f', {flow.count} times up to {flow.last}' if flow.count > 1 else ''}")
    yield _entry("reason", f"{decision.reason}: {SENTENCES[decision.reason]}")
    if decision.because:
        word = "rule" if decision.allowed or decision.reason is Reason.DENIED else "nearest"
        yield _entry(word, f"{decision.because.namespace}/{decision.because.name}")
    rest = {
        "process": flow.process,
        "answer": str(flow.status or ""),
        "outside": flow.upstream,
        "detail": flow.detail,
    }
    yield from (_entry(name, text) for name, text in rest.items() if text)


def _who(flow: Flow) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(flow.labels.items()))
    return f"{flow.workload} ({labels})" if labels else flow.workload


def _entry(name: str, text: str) -> str:
    return f"  {name:<9}{text}"
