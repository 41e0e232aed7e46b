"""What reached the outside: one file of JSON lines, written by the world, read by tests.

    kind        facts
    query       name, type                          a DNS query
    connection  address, port, name                 a TCP connection was accepted
    request     ... method, path, host, sni         an HTTP request was read; ``connection``: its number
    packet      protocol, address, port             a packet that opens something: a TCP SYN, or anything that is not TCP

``name`` is the world's own name for the address that was dialled, not what the client called it.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Kind = Literal["query", "connection", "request", "packet"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Fact = dict[str, Any]


@dataclass(frozen=True)
class Witness:
    """The writing end. A line is written before the answer is sent, so whoever has the answer can read the line."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, kind: Kind, **facts: Any) -> None:
        """Append one line."""
        line = json.dumps({"kind": kind, **facts})
        with self._lock, self.path.open("a") as file:
            file.write(line + "\n")
