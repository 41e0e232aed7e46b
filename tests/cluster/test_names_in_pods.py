"""Names in a pod: those of the cluster are what they were, all others have an address, and no query of a pod leaves the cluster."""

import json
from ipaddress import ip_address

import pytest

from exitway.names.address import SYNTHETIC
from tests.cluster.cluster import HTTP, SERVE, Namespace, Pod, container, until
from tests.cluster.outside import Seen

ASK = """
import json, sys, dns.message, dns.query, dns.resolver, dns.flags
name, kind, how = sys.argv[1:4]
server = sys.argv[4] if sys.argv[4:] else dns.resolver.Resolver().nameservers[0]
query = dns.message.make_query(name, kind, use_edns=how == "edns")
send = dns.query.tcp if how == "tcp" else dns.query.udp
reply = send(query, server, timeout=5)
records = [record.to_text() for found in reply.answer for record in found]
print(json.dumps([dns.rcode.to_text(reply.rcode()), records, reply.edns]))
"""
"""Asks the pod's name server, or another; prints the code, the records, and the version of EDNS (-1: none)."""


def ask(pod: Pod, name: str, kind: str = "A", how: str = "udp", *server: str) -> tuple[str, list[str], int]:
    code, records, edns = json.loads(pod("python3", "-c", ASK, name, kind, how, *server))
    return code, records, edns


@pytest.fixture(scope="module")
def headless(namespace: Namespace) -> str:
    """The name of a headless service with two pods."""
    for name in ("one", "two"):
        namespace.pod(
            name, metadata={"labels": {"app": "pair"}}, hostname=name, subdomain="pair", containers=[container(*SERVE)]
        )
    named = [{"name": "web", "port": 8080}]
    namespace.service("pair", clusterIP="None", ports=named)
    return f"pair.{namespace.name}.svc.cluster.local"


@pytest.mark.parametrize("how", ["udp", "tcp", "edns"])
def test_cluster_names_are_answered_by_the_cluster(pod: Pod, how: str) -> None:
    code, records, edns = ask(pod, "kubernetes.default.svc.cluster.local", "A", how)
    assert (code, records, edns) == ("NOERROR", ["198.19.0.1"], 0 if how == "edns" else -1)


@pytest.mark.parametrize("how", ["udp", "tcp", "edns"])
def test_every_other_name_has_an_address_of_its_own(pod: Pod, how: str, outside: Seen) -> None:
    code, records, edns = ask(pod, f"secret-{how}.exfiltrated.test", "A", how)
    assert code == "NOERROR"
    assert all(any(ip_address(record) in network for network in SYNTHETIC) for record in records)
    assert len(records) == 1
    assert edns == (0 if how == "edns" else -1)
    assert ask(pod, f"secret-{how}.exfiltrated.test", "A", how)[1] == records
    assert ask(pod, f"secret-{how}.exfiltrated.test", "TXT", how)[:2] == ("NOERROR", [])
    assert outside.facts() == []


@pytest.mark.parametrize("server", ["198.51.100.53", "8.8.8.8"])
def test_a_name_server_outside_is_ours(pod: Pod, server: str, outside: Seen) -> None:
    assert ask(pod, "secret.exfiltrated.test", "A", "udp", server)[0] == "NOERROR"
    assert ask(pod, "secret.exfiltrated.test", "A", "tcp", server)[0] == "NOERROR"
    assert outside.facts() == []


def test_the_name_server_of_the_cluster_tells_a_pod_nothing_of_the_outside(pod: Pod, outside: Seen) -> None:
    ask(pod, "secret.exfiltrated.test", "A", "udp", "198.19.0.10")
    ask(pod, "secret.exfiltrated.test", "TXT", "tcp", "198.19.255.2")
    assert outside.facts() == []


def test_headless_services(pod: Pod, headless: str) -> None:
    both = {Pod(pod.namespace, name).address() for name in ("one", "two")}
    assert set(until(lambda: found if len(found := ask(pod, headless)[1]) == 2 else [])) == both
    assert ask(pod, f"one.{headless}")[1] == [Pod(pod.namespace, "one").address()]
    assert {record.split()[-1] for record in ask(pod, f"_web._tcp.{headless}", "SRV")[1]} == {
        f"one.{headless}.",
        f"two.{headless}.",
    }
    assert pod.curl(f"http://two.{headless}:8080")[1].startswith("two saw ")


@pytest.mark.parametrize("name", ["nothing.default.svc.cluster.local", "www.google.com.default.svc.cluster.local"])
def test_a_cluster_name_that_nobody_has_does_not_exist(pod: Pod, name: str) -> None:
    assert ask(pod, name)[:2] == ("NXDOMAIN", [])


def test_five_dots_and_search_domains_find_the_name_that_is_meant(
    namespace: Namespace, pod: Pod, outside: Seen
) -> None:
    resolv = pod("cat", "/etc/resolv.conf")
    assert "ndots:5" in resolv
    assert f"{namespace.name}.svc.cluster.local" in resolv
    namespace.rule("google", to={"hosts": ["www.google.com"], "ports": HTTP})
    assert pod.curl("http://www.google.com/")[0] == 200
    assert [request["host"] for request in outside.requests()] == ["www.google.com"]
    assert set(outside.queries()) == {"www.google.com"}
