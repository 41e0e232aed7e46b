"""Methods and paths: what arrives outside is what a rule allows, byte for byte, however the request is written."""

import itertools
import json
import sys

import pytest

from tests.features.conftest import EXAMPLES, eventually
from tests.resources.wire import exitway as rule
from tests.resources.wire import to

pytestmark = pytest.mark.lab

RULES = [
    rule(to("a.lab.test", "80/HTTP", methods=["GET"], paths=["/v1/*", "/exact", "/u/@me", "/p@*"]), name="a-get"),
    rule(to("a.lab.test", "80/HTTP", methods=["POST", "PUT"], paths=["/submit"]), name="a-post"),
    rule(to("a.lab.test", "80/HTTP", paths=["/v1/admin*"]), name="a-not-admin", action="DENY"),
    rule(to("b.lab.test", "80/HTTP"), name="b"),
    rule(to("b.lab.test", "80/HTTP", methods=["DELETE"]), name="b-no-delete", action="DENY"),
    rule(to("c.lab.test", "80/HTTP"), name="c"),
    rule(to("c.lab.test", "80/HTTP", methods=["GET"], paths=["/v1"]), name="c-adds-nothing"),
    rule(to("*.wild.lab.test", "80/HTTP"), name="wild"),
    rule(to("x.wild.lab.test", "80/HTTP", paths=["/secret*"]), name="wild-secret", action="DENY"),
    rule(to("api.github.com", "443/GRPC", methods=["GET", "POST"], paths=["/users/*", "/pkg.Service/Get*"], originateTLS=True)),
]  # fmt: skip

A, B, C, WILD = "a.lab.test", "b.lab.test", "c.lab.test", "x.wild.lab.test"

REQUESTS = [
    # (host, request line without its version, further headers, why it is denied: "" if it arrives)
    (A, "GET /v1/x", "", ""),
    (A, "GET /v1/", "", ""),
    (A, "GET /v1/x?q=/../%2e%2e//;#"[:-1], "", ""),  # the query is not looked at
    (A, "GET /v1/a%20b/caf%C3%A9/%F0%9F%98%80/...", "", ""),
    (A, "GET /exact", "", ""),
    (A, "GET /exact?x=1", "", ""),
    (A, "GET /u/@me", "", ""),
    (A, "GET /u/%40me", "", ""),
    (A, "GET /p%40x", "", ""),
    (A, "POST /submit", "Content-Length: 0\r\n", ""),
    (A, "PUT /submit", "Content-Length: 0\r\n", ""),
    (A, "GET http://a.lab.test/v1/x", "", ""),
    (A, "GET /v1", "X-Envoy-Original-Path: /v1/x\r\n", "path"),
    (A, "GET /", "", "path"),
    (A, "GET /exact/", "", "path"),
    (A, "GET /EXACT", "", "path"),
    (A, "GET /V1/x", "", "path"),
    (A, "GET ?/v1/x", "", "closed"),
    (A, "GET /?/v1/x", "", "path"),
    (A, "GET http://a.lab.test", "", "path"),
    (A, "GET http://a.lab.test?/v1/x", "", "404"),
    (A, "GET http://a.lab.test/v2", "", "path"),
    (A, "GET http://b.lab.test/v1/../x", "", ""),  # the authority of the target decides: b has no rule with paths
    (A, "GET /v1/admin", "", "denied-by-rule"),
    (A, "GET /v1/administrators", "", "denied-by-rule"),
    *(
        (A, f"GET {path}", "", "path")
        for path in (
            "/v1/../admin", "/v1/x/../../admin", "/v1/./x", "/v1/..", "/v1/.", "//v1/x", "/v1//x", "/v1/%2e%2e/admin", "/v1/%2E%2E/x",
            "/v1/.%2e/x", "/v1/%2e/x", "/v1/%2f../x", "/v1%2Fx", "/v1/..%2fx", "/v1/x%5c..%5cy", "/v1\\x", "/v1/..\\x", "/v1/..;/admin",
            "/v1/x;a=b", "/v1;/x", "/v1/%3b", "/v1/%00", "/v1/x%0a", "/v1/%61dmin", "/v1/%2561dmin", "/v1/%252e%252e/x", "/v1/%u002e", "/v1/%",
            "/v1/%C0%AE%C0%AE/x", "/v1/%c3%a9", "/v1/%E9", "/v1/%3Fx", "/v1/%23x", '/v1/"x"', "/v1/{x}", "/%76%31/x",
        )
    ),
    (A, "GET /v1/x#/../y", "", "400"),
    (A, "GET /v1/caf\xe9", "", "closed"),
    (A, "GET /v1/\tx", "", "closed"),
    (A, "GET /v1/\x00", "", "400"),
    (A, "POST /v1/x", "Content-Length: 0\r\n", "method"),
    (A, "HEAD /v1/x", "", "method"),
    (A, "GET /submit", "", "method"),
    (A, "DELETE /submit", "", "method"),
    (A, "DELETE /other", "", "path"),
    (A, "OPTIONS *", "", "404"),
    (A, "get /v1/x", "", "400"),
    (A, "BREW /v1/x", "", "400"),
    (A, "CONNECT a.lab.test:80", "", "no-rule"),
    *(
        (A, "GET /v1/x", f"{name}: {value}\r\n", "method")
        for name, value in (
            ("X-HTTP-Method-Override", "DELETE"), ("x-http-method", "GET"), ("X-METHOD-OVERRIDE", ""), ("X_HTTP_Method_Override", "PUT"),
            ("X-HTTP_Method-Override", "PUT"),
        )
    ),
    (A, "POST /submit", "Content-Length: 0\r\nX-HTTP-Method-Override: DELETE\r\n", "method"),
    (B, "GET /any/../thing%2f;x", "", ""),
    (B, "POST /", "Content-Length: 0\r\n", ""),
    (B, "DELETE /", "", "denied-by-rule"),
    (B, "POST /", "Content-Length: 0\r\nX-HTTP-Method-Override: DELETE\r\n", "method"),
    (C, "DELETE /v1/../x", "X-HTTP-Method-Override: DELETE\r\n", ""),
    (WILD, "GET /open", "", ""),
    (WILD, "GET /secrets", "", "denied-by-rule"),
    (WILD, "GET /open/../secrets", "", "path"),
    (WILD, "GET /%73ecrets", "", "path"),
    ("y.wild.lab.test", "GET /secrets/../x", "", ""),
]  # fmt: skip

