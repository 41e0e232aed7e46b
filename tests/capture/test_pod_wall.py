"""The wall round a pod, on its node: what a packet that has left the pod's namespace may still do.

pod (eth0: 198.18.1.2, 2001:db8:18:1::2)  <-- veth -->  node (forwards)  <-- veth -->  world (every other address)
"""

import json
import subprocess
import time
from contextlib import ExitStack
from ipaddress import ip_address, ip_network

import pytest

from exitway.capture.pod_wall import Outlet, removed, ruleset
from tests.capture.podded import CLUSTER, EVERY_ADDRESS_IS_ITS_OWN, GATEWAY, OUTSIDE, PEER, POD, part

pytestmark = pytest.mark.lab

OWNER = "a test"
RANGES = tuple(map(ip_network, CLUSTER))
BEYOND = ("198.19.0.1", "2001:db8:fffe::1")
NODE = ("198.19.0.2", "2001:db8:fffe::2")


def run(*command, text=None):
    return subprocess.run(command, input=text, text=True, check=True, capture_output=True).stdout


class Place:
    """The three namespaces."""

    def __init__(self, stack):
        holds = [stack.enter_context(subprocess.Popen(["unshare", "--net", "sleep", "infinity"])) for _ in range(3)]
        for one in holds:
            stack.callback(one.kill)
        time.sleep(0.2)
        self.pod, self.node, self.world = (("nsenter", "-t", str(one.pid), "-n") for one in holds)
        for inside in (self.pod, self.node, self.world):
            run(*inside, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        for inside, link, pid in ((self.pod, "eth0", holds[1].pid), (self.world, "out", holds[1].pid)):
            peer = "veth7" if link == "eth0" else "uplink"
            run(*inside, "ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", str(pid))
        self._set_up(self.pod, "eth0", POD, GATEWAY)
        self._set_up(self.node, "veth7", GATEWAY, None)
        self._set_up(self.node, "uplink", NODE, BEYOND)
        self._set_up(self.world, "out", BEYOND, NODE)
        for version, pods, node in zip(("-4", "-6"), ("198.18.1.0/24", "2001:db8:18:1::/64"), NODE, strict=True):
            rules = f"rule add pref 1 to {node} lookup main\n" + EVERY_ADDRESS_IS_ITS_OWN.format(pods)
            run(*self.world, "ip", version, "-batch", "-", text=rules)
        run(*self.node, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        run(*self.pod, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
        self.outside = stack.enter_context(part("world", *self.world))
        self.attempt = stack.enter_context(part("program", *self.pod))

    @staticmethod
    def _set_up(inside, link, mine, beyond):
        lines = [f"link set lo up\nlink set {link} up", f"addr add {mine[0]}/24 dev {link}"]
        lines.append(f"addr add {mine[1]}/64 dev {link} nodad")
        lines += [f"route add default via {one}" for one in beyond or ()]
        run(*inside, "ip", "-batch", "-", text="\n".join(lines))

    def wall(self, text):
        run(*self.node, "nft", "-f", "-", text=text)

    def got(self, **what):
        return self.attempt(what)[0]

    def frame(self, source, target):
        """UDP to port 80 that the pod makes itself."""
        mac = json.loads(run(*self.node, "ip", "-j", "link", "show", "veth7"))[0]["address"]
        run(*self.pod, "python3", "-c", FRAME, source, target, mac)
        time.sleep(0.1)
        return [one for one in self.outside({"kind": "seen"}) if one[0] == 17]


FRAME = """
import ipaddress, socket, struct, sys
source, target = map(ipaddress.ip_address, sys.argv[1:3])
datagram = struct.pack("!HHHH", 4711, 80, 8, 0)
def total(data):
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    words = (words >> 16) + (words & 0xFFFF)
    return ~(words + (words >> 16)) & 0xFFFF
if source.version == 4:
    head = lambda check: struct.pack("!BBHHHBBH", 69, 0, 28, 1, 0, 64, 17, check) + source.packed + target.packed
    packet = head(total(head(0))) + datagram
else:
    pseudo = source.packed + target.packed + struct.pack("!II", 8, 17)
    datagram = struct.pack("!HHHH", 4711, 80, 8, total(pseudo + datagram))
    packet = struct.pack("!IHBB", 6 << 28, 8, 17, 64) + source.packed + target.packed + datagram
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
    wire.sendto(packet, ("eth0", 0x0800 if source.version == 4 else 0x86DD, 0, 0, bytes.fromhex(sys.argv[3].replace(":", ""))))
"""


@pytest.fixture(scope="module")
def place():
    with ExitStack() as stack:
        yield Place(stack)


@pytest.fixture(params=["device", ""], ids=["known", "unknown"])
def walled(place, request):
    outlet = Outlet(request.param and "veth7", tuple(map(ip_address, POD)))
    place.wall(ruleset(OWNER, [outlet], RANGES))
    place.outside({"kind": "seen"})
    yield place
    place.wall(removed(OWNER))


@pytest.mark.parametrize("to", OUTSIDE)
def test_without_it_a_pod_gets_out(place, to):
    place.wall(removed(OWNER))
    assert place.got(kind="tcp", to=to) == f"world {to} 80"
    assert place.frame(POD[":" in to], to)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("to", OUTSIDE)
def test_what_a_pod_begins_is_refused_at_once(walled, kind, to):
    said, seconds = walled.attempt({"kind": kind, "to": to})
    assert said in {"ConnectionRefusedError", "OSError", "PermissionError"}
    assert seconds < 0.5
    assert not walled.frame(POD[":" in to], to)


@pytest.mark.parametrize("to", PEER)
def test_the_cluster_is_reached(walled, to):
    assert walled.got(kind="tcp", to=to) == f"world {to} 80"


@pytest.mark.parametrize("version", [0, 1])
def test_who_comes_from_outside_is_answered(walled, version):
    program = "import socket, sys; print(socket.create_connection((sys.argv[1], 8080), 2).recv(99).decode())"
    assert run(*walled.world, "python3", "-c", program, POD[version]) == f"pod {POD[version]} 8080\n"


@pytest.mark.parametrize("version", [0, 1])
def test_no_address_is_forged_where_the_interface_is_known(place, version):
    place.wall(ruleset(OWNER, [Outlet("veth7", tuple(map(ip_address, POD)))], RANGES))
    place.outside({"kind": "seen"})
    neighbour = ("198.18.1.9", "2001:db8:18:1::9")[version]
    for to in (OUTSIDE[version], PEER[version]):
        assert not place.frame(neighbour, to)
    place.wall(removed(OWNER))
    assert place.frame(neighbour, OUTSIDE[version])
