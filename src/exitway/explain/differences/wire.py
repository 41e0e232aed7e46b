"""Differences between two sets of rules as JSON, for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from exitway.explain.differences.difference import Change, Difference, Seen
from exitway.explain.differences.report import Locate, destination_text, time_text, ways_text, who_text
from exitway.explain.target import call_text
from exitway.names.key import Key


def as_json(found: Sequence[Difference], locate: Locate) -> dict[str, Any]:
    """Lists of differences, by what they do."""
    return {str(change): [_json(one, locate) for one in found if one.change is change] for change in Change}


def _json(one: Difference, locate: Locate) -> dict[str, Any]:
    who, to, witness = one.who, one.destination, one.witness
    return {
        "namespaces": {"names": list(who.namespaces), "others": who.others},
        "labels": [{"key": limit.key, "values": list(limit.values), "others": limit.others} for limit in who.labels],
        "begins": time_text(who.begins) if who.begins else None,
        "ends": time_text(who.ends) if who.ends else None,
        "protocol": to.sort.upper(),
        "port": to.port,
        "to": str(to.to),
        "but": list(map(str, to.but)),
        "dialled": str(to.dialled),
        "methods": {"named": list(to.methods.named), "others": to.methods.others, "doubtful": to.methods.doubtful},
        "paths": {"these": list(to.paths.these), "but": list(to.paths.but), "doubtful": to.paths.doubtful},
        "before": one.before or None,
        "after": one.after or None,
        "text": f"{who_text(who)} -> {destination_text(to)}{ways_text(one)}",
        "witness": {
            "namespace": witness.workload.namespace,
            "labels": dict(witness.workload.labels),
            "at": time_text(witness.at),
            "call": call_text(witness.call),
            "dialled": witness.call.asked or witness.call.address,
            "overridden": witness.call.overridden,
            "before": _verdict(witness.before, locate.before),
            "after": _verdict(witness.after, locate.after),
        },
    }


def _verdict(seen: Seen, locate: Callable[[Key], str]) -> dict[str, Any]:
    because = seen.decision.because
    return {
        "verdict": seen.decision.verdict,
        "reason": seen.decision.reason,
        "rule": str(because) if because else None,
        "place": locate(because) if because else "",
    }
