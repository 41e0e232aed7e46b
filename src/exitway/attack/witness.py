"""The witnesses outside of ``exitway attack``, on the user's own machine, and the target that they watch."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from exitway.attack.attempts.packets import embedding
from exitway.attack.helper import Service
from exitway.attack.site import Site
from exitway.attack.sniffer import Packets
from exitway.attack.target import Target

IPV4, IPV6 = "198.51.100.9", "2001:db8:ffff::9"
"""Addresses for documentation (RFC 5737, RFC 3849): nobody's, and routed nowhere."""
ALLOWED = "host.exitway.internal"
"""The machine's own loopback, for a rule that names it."""


class UnprovenError(Exception):
    """The witness does not see what it should."""


@dataclass
class Witness:
    """Listens and watches from the beginning to the end of a ``with`` block. ``seen_by``: in words, with what."""

    directory: Path
    hidden: Sequence[Path]

    def __enter__(self) -> Self:
        self._ending = contextlib.ExitStack()
        own = list(_own_addresses())
        self._site = self._ending.enter_context(Site(own[0] if own else "127.0.0.1"))
        self._service = self._ending.enter_context(Service(self.directory, own))
        word = f"x{os.urandom(6).hex()}"
        self.target = Target(
            ipv4=IPV4,
            ipv6=IPV6,
            refused=f"refused.{word}.test",
            allowed=ALLOWED,
            http=self._site.http,
            tls=self._site.tls,
            addresses=("127.0.0.1",),
            peer=(own[0] if own else "127.0.0.1", self._site.peer_port),
            wildcard="below.exitway-attack.test",
            barred=f"{word}.below.exitway-attack.test",
            redirecting=ALLOWED,
            limited=ALLOWED,
            limited_port=self._site.limited,
            inward=("localhost", "localhost.localdomain"),
            helper_port=self._service.port,
            helper_socket=str(self._service.path),
            helper_abstract=self._service.abstract,
            own=tuple(own),
            directories=tuple(map(str, self.hidden)),
        )
        self._packets = self._watch(word)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def facts(self) -> list[Mapping[str, Any]]:
        """What has been seen since the last time it was asked."""
        packets = self._packets.facts() if self._packets else []
        return [*packets, *self._site.facts(), *self._service.facts()]

    @property
    def rules(self) -> Iterator[dict[str, Any]]:
        """The rules that allow what the target says is allowed."""
        target = self.target
        web = [{"number": target.http, "protocol": "HTTP"}, {"number": target.tls, "protocol": "TLS"}]
        yield _rule("allowed", hosts=[target.allowed, f"*.{target.wildcard}"], ports=web)
        limited = {"number": target.limited_port, "protocol": "HTTP"}
        yield _rule("limited", hosts=[target.limited], ports=[limited], methods=["GET"], paths=["/open/*"])
        helper = {"number": target.helper_port, "protocol": "HTTP"}
        yield _rule("inward", hosts=list(target.inward), ports=[*web, helper])
        yield _rule("barred", "DENY", hosts=[target.barred], ports=web)
        address, port = target.peer
        yield _rule(
            "peer", cidrs=[f"{address}/{128 if ':' in address else 32}"], ports=[{"number": port, "protocol": "TCP"}]
        )

    def _watch(self, word: str) -> Packets | None:
        """The watch over packets, once it is proven: a datagram of our own must be seen."""
        self.seen_by = "sockets of this machine (to watch its interfaces takes root)"
        with contextlib.suppress(PermissionError):
            packets = self._ending.enter_context(Packets([IPV4, IPV6, *embedding(IPV4)], word))
            self.seen_by = "sockets of this machine, and all packets that leave it"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                try:
                    own.sendto(b"exitway attack: this should be seen", (IPV4, 9))
                except OSError:  # no way out of this machine: there is nothing that could leak there
                    self.seen_by = "sockets of this machine (it has no route to anywhere else)"
                    return packets
            if not _eventually(packets.facts):
                raise UnprovenError("a datagram sent from here is not seen on any interface")
            return packets
        return None


def _eventually(question: Any, seconds: float = 2.0) -> Any:
    until = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.01)
    return answer


def _own_addresses() -> Iterator[str]:
    """Those that this machine would send from, to the outside. Nothing is sent."""
    for family, address in ((socket.AF_INET, IPV4), (socket.AF_INET6, IPV6)):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            yield str(probe.getsockname()[0])


def _rule(name: str, action: str = "ALLOW", **to: Any) -> dict[str, Any]:
    return {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": f"exitway-attack-{name}"},
        "spec": {"action": action, "to": [to]},
    }