CALLER = """
import json, socket, sys
for host, head in json.loads(sys.stdin.readline()):
    with socket.create_connection((host, 80), 5) as connection:
        connection.sendall(head.encode("latin-1"))
        try:
            print(json.dumps(connection.recv(65536).decode("latin-1")))
        except ConnectionResetError:
            print(json.dumps(""))
"""

HTTP2_CALLER = """
import json, socket, sys
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamEnded, StreamReset

def answers(calls):
    http2 = H2Connection(H2Configuration(header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False))
    http2.initiate_connection()
    for number, (method, path, headers, _) in enumerate(calls):
        begin = {":method": method, ":scheme": "http", ":authority": "api.github.com:443", ":path": path}
        http2.send_headers(2 * number + 1, [*begin.items(), *headers.items()], end_stream=True)
    said, over = {}, set()
    with socket.create_connection(("api.github.com", 443), 5) as connection:
        connection.sendall(http2.data_to_send())
        while len(over) < len(calls) and (data := connection.recv(65536)):
            for event in http2.receive_data(data):
                if isinstance(event, ResponseReceived):
                    said[event.stream_id] = {str(key): str(value) for key, value in event.headers}
                elif isinstance(event, StreamEnded | StreamReset):
                    over.add(event.stream_id)
            connection.sendall(http2.data_to_send())
    return [said.get(2 * number + 1, {}) for number in range(len(calls))]

print(json.dumps([answers(calls) for calls in json.loads(sys.stdin.readline())]))
"""


