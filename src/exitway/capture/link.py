"""The way past the proxy: a pair of veth interfaces between a workload and the machine. Text for ``ip -batch -``. Pure.

Both ends know each other's hardware address, so neither has to ask for it: nothing but TCP ever passes (``ruleset.py``, ``forward.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from exitway.names.address import LINK_IPV4, LINK_IPV6

PREFIX = "exw"
"""Of the machine's ends."""
INSIDE = "direct"
"""The workload's end."""
MOST_LINKS = 1 << 15
MARK = 0x4557
"""Of packets that may leave by the link, and of their connections. A workload cannot set marks."""
_TABLE = 100
_GATEWAY = "fe80::1"


@dataclass(frozen=True, slots=True)
class Link:
    """One pair; its number, below :data:`MOST_LINKS`, is its own on the machine."""

    number: int

    @property
    def outside(self) -> str:
        """The name of the machine's end."""
        return f"{PREFIX}{self.number:04x}"

    @property
    def addresses(self) -> tuple[str, str]:
        """The workload's end, IPv4 and IPv6: what the machine sees its packets come from."""
        return self._addresses(1)

    def _addresses(self, end: int) -> tuple[str, str]:
        offset = 2 * self.number + end
        return str(IPv4Address(LINK_IPV4) + offset), str(IPv6Address(LINK_IPV6) + offset)

    def _hardware(self, end: int) -> str:
        return f"02:45:57:{self.number >> 8:02x}:{self.number & 0xFF:02x}:{end:02x}"

    def make(self, netns: str, alias: str) -> str:
        """On the machine. ``netns``: the path of the workload's network namespace; ``alias``: says whose it is."""
        four, six = self._addresses(0)
        peer = f"peer name {INSIDE} address {self._hardware(1)} netns {netns}"
        lines = [
            f"link add {self.outside} address {self._hardware(0)} type veth {peer}",
            f'link set {self.outside} alias "{alias}"',
            f"link set {self.outside} addrgenmode none up",
            f"addr add {four}/31 dev {self.outside}",
            f"addr add {six}/127 dev {self.outside} nodad",
            *(
                f"neigh replace {end} lladdr {self._hardware(1)} dev {self.outside} nud permanent"
                for end in self.addresses
            ),
        ]
        return "\n".join(lines) + "\n"

    def attach(self) -> str:
        """In the workload. The gateway is an address that cannot be taken for a local one, as all others are."""
        four, six = self.addresses
        lines = [
            f"link set {INSIDE} addrgenmode none up",
            f"addr add {four}/31 dev {INSIDE} noprefixroute",
            f"neigh replace {_GATEWAY} lladdr {self._hardware(0)} dev {INSIDE} nud permanent",
            f"route replace 0.0.0.0/0 via inet6 {_GATEWAY} dev {INSIDE} table {_TABLE}",
            f"addr add {six}/127 dev {INSIDE} noprefixroute nodad",
            f"route replace ::/0 via {_GATEWAY} dev {INSIDE} table {_TABLE}",
        ]
        return "\n".join(lines) + "\n"


def rules() -> str:
    """In the workload, for ``ip -4`` and ``ip -6`` alike: the table ``local`` is looked up second."""
    return f"rule add pref 2 lookup local\nrule add pref 1 fwmark {MARK:#x} lookup {_TABLE}\nrule del pref 0\n"
