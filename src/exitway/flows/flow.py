"""One connection or request that was seen, with its decision."""

from __future__ import annotations

import json
from dataclasses import dataclass

from exitway.names.call import Decision


@dataclass(frozen=True, slots=True)
class Flow:
    """``time`` is RFC 3339 in UTC; ``name`` is what was asked for (empty where nothing named it), ``address`` what was dialled.

    ``audit``: the decision is what it would have been; it was let through.
    """

    time: str
    workload: str
    name: str
    address: str
    port: int
    protocol: str
    decision: Decision
    detail: str = ""
    audit: bool = False

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
        record |= {"detail": self.detail} if self.detail else {}
        record |= {"direct": True} if self.decision.direct else {}
        return json.dumps(record | ({"audit": True} if self.audit else {}))
