"""The addresses and the ruleset of a sealed network namespace. Text: ``ip -batch -`` and ``nft -f -`` make it so.

Every address is local, so a packet can only come back in through ``lo``, whatever other interfaces or routes there are (the table ``local``
is looked up first), and whatever mark it carries. Three cases:

1. TCP to anywhere: steered to one of the proxy's two listeners. Where none listens, it is refused.
2. Anything to loopback or to the resolver: delivered, as on any machine.
3. All else (UDP, QUIC, ICMP, SCTP, UDP-Lite, raw IP, multicast, ...): logged and refused, at once.
"""

from __future__ import annotations

from exitway.capture.table import comment
from exitway.names.address import CAPTURE_PORT, RESOLVER_IPV4, RESOLVER_IPV6, TCP_PORT

LOG_GROUP = 1
"""The NFLOG group that the refused packets go to."""
DIRECT_GROUP = 2
"""The one of packets that open a connection past the proxy, to an address and port that was not used for a while (``loading.py``)."""
BEGUN_GROUP = 3
"""The one of packets that open any TCP connection: whose it is can be seen for as long as it is open."""

BEGUN = f"tcp flags & (syn | ack) == syn limit rate 50/second burst 100 packets log group {BEGUN_GROUP} snaplen 128"
"""The rule that reports them. A flood is not worth reporting: its process is there for long."""

LOCAL_IPV4 = f"{{ 127.0.0.0/8, {RESOLVER_IPV4} }}"
LOCAL_IPV6 = f"{{ ::1, {RESOLVER_IPV6} }}"


def addresses(*, ipv6: bool = True) -> str:
    """Input of ``ip -batch -``. ``ipv6``: whether the kernel speaks it; where it does not, nothing has to be captured."""
    four = [
        "link set lo up",
        f"addr add {RESOLVER_IPV4}/32 dev lo",
        f"route add local 0.0.0.0/0 dev lo src {RESOLVER_IPV4}",
    ]
    six = [f"addr add {RESOLVER_IPV6}/128 dev lo nodad", f"route add local ::/0 dev lo src {RESOLVER_IPV6}"]
    return "\n".join(four + six * ipv6) + "\n"


def ruleset(owner: str) -> str:
    """Input of ``nft -f -``. ``owner`` is written on the table: whoever finds it knows whose it is.

    DNS is limited because one server answers for all workloads of the machine: a flood in one must not starve the others.
    """
    return f"""\
table inet exitway {{
	{comment(owner)}

	set tcp4 {{
		type ipv4_addr . inet_service
		flags interval
	}}

	set tcp6 {{
		type ipv6_addr . inet_service
		flags interval
	}}

	chain arrive {{
	}}

	chain stay {{
	}}

	chain steer {{
		type filter hook prerouting priority mangle; policy drop;
		iif != "lo" goto arrive
		ip daddr {LOCAL_IPV4} accept
		ip6 daddr {LOCAL_IPV6} accept
		ip daddr . tcp dport @tcp4 tproxy ip to 127.0.0.1:{TCP_PORT} accept
		ip6 daddr . tcp dport @tcp6 tproxy ip6 to [::1]:{TCP_PORT} accept
		meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:{CAPTURE_PORT} accept
		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:{CAPTURE_PORT} accept
		meta l4proto tcp reject with tcp reset
	}}

	chain leave {{
		type filter hook output priority filter; policy drop;
		oif != "lo" ip6 daddr ff02::16 drop
		oif != "lo" goto refuse
		jump stay
		{BEGUN}
		meta l4proto tcp accept
		ip daddr {LOCAL_IPV4} jump local
		ip6 daddr {LOCAL_IPV6} jump local
		goto refuse
	}}

	chain local {{
		udp dport 53 limit rate over 2000/second burst 500 packets drop
		accept
	}}

	chain refuse {{
		limit rate 20/second burst 40 packets log group {LOG_GROUP} snaplen 128
		reject with icmpx admin-prohibited
	}}
}}
"""
