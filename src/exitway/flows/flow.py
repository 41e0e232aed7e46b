"""One connection or request that was seen, with its decision."""

from __future__ import annotations

import json
from dataclasses import dataclass

from exitway.names.call import Decision


@dataclass(frozen=True, slots=True)
class Flow:
    """``time`` is RFC 3339 in UTC; ``name`` is what was asked for (empty where nothing named it), ``address`` what was dialled."""

    time: str
    workload: str
    name: str
    address: str
    port: int
    protocol: str
    decision: Decision
    detail: str = ""

    def line(self) -> str:
        """One JSON line, without its end. Non-ASCII and control characters are escaped, so a client cannot forge lines or colours."""
        record = {
            "time": self.time,
            "workload": self.workload,
            "name": self.name,
            "address": self.address,
            "port": self.port,
            "protocol": self.protocol,
            "verdict": self.decision.verdict,
            "reason": self.decision.reason,
            "rule": str(self.decision.because) if self.decision.because else None,
        }
        return json.dumps(record | ({"detail": self.detail} if self.detail else {}))
