"""IPv6 is no way round, and a way out like IPv4."""

import pytest

from tests.cluster.cluster import HTTP, TCP_ECHO, Namespace, Pod
from tests.cluster.outside import Outside, Seen


def test_nothing_leaves_without_a_rule(pod: Pod, lab: Outside, outside: Seen) -> None:
    assert pod.curl("http://a.lab.test/", "-6")[0] == 404
    assert pod.curl(f"http://[{lab.address('a.lab.test', 6)}]/")[0] != 200
    pod.curl(f"telnet://[{lab.address('a.lab.test', 6)}]:7")
    pod(
        "python3",
        "-c",
        f"import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'', ('{lab.address('a.lab.test', 6)}', 7))",
        check=False,
    )
    assert outside.facts() == []


def test_a_rule_by_name_holds_for_both(namespace: Namespace, pod: Pod, outside: Seen) -> None:
    namespace.rule("by-name", to={"hosts": ["b.lab.test"], "ports": HTTP})
    assert [pod.curl("http://b.lab.test/", option)[0] for option in ("-4", "-6")] == [200, 200]
    assert {request["host"] for request in outside.requests()} == {"b.lab.test"}


def test_a_rule_by_address(namespace: Namespace, pod: Pod, lab: Outside, outside: Seen) -> None:
    address = lab.address("c.lab.test", 6)
    namespace.rule("by-address", to={"cidrs": [f"{address}/128"], "ports": TCP_ECHO})
    said = pod(
        "python3",
        "-c",
        f"import socket; s = socket.create_connection(('{address}', 7), 5); s.sendall(b'hello'); print(s.recv(9).decode())",
    )
    assert said == "hello\n"
    assert [(fact["address"], fact["port"]) for fact in outside.connections()] == [(address, 7)]


@pytest.mark.parametrize("version", [4, 6])
def test_nothing_reaches_an_address_without_a_rule(pod: Pod, version: int, lab: Outside, outside: Seen) -> None:
    address = lab.address("db.lab.test", version)
    assert pod.curl(f"http://{f'[{address}]' if version == 6 else address}:8080/")[0] != 200
    assert address not in [fact["address"] for fact in outside.packets()]
