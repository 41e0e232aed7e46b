"""A flow as a row of the history, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from exitway.flows.flow import Flow, is_stamp
from exitway.names.address import is_endpoint
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key

COLUMNS = (
    "id", "time", "last", "count", "workload", "name", "asked", "address", "port", "protocol", "verdict", "reason", "rule", "direct", "audit",
    "detail", "method", "path", "sni", "status", "sent", "received", "duration", "upstream", "process", "labels",
)  # fmt: skip


def row_of(flow: Flow) -> tuple[Any, ...]:
    """In the order of :data:`COLUMNS`."""
    decision = flow.decision
    return (
        flow.id, flow.time, flow.last or flow.time, flow.count, flow.workload, flow.name, flow.asked, flow.address, flow.port, flow.protocol,
        decision.verdict.value, decision.reason.value, stored_key(decision.because), decision.direct, flow.audit, flow.detail, flow.method, flow.path,
        flow.sni, flow.status, flow.sent, flow.received, flow.duration, flow.upstream, flow.process,
        json.dumps(dict(flow.labels)) if flow.labels else "",
    )  # fmt: skip


def flow_of(row: Sequence[Any]) -> Flow:
    """The flow of a row in the order of :data:`COLUMNS`. Raises :class:`ValueError`: it is none that we write."""
    found: Mapping[str, Any] = dict(zip(COLUMNS, row, strict=True))
    if wrong := [name for name, value in found.items() if type(value) is not (int if name in _NUMBERS else str)]:
        raise ValueError(f"of flow {found['id']} this is of another type: {', '.join(wrong)}")
    if not (_is_address(found["address"]) and (not found["upstream"] or is_endpoint(found["upstream"]))):
        raise ValueError(f"of flow {found['id']} an address is none")
    labels = json.loads(found["labels"] or "{}")
    if not (is_stamp(found["time"]) and is_stamp(found["last"]) and isinstance(labels, dict)):
        raise ValueError(f"of flow {found['id']} a time is none, or the labels")
    decision = Decision(
        Verdict(found["verdict"]), Reason(found["reason"]), key_of(found["rule"]), bool(found["direct"])
    )
    kept = {name: found[name] for name in COLUMNS if name not in _DERIVED}
    return Flow(
        **kept,
        decision=decision,
        audit=bool(found["audit"]),
        last=found["last"] if found["count"] > 1 else "",
        labels=labels,
    )


@lru_cache(10_000)
def _is_address(text: str) -> bool:
    """Or empty."""
    try:
        return not text or ip_address(text) is not None
    except ValueError:
        return False


_NUMBERS = ("id", "count", "port", "direct", "audit", "status", "sent", "received", "duration")
_DERIVED = ("verdict", "reason", "rule", "direct", "audit", "last", "labels")


def stored_key(key: Key | None) -> str:
    """Its four parts; none of them has a slash but a group, which comes last."""
    return f"{key}/{key.group}" if key else ""


def key_of(stored: str) -> Key | None:
    """None: there is no rule. Raises :class:`ValueError`: it is no key."""
    if not stored:
        return None
    kind, namespace, name, group = stored.split("/", 3)
    return Key(kind, namespace, name, group)


def shown_key(stored: str) -> str:
    """As people see it, or empty."""
    return str(key_of(stored) or "")