@pytest.fixture
def ruled(server):
    changes = {"verb": "create", "objects": RULES, "wait": True}
    assert not server.request("POST", "/exitway/v1/changes", changes)["unacknowledged"]
    return server


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_request_arrives_as_it_was_written_or_not_at_all(ruled, outside, version):
    heads = [
        (host, f"{line} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
        for host, line, headers, _ in REQUESTS
    ]
    said = ruled("run", "-n", "shop", "--name", "w", "--", sys.executable, "-c", CALLER, input=json.dumps(heads) + "\n")
    answers = [reason(json.loads(answer)) for answer in said.splitlines()]
    assert not [(row, answer) for row, answer in zip(REQUESTS, answers, strict=True) if answer != row[-1]]
    arrived = [f"{fact['method']} {fact['path']}" for fact in outside.requests()]
    assert arrived == [
        line.replace("http://a.lab.test", "").replace("http://b.lab.test", "")
        for _, line, _, why in REQUESTS
        if not why
    ]
    wanted = sum(1 for row in REQUESTS if row[3])
    denied = eventually(lambda: told if seen(told := denials(ruled)) == wanted else None)
    assert {(flow["reason"], flow["rule"]) for flow in denied if flow["reason"] in ("method", "path")} >= {
        ("path", "egress-rule/shop/a-get"),
        ("method", "egress-rule/shop/a-get"),
        ("path", "egress-rule/shop/wild-secret"),
    }
    assert {"GET /v1", "GET /v1/%2e%2e/admin", "POST /v1/x", "DELETE /submit", "OPTIONS *"} <= {
        f"{flow['method']} {flow['path']}" for flow in denied if "path" in flow
    }


Stream = tuple[str, str, dict[str, str], str]
GRPC = {"content-type": "application/grpc", "te": "trailers"}

TOGETHER: list[Stream] = [
    ("GET", "/users/octocat", {}, ""),
    ("GET", "/repos/x", {}, "path"),
    ("GET", "/users/../repos/x", {}, "path"),
    ("POST", "/pkg.Service/GetThing", GRPC, ""),
    ("POST", "/pkg.Service/DeleteThing", GRPC, "path"),
    ("POST", "/pkg.service/GetThing", GRPC, "path"),
    ("DELETE", "/users/octocat", {}, "method"),
    ("GETT", "/users/octocat", {}, "method"),
    ("POST", "/users/octocat", {"x-http-method-override": "DELETE"}, "method"),
    ("GET", "/users/again", {}, ""),
]
ALONE: list[Stream] = [
    # "none": the stream is reset, so malformed is the request
    ("GET", "/users/a b", {}, "none"),
    ("GET", "/users/x HTTP/1.1", {}, "none"),
    ("GET", "/users/x?a b", {}, "none"),
    ("GET", "/users/\u00e9", {}, "path"),
    ("GET", "/users/x#y", {}, "400"),
    ("GET", "users/x", {}, "none"),
    ("GET", "", {}, "none"),
    ("get", "/users/octocat", {}, "method"),
    ("G T", "/users/octocat", {}, "none"),
    ("CONNECT", "/users/octocat", {}, "none"),
]


def test_each_stream_of_an_http2_connection_is_decided_by_itself(ruled, outside):
    calls = json.dumps([TOGETHER, *([call] for call in ALONE)])
    said = json.loads(ruled("run", "-n", "shop", "--", sys.executable, "-c", HTTP2_CALLER, input=f"{calls}\n"))
    answers = [
        answer.get("x-exitway-decision", "").removeprefix("deny; reason=")
        or answer.get(":status", "none").replace("200", "")
        for answer in itertools.chain.from_iterable(said)
    ]
    assert not [(row, answer) for row, answer in zip(TOGETHER + ALONE, answers, strict=True) if answer != row[-1]]
    assert sorted((fact["method"], fact["path"], fact["sni"]) for fact in outside.requests()) == sorted(
        (method, path, "api.github.com") for method, path, _, why in TOGETHER if not why
    )


def reason(answer):
    """Why a request was denied: empty where it was not; the status, where Envoy could make nothing of it."""
    head = answer.partition("\r\n\r\n")[0].partition("\n\n")[0]
    said = [line for line in head.splitlines() if line.startswith("x-exitway-decision: deny; reason=")]
    if said:
        return said[0].partition("reason=")[2]
    return head[9:12].replace("200", "") or ("closed" if not head else "")


def denials(server):
    return [flow for flow in server.flows() if flow["verdict"] == "deny"]


def seen(flows):
    return sum(flow.get("count", 1) for flow in flows)


def test_the_example_is_enforced(server, outside):
    server("create", "-f", EXAMPLES / "github_api.yml", "-n", "shop")
    ask = "for path in users/octocat user/repos; do curl -s -o /dev/null -w '%{http_code} ' http://api.github.com:443/$path; done"
    assert server("run", "-n", "shop", "--", "sh", "-c", ask) == "200 404 "
    assert [fact["path"] for fact in outside.requests()] == ["/users/octocat"]
