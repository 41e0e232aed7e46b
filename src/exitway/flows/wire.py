"""A flow as ``exitway flows -o json`` prints it, read. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from exitway.flows.flow import Flow
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key

_FIELDS = {field.name: field.type for field in fields(Flow) if field.type in ("str", "int")}


def read(line: bytes, at: str) -> Flow:
    """``at``: whose history it is of. What another version says beyond is passed over, and what it leaves out is not known.

    The rule's group is not said, so it is none.

    Raises:
        ValueError: it is no flow.
    """
    try:
        wire: Mapping[str, Any] = json.loads(line)
        found = {name: wire[name] for name in _FIELDS if name in wire}
        if wrong := [name for name, value in found.items() if type(value).__name__ != _FIELDS[name]]:
            raise ValueError(f"{wrong[0]} is {found[wrong[0]]!r}")
        datetime.fromisoformat(found["time"])
        datetime.fromisoformat(found.get("last") or found["time"])
        return Flow(
            **found | {"at": at},
            decision=_decision(wire),
            audit=bool(wire.get("audit")),
            labels={str(key): str(value) for key, value in (wire.get("labels") or {}).items()},
        )
    except (RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no flow: {error}") from None


def _decision(wire: Mapping[str, Any]) -> Decision:
    reason = Reason.read(wire["reason"], Reason.UNKNOWN)
    parts = (wire.get("rule") or "").split("/")
    because = Key(*parts) if len(parts) == 3 else None
    return Decision(Verdict(wire["verdict"]), reason, because, bool(wire.get("direct")))
