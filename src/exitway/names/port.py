"""Ports and the protocols that rules speak of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exitway.names.call import Sort


class Protocol(StrEnum):
    """What is spoken on a port. HTTP2 and GRPC are HTTP to a rule: the proxy tells them apart by itself."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    TLS = "TLS"
    TCP = "TCP"

    @property
    def is_http(self) -> bool:
        """Whether requests are decided one by one, by their authority."""
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A destination port, 1..65535, with its protocol.

    ``originate_tls``: the program speaks HTTP, the proxy TLS, verified by the authorities of ``ca_file`` (empty: those that the system trusts).
    """

    number: int
    protocol: Protocol
    originate_tls: bool = False
    ca_file: str = ""

    @property
    def sort(self) -> Sort:
        """What the proxy sees on the wire when a program uses the port as its rule says."""
        return Sort.HTTP if self.protocol.is_http else Sort(self.protocol.value.lower())

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"
