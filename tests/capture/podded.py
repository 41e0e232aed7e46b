"""A pod's network namespace without a cluster: `python podded.py ROLE` is one of its parts, and the same as a fixture.

pod (eth0: 198.18.1.2, 2001:db8:18:1::2)  <-- veth -->  world (every address is its own)
"""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

POD = ("198.18.1.2", "2001:db8:18:1::2")
GATEWAY = ("198.18.1.1", "2001:db8:18:1::1")
PEER = ("198.18.2.9", "2001:db8:18:2::9")
RESOLVER = ("198.18.0.53", "2001:db8:18::53")
OUTSIDE = ("198.19.7.7", "2001:db8:ffff::7")
CLUSTER = ("198.18.0.0/16", "2001:db8:18::/56")
IP_TRANSPARENT, IP_FREEBIND, IPV6_FREEBIND, IPV6_RTHDR = 19, 15, 78, 57


def serve(who, port, *, transparent=False, addresses=("0.0.0.0", "::")):
    """TCP, and UDP for the world: says who it is, and which address and port were meant."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transparent:
            listener.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        listener.bind((address, port))
        listener.listen(64)
        threading.Thread(target=_accept, args=(listener, who), daemon=True).start()
        if not transparent:
            threading.Thread(target=_answer, args=(family, port, who), daemon=True).start()


def _accept(listener, who):
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(" ".join([who, *map(str, connection.getsockname()[:2])]).encode())


def _answer(family, port, who):
    """From the address that was asked."""
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        if family == socket.AF_INET:
            level, wanted = socket.SOL_IP, 8  # IP_PKTINFO
            server.setsockopt(level, wanted, 1)
        else:
            level, wanted = socket.IPPROTO_IPV6, socket.IPV6_PKTINFO
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.setsockopt(level, socket.IPV6_RECVPKTINFO, 1)
            server.setsockopt(level, IPV6_FREEBIND, 1)
        server.bind(("", port))
        while True:
            _, control, _, client = server.recvmsg(100, 100)
            ((_, _, info),) = control
            if family == socket.AF_INET:
                address, info = socket.inet_ntop(family, info[8:12]), bytes(4) + info[8:12] + bytes(4)
            else:
                address, info = socket.inet_ntop(family, info[:16]), info[:16] + bytes(4)
            server.sendmsg([f"{who} {address} {port}".encode()], [(level, wanted, info)], 0, client)


def sniff():
    """Every packet that arrives from the pod: protocol, destination, port (or type)."""
    source = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    seen = []

    def watch():
        while True:
            packet, (link, _, sort, *_) = source.recvfrom(2048)
            if link == "out" and sort != socket.PACKET_OUTGOING and packet[0] >> 4 in (4, 6):
                seen.append(_destination(packet))
                if seen[-1][0] == 0 or (seen[-1][0] == 58 and seen[-1][2] != 128):
                    del seen[-1]  # the kernel looks for its neighbours, and says what it listens to

    threading.Thread(target=watch, daemon=True).start()
    return seen


def _destination(packet):
    if packet[0] >> 4 == 4:
        protocol, address, rest = (
            packet[9],
            socket.inet_ntop(socket.AF_INET, packet[16:20]),
            packet[4 * (packet[0] & 15) :],
        )
    else:
        protocol, address, rest = packet[6], socket.inet_ntop(socket.AF_INET6, packet[24:40]), packet[40:]
    port = struct.unpack_from("!H", rest, 2)[0] if protocol in (6, 17) else rest[0]
    return [protocol, address, port]


def attempt(what):
    """One try of a program in the pod: what it got, and after how many seconds."""
    began = time.monotonic()
    try:
        said = _try(**what)
    except OSError as error:
        said = "timed out" if isinstance(error, TimeoutError) else type(error).__name__
    return said, time.monotonic() - began


def _try(kind, to, port=80, **how):
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    protocol = {"icmp": socket.IPPROTO_ICMPV6 if ":" in to else socket.IPPROTO_ICMP}.get(kind, 0)
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM, protocol) as one:
        one.settimeout(1.5)
        for level, name, value in how.get("options", []):
            one.setsockopt(level, name, bytes.fromhex(value) if isinstance(value, str) else value)
        if link := how.get("link"):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        if source := how.get("source"):
            one.bind(tuple(source))
        one.connect(tuple(socket.getaddrinfo(to, port)[0][4]))
        if kind != "tcp":
            one.send(b"\x80\0\0\0\0\0\0\0" if ":" in to else b"\x08\0\0\0\0\0\0\0")
        if how.get("silent"):
            return "sent"
        return one.recv(100).decode()


def _run(*command, text=None):
    subprocess.run(command, input=text, text=True, check=True)


@contextmanager
def part(role, *before):
    """One of them as a process: a function that asks it something."""
    with subprocess.Popen(
        [*before, sys.executable, __file__, role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        asked, answers = process.stdin, process.stdout
        assert asked
        assert answers
        assert json.loads(answers.readline()) == "ready"

        def ask(question):
            asked.write(json.dumps(question) + "\n")
            return json.loads(answers.readline())

        try:
            yield ask
        finally:
            process.kill()


class Pod:
    """Both namespaces. ``attempts``: by a program without privileges; ``proxying``: by one with them; ``arrived``: what left the pod."""

    def __init__(self, stack):
        hold = ["unshare", "--net", "sleep", "infinity"]
        self._holds = [stack.enter_context(subprocess.Popen(hold)) for _ in range(2)]
        for one in self._holds:
            stack.callback(one.kill)
        time.sleep(0.2)
        self.pod, self.world = (("nsenter", "-t", str(one.pid), "-n") for one in self._holds)
        _run(*self.pod, "ip", "-batch", "-", text=f"link add eth0 type veth peer name out netns {self._holds[1].pid}")
        for inside, link, mine, other in ((self.pod, "eth0", POD, GATEWAY), (self.world, "out", GATEWAY, POD)):
            _run(*inside, "ip", "-batch", "-", text=_addresses(link, mine, other))
        for version, address in zip(("-4", "-6"), POD, strict=True):
            _run(*self.world, "ip", version, "-batch", "-", text=EVERY_ADDRESS_IS_ITS_OWN.format(address))
        _run(*self.pod, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
        bound = ["--bounding-set=-all", "--inh-caps=-all"]
        unprivileged = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", *bound]
        self.outside = stack.enter_context(part("world", *self.world))
        self.attempt = stack.enter_context(part("program", *self.pod, *unprivileged))
        self.proxying = stack.enter_context(part("privileged", *self.pod))

    def install(self, rules, routes, ruleset):
        for version in ("-4", "-6"):
            _run(*self.pod, "ip", version, "-batch", "-", text=rules + routes)
        _run(*self.pod, "nft", "-f", "-", text=ruleset)

    def arrived(self):
        """What has left it since the last time."""
        time.sleep(0.05)
        return {tuple(one) for one in self.outside({"kind": "seen"})}


def _addresses(link, mine, other):
    return (
        f"link set lo up\nlink set {link} up\naddr add {mine[0]}/24 dev {link}\naddr add {mine[1]}/64 dev {link} nodad\n"
        f"route add default via {other[0]}\nroute add default via {other[1]}\n"
    )


EVERY_ADDRESS_IS_ITS_OWN = """\
route add local default dev lo table local
rule add pref 1 to {} lookup main
rule add pref 2 lookup local
rule del pref 0
"""


@contextmanager
def podded():
    """A pod that is not captured yet."""
    with ExitStack() as stack:
        yield Pod(stack)


def main(role):
    seen = []
    if role == "world":
        seen = sniff()
        for port in (53, 80, 443):
            serve("world", port)
    elif role == "proxy":
        serve("proxy", 1, transparent=True, addresses=("127.0.0.1", "::1"))
        serve("proxy", 2, transparent=True, addresses=("127.0.0.1", "::1"))
    elif role == "program":
        serve("pod", 8080)
    sys.stdout.write(json.dumps("ready") + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        question = json.loads(line)
        if question["kind"] == "seen":
            answer = list(seen)
            seen.clear()
        else:
            answer = attempt(question)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1])
