"""What rules mean for packets: sets without overlaps, and text that the kernel takes."""

import subprocess
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.capture import forward
from exitway.capture.link import Link
from exitway.capture.loading import loaded
from exitway.capture.ruleset import ruleset
from exitway.capture.steering import Steering, set_contents, steering
from exitway.capture.table import removal
from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Sort
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from tests.intents import ADDRESSES, NETWORKS, NUMBERS, intent

NOW = datetime(2027, 1, 1, tzinfo=UTC)
WORKLOAD = Workload("shop", "checkout")
RANGES = st.lists(NETWORKS.map(ip_network), max_size=2).map(tuple)


@st.composite
def rules(draw):
    return [
        intent(
            f"r{number}",
            " ".join(draw(st.lists(NETWORKS, min_size=1, max_size=3))),
            f"{draw(NUMBERS)}/TCP",
            action=draw(st.sampled_from(["ALLOW", "ALLOW", "DENY"])),
            direct=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


@given(rules(), RANGES, ADDRESSES, NUMBERS)
@settings(max_examples=400)
def test_the_sets_lead_past_the_proxy_what_the_policy_calls_direct(intents, ranges, address, port):
    policy = compile_policy(intents, WORKLOAD, NOW, ranges)
    decision = decide(policy, Call(Sort.TCP, port, address=address))
    assert steering(policy, {}).leads(address, port) is decision.direct
    assert not (decision.direct and not decision.allowed)


@given(rules(), RANGES)
def test_no_two_networks_of_a_set_overlap_and_none_holds_a_synthetic_address(intents, ranges):
    made = steering(compile_policy(intents, WORKLOAD, NOW, ranges), {})
    for destinations in (made.tcp, made.direct, made.denied, {(network, 0) for network in made.ranges}):
        for network, port in destinations:
            assert not any(network.overlaps(synthetic) for synthetic in SYNTHETIC)
            others = [other for other, at in destinations if at == port and other != network]
            assert not any(network.overlaps(other) for other in others)


def test_a_deny_for_a_name_in_any_protocol_ends_direct_there_and_order_does_not_matter():
    intents = [
        intent("a", "a.example b.example", "443/TLS 80/HTTP", direct=True),
        intent("b", "*.example", "443/HTTP", action="DENY"),
        intent("c", "b.example", "80/TCP", direct=True),
    ]
    policy, same = (compile_policy(order, WORKLOAD, NOW) for order in (intents, intents[::-1]))
    assert policy == same
    assert {at: key.name for at, key in policy.direct.names.items()} == {("a.example", 80): "a", ("b.example", 80): "a"}
    assert decide(policy, Call(Sort.TLS, 80, name="whatever", address="240.240.0.9", asked="a.example")).direct
    assert not decide(policy, Call(Sort.HTTP, 80, name="a.example", address="240.240.0.9", asked="other")).allowed
    assert not decide(policy, Call(Sort.HTTP, 80, name="a.example", address="198.18.0.1", asked="")).allowed


FULL = Steering(
    tcp=frozenset({(ip_network("0.0.0.0/0"), 25), (ip_network("::/0"), 25)}),
    direct=frozenset({(ip_network("198.18.5.0/24"), 7), (ip_network("2001:db8::/32"), 7)}),
    ranges=frozenset({ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")}),
    denied=frozenset({(ip_network("198.18.5.9/32"), 7), (ip_network("2001:db8::9/128"), 7)}),
    names=frozenset(
        {
            (ip_address("240.240.0.5"), 443, ip_address("198.18.1.1")),
            (ip_address("2001:2::5"), 443, ip_address("2001:db8::1:1")),
            (ip_address("240.240.0.6"), 443, None),
        }
    ),
)


@pytest.mark.lab
def test_the_kernel_takes_every_text_after_every_other():
    texts = [loaded(one, link) for link in (None, Link(0)) for one in (Steering(), FULL)]
    inside = [ruleset("shop/checkout-1"), *texts, *texts[::-1], texts[-1]]
    outside = [forward.ruleset("/run/x", {Link(0): FULL, Link(1): Steering()}) for _ in range(2)]
    outside += [forward.nothing_else("ip"), forward.nothing_else("ip6"), forward.something_else("ip6")]
    for text in (inside, [*outside, *[removal(forward.table("/run/x"))] * 2]):
        commands = ["nft -f - <<'X'\n" + one + "X\n" for one in text]
        ended = subprocess.run(
            ["unshare", "-n", "sh", "-ec", "".join(commands)], capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")


def test_a_name_without_an_address_is_in_the_set_of_those_and_leads_nowhere():
    contents = set_contents(FULL)
    assert contents["named4"] == ["240.240.0.5 . 443", "240.240.0.6 . 443"]
    assert contents["absent4"] == ["240.240.0.6 . 443"]
    assert contents["leads4"] == ["240.240.0.5 . 443 : 198.18.1.1"]


def test_links_have_nothing_in_common():
    links = [Link(number) for number in (0, 1, 2, 127, 128, 255, 256, (1 << 15) - 1)]
    assert len({link.outside for link in links}) == len({link.addresses for link in links}) == len(links)
    assert len({link.make("/n", "a").split()[4] for link in links}) == len(links)
    assert all(len(link.outside) < 16 for link in links)
