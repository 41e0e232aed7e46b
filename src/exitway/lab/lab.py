"""The lab as a program inside it sees it: what is out there, and what has reached it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exitway.lab import world, zone
from exitway.lab.witness import KINDS, Fact, Kind

VARIABLE = "EXITWAY_LAB"
"""Names the lab's directory; set for every program inside."""


@dataclass(frozen=True)
class Arrivals:
    """What reached the world since a byte of the witness's file. Each answer is a list of facts in the order of their arrival."""

    path: Path
    start: int

    def queries(self) -> list[str]:
        """The names that the DNS server was asked for, one for each query."""
        return [fact["name"] for fact in self._facts("query")]

    def facts(self) -> list[Fact]:
        """All of them, each kind in the order of their arrival."""
        self.packets()  # what is on its way has then arrived
        return [fact for kind in KINDS for fact in self._facts(kind) if not (kind == "packet" and _is_mark(fact))]

    def connections(self) -> list[Fact]:
        """The TCP connections that were accepted: ``address``, ``port``, ``name``."""
        return self._facts("connection")

    def requests(self) -> list[Fact]:
        """The HTTP requests: the mirror's facts (``name``, ``host``, ``method``, ``path``, ``sni``, ...)."""
        return self._facts("request")

    def packets(self) -> list[Fact]:
        """TCP SYNs, and all that is not TCP: ``protocol``, ``address``, ``port`` (0 where the protocol has none)."""
        port = self._mark()
        deadline = time.monotonic() + 5
        while not any(_is_mark(fact) and fact["port"] == port for fact in self._facts("packet")):
            if time.monotonic() > deadline:
                raise TimeoutError("the lab's world does not see packets any more")
            time.sleep(0.002)
        return [fact for fact in self._facts("packet") if not _is_mark(fact)]

    def _facts(self, kind: Kind) -> list[Fact]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            facts = [json.loads(line) for line in file if line.endswith(b"\n")]
        return [fact for fact in facts if fact["kind"] == kind]

    @staticmethod
    def _mark() -> int:
        """Send a packet of our own: once the world has seen it, it has seen all before it."""
        port = secrets.randbelow(60000) + 1000
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.sendto(b"", (zone.MARKS, port))
        return port


@dataclass(frozen=True)
class Lab:
    """The lab that this process is in."""

    directory: Path

    @classmethod
    def around_us(cls, environment: Mapping[str, str] = os.environ) -> Lab | None:
        """The lab, if this process is in one."""
        return cls(Path(environment[VARIABLE])) if VARIABLE in environment else None

    @property
    def ca_file(self) -> Path:
        """The certificate of the world's authority (PEM)."""
        return self.directory / "ca.pem"

    @staticmethod
    def address(name: str, version: int = 4) -> str:
        """The address of a name of the zone, IPv4 or IPv6."""
        addresses = zone.addresses_of(name, {}) or ()
        return next(address for address in addresses if (":" in address) == (version == 6))

    def watch(self) -> Arrivals:
        """What reaches the world from now on: ask the result for it."""
        file = self.directory / world.WITNESS
        Arrivals(file, file.stat().st_size).packets()  # what is on its way belongs to the past
        return Arrivals(file, file.stat().st_size)

    def move(self, name: str, *addresses: str) -> None:
        """From now on a name has these addresses (none: it has no address), until :meth:`restore`."""
        self.move_all({name: addresses})

    def move_all(self, names: Mapping[str, Sequence[str]]) -> None:
        """The same for several names."""
        file = self.directory / world.CHANGED_NAMES
        changed = json.loads(file.read_text()) if file.exists() else {}
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps({**changed, **names}))
        draft.rename(file)

    def restore(self) -> None:
        """Give every name its own addresses back."""
        (self.directory / world.CHANGED_NAMES).unlink(missing_ok=True)


def _is_mark(fact: Fact) -> bool:
    return bool(fact["address"] == zone.MARKS)
