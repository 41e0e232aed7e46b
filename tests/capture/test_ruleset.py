import subprocess

import pytest

from exitway.capture.ruleset import addresses, ruleset

GOLDEN = """\
table inet exitway {
	comment "exitway: shop/checkout-1"

	set tcp4 {
		type ipv4_addr . inet_service
		flags interval
	}

	set tcp6 {
		type ipv6_addr . inet_service
		flags interval
	}

	chain arrive {
	}

	chain stay {
	}

	chain steer {
		type filter hook prerouting priority mangle; policy drop;
		iif != "lo" goto arrive
		ip daddr { 127.0.0.0/8, 240.240.0.1 } accept
		ip6 daddr { ::1, 2001:2::1 } accept
		ip daddr . tcp dport @tcp4 tproxy ip to 127.0.0.1:2 accept
		ip6 daddr . tcp dport @tcp6 tproxy ip6 to [::1]:2 accept
		meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:1 accept
		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:1 accept
		meta l4proto tcp reject with tcp reset
	}

	chain leave {
		type filter hook output priority filter; policy drop;
		oif != "lo" ip6 daddr ff02::16 drop
		oif != "lo" goto refuse
		jump stay
		tcp flags & (syn | ack) == syn limit rate 50/second burst 100 packets log group 3 snaplen 128
		meta l4proto tcp accept
		ip daddr { 127.0.0.0/8, 240.240.0.1 } jump local
		ip6 daddr { ::1, 2001:2::1 } jump local
		goto refuse
	}

	chain local {
		udp dport 53 limit rate over 2000/second burst 500 packets drop
		accept
	}

	chain refuse {
		limit rate 20/second burst 40 packets log group 1 snaplen 128
		reject with icmpx admin-prohibited
	}
}
"""


def test_the_ruleset_is_this():
    assert ruleset("shop/checkout-1") == GOLDEN


def test_without_ipv6_no_address_of_it_is_set():
    assert addresses().count(":") > 0
    assert ":" not in addresses(ipv6=False)


@pytest.mark.lab
@pytest.mark.parametrize("owner", ["shop/checkout-1", 'x" ; flush ruleset ; "', "ü\n\\", "x" * 1000])
def test_nft_accepts_the_ruleset_whoever_owns_it(owner):
    listing = subprocess.run(
        ["unshare", "-n", "sh", "-c", "nft -c -f - && nft list ruleset"],
        input=ruleset(owner),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listing.returncode, listing.stdout, listing.stderr) == (0, "", "")
