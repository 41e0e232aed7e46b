import pytest

from exitway.explain.least import least_rule
from exitway.explain.target import Packet, call_text, read_call, read_target
from exitway.names.call import Call, Sort
from exitway.resources import kinds
from exitway.resources.problem import Place, Problems

HTTP, TLS, TCP = Sort.HTTP, Sort.TLS, Sort.TCP

CALLS = {
    "http://httpbin.org": Call(HTTP, 80, "httpbin.org", asked="httpbin.org"),
    "http://HTTPBin.org./get?a=1#top": Call(HTTP, 80, "httpbin.org", asked="httpbin.org", path="/get?a=1"),
    "http://me:secret@api.example:8080?q": Call(HTTP, 8080, "api.example", asked="api.example", path="/?q"),
    "http://api.example/a b/é/%2F": Call(HTTP, 80, "api.example", asked="api.example", path="/a%20b/%C3%A9/%2F"),
    "https://api.example/v1": Call(TLS, 443, "api.example", asked="api.example"),
    "wss://api.example:8443/chat": Call(TLS, 8443, "api.example", asked="api.example"),
    "api.example:443": Call(TLS, 443, "api.example", asked="api.example"),
    "api.example:80": Call(HTTP, 80, "api.example", asked="api.example"),
    "db.example:5432": Call(TCP, 5432, asked="db.example"),
    "postgres://me@db.example/orders": Call(TCP, 5432, asked="db.example"),
    "http://192.0.2.7:8080/": Call(HTTP, 8080, "192.0.2.7", "192.0.2.7", asked=""),
    "https://192.0.2.7/": Call(TLS, 443, "", "192.0.2.7", asked=""),
    "http://[2001:DB8::5]/": Call(HTTP, 80, "[2001:db8::5]", "2001:db8::5", asked=""),
    "[2001:db8::5]:7": Call(TCP, 7, address="2001:db8::5", asked=""),
    "[::ffff:192.0.2.7]:7": Call(TCP, 7, address="192.0.2.7", asked=""),
    "http://169.254.169.254/": Call(HTTP, 80, "169.254.169.254", "169.254.169.254", asked=""),
    "https://host.exitway.internal:3000": Call(TLS, 3000, "host.exitway.internal", asked="host.exitway.internal"),
    "grpc://api.example:50051": Call(HTTP, 50051, "api.example", asked="api.example", method="POST"),
}


@pytest.mark.parametrize(("text", "call"), CALLS.items(), ids=CALLS)
def test_a_text_means_the_call_that_clients_make_of_it(text, call):
    assert read_call(text) == call
    assert read_call(call_text(call)) == call


def test_what_is_spoken_can_be_said():
    assert read_call("api.example:443", protocol="tcp").sort is TCP
    assert read_call("api.example:9000", protocol="HTTP2", method="PUT").method == "PUT"
    assert read_call("TCP api.example:443").sort is TCP
    assert read_call("DELETE http://api.example/v1").method == "DELETE"
    assert read_call("TCP  api.example:443") == read_call("TCP api.example:443")
    assert read_call("DELETE  http://api.example/v1") == read_call("DELETE http://api.example/v1")
    assert read_call("api.example", protocol="tls") == CALLS["api.example:443"]
    assert read_call("http://api.example/", method="CONNECT").path == ""
    assert read_target("udp://dns.example:53") == Packet("UDP", 53, "dns.example")
    assert read_target("https://api.example/", protocol="http3") == Packet("HTTP3", 443, "api.example")
    assert read_target("192.0.2.7", protocol="icmp") == Packet("ICMP", 0, address="192.0.2.7")


FAULTS = {
    ("",): "EXW1701",
    ("http://",): "EXW1701",
    ("2001:db8::5:443",): "EXW1701",
    ("[2001:db8::5",): "EXW1701",
    ("db.example:5432/orders",): "EXW1701",
    ("http://evil.example\\@a.example/",): "EXW1701",
    ("gopher://a.example",): "EXW1702",
    ("a.example:1", "GET", "FTP"): "EXW1702",
    ("http://a.example:443", "", "TLS"): "EXW1702",
    ("a..example:80",): "EXW1703",
    ("*.example:80",): "EXW1703",
    ("bücher.example:80",): "EXW1703",
    ("http://1.2.3/",): "EXW1703",
    ("[fe80::1%eth0]:80",): "EXW1703",
    ("a.example",): "EXW1704",
    ("a.example:0",): "EXW1704",
    ("a.example:65536",): "EXW1704",
    ("a.example:٣",): "EXW1704",
    ("http://a.example/", "GET /"): "EXW1705",
    ("a.example:5432", "GET"): "EXW1705",
    ("udp://a.example:53",): "EXW1706",
    ("http://localhost:3000",): "EXW1707",
    ("127.1.2.3:80",): "EXW1707",
    ("0.0.0.0:80",): "EXW1707",
    ("[::]:80",): "EXW1707",
    ("240.240.0.7:80",): "EXW1707",
}


@pytest.mark.parametrize(("given", "code"), FAULTS.items(), ids=map(str, FAULTS))
def test_a_text_that_means_no_call_is_a_problem(given, code):
    text, method, protocol = (*given, "", "")[:3]
    with pytest.raises(Problems) as raised:
        read_call(text, method=method, protocol=protocol, place=Place("tests.yml", 3, 5), field="allow[0]")
    (problem,) = raised.value.problems
    assert (problem.code, problem.place.line, problem.field) == (code, 3, "allow[0]")


LEAST = {
    "http://api.example/v1?q=1": {
        "hosts": ["api.example"], "ports": [{"number": 80, "protocol": "HTTP"}], "methods": ["GET"], "paths": ["/v1"],
    },
    "http://api.example/a//b": {"hosts": ["api.example"], "ports": [{"number": 80, "protocol": "HTTP"}], "methods": ["GET"]},
    "https://api.example": {"hosts": ["api.example"], "ports": [{"number": 443, "protocol": "TLS"}]},
    "db.example:5432": {"hosts": ["db.example"], "ports": [{"number": 5432, "protocol": "TCP"}]},
    "http://192.0.2.7/": {"cidrs": ["192.0.2.7/32"], "ports": [{"number": 80, "protocol": "TCP"}]},
    "https://[2001:db8::5]/": {"cidrs": ["2001:db8::5/128"], "ports": [{"number": 443, "protocol": "TCP"}]},
}  # fmt: skip


@pytest.mark.parametrize(("text", "to"), LEAST.items(), ids=LEAST)
def test_the_least_rule_speaks_of_this_call_alone(text, to):
    rule = least_rule(read_call(text), "shop", labels={"app": "checkout"})
    assert rule is not None
    assert rule["spec"] == {"workloadSelector": {"matchLabels": {"app": "checkout"}}, "to": [to]}
    kinds.read(rule)


def test_what_cannot_be_said_in_a_rule_has_none():
    assert least_rule(read_call("_dmarc.example:25"), "shop") is None
