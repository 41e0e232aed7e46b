"""Whatever a client sends, the answer is a refusal with a reason: never a fault of ours, and nothing is changed."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exitway.api.body import MAX_BYTES
from tests.rules import EXITWAY, ISTIO, rule

SHOP = "/apis/exitway.dev/v1/namespaces/default/egressrules"
CHANGES = "/exitway/v1/changes"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"

TEXT = json.dumps(rule("a")).encode()
BAD = {
    "nothing": (b"", "not acceptable JSON"),
    "text": (b"rules please", "not acceptable JSON"),
    "half": (TEXT[:-7], "not acceptable JSON"),
    "two values": (TEXT + TEXT, "not acceptable JSON"),
    "a list": (b"[" + TEXT + b"]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "duplicate key": (TEXT[:-1] + b', "kind": "EgressRule"}', "duplicate key 'kind'"),
    "duplicate key inside": (TEXT.replace(b'"number": 443', b'"number": 443, "number": 80'), "duplicate key 'number'"),
    "duplicate key in another spelling": (TEXT[:-1] + b', "\\u006bind": "EgressRule"}', "duplicate key 'kind'"),
    "not UTF-8": (TEXT.replace(b"api", b"\xff\xfe"), "not UTF-8"),
    "UTF-16": (json.dumps(rule("a")).encode("utf-16"), "not UTF-8"),
    "half a surrogate pair": (TEXT.replace(b"api", b"\\ud800"), "not UTF-8"),
    "deep": (TEXT.replace(b"443", b"[" * 70 + b"]" * 70), "too deep"),
    "very deep": (b'{"spec":' * 200_000, "too deep"),
    "very deep lists": (b"[" * 1_000_000, "too deep"),
    "a number with 10,000 digits": (TEXT.replace(b"443", b"4" * 10_000), "not acceptable JSON"),
    "infinity": (TEXT.replace(b"443", b"1e999"), "out of range"),
    "not a number": (TEXT.replace(b"443", b"NaN"), "not a number"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_body_that_is_not_strict_json_is_refused_everywhere(api, case):
    content, why = BAD[case]
    for method, path, content_type in (
        ("POST", SHOP, "application/json"),
        ("POST", CHANGES, "application/json"),
        ("PATCH", f"{SHOP}/a", MERGE),
    ):
        answer = api.ask(method, path, content, content_type=content_type)
        assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
        assert why in answer.json["message"]
        assert len(answer.content) < 2000
    assert api.ask("GET", SHOP).json["items"] == []


@pytest.mark.parametrize(
    "text",
    ["a: &a 1", "a: 1\na: 2", "{unclosed", "a: 1\n---\nb: 2", "- a", "", "\t", "a: " + "[" * 100_000, "a: \x00"],
)
def test_a_body_that_is_not_strict_yaml_is_refused(api, text):
    answer = api.ask("PATCH", f"{SHOP}/a", text.encode(), content_type=APPLY)
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")


def test_a_body_that_is_too_large_is_refused_also_where_its_length_is_not_said(api):
    assert api.ask("POST", CHANGES, b" " * (MAX_BYTES + 1)).json["reason"] == "RequestEntityTooLarge"
    connection = api.connection()
    connection.request("POST", CHANGES, (b" " * 2**20 for _ in range(2 * MAX_BYTES // 2**20)), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=12,
)
WORDS = (
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "namespace",
    "labels",
    "annotations",
    "resourceVersion",
    "to",
    "hosts",
    "ports",
)
MORE_WORDS = (
    "number",
    "protocol",
    "destination",
    "service",
    "port",
    "workloadSelector",
    "matchLabels",
    "expires",
    "action",
    "cidrs",
    "uid",
)
VALUES = (
    st.sampled_from(
        [EXITWAY, ISTIO, "EgressRule", "a", "default", "", "443", 443, -1, "TLS", "*.a.example", "10.0.0.0/8"]
    )
    | JSON
)
LIKELY = st.recursive(
    VALUES,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from([*WORDS, *MORE_WORDS]), children, max_size=6)
    ),
    max_leaves=25,
)


@st.composite
def nearly_right(draw):
    """A rule in which some value has been replaced by any other."""
    wire = rule("a", labels={"x": "y"})
    node, parents = wire, list[Any]()
    while isinstance(node, dict | list) and node and (not parents or draw(st.booleans())):
        step = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        parents.append((node, step))
        node = node[step]
    container, step = parents[-1]
    container[step] = draw(LIKELY)
    return wire


REQUESTS = st.tuples(
    st.sampled_from(
        [
            ("POST", CHANGES, "application/json"),
            ("POST", SHOP, "application/json"),
            ("PUT", f"{SHOP}/a", "application/json"),
            ("PATCH", f"{SHOP}/a", MERGE),
            ("PATCH", f"{SHOP}/a", APPLY),
            ("DELETE", f"{SHOP}/a", "application/json"),
        ]
    ),
    nearly_right()
    | LIKELY
    | st.fixed_dictionaries(
        {
            "verb": st.sampled_from(["create", "apply", "replace", "delete"]),
            "objects": st.lists(nearly_right() | LIKELY, max_size=3),
        }
    ),
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(REQUESTS)
def test_no_body_makes_the_server_fail(api, request_):
    (method, path, content_type), body = request_
    answer = api.ask(method, path, body, content_type=content_type)
    assert answer.status < 500, answer.content
    assert answer.status < 300 or answer.json["kind"] == "Status"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(["application/json", APPLY, MERGE, ""]))
def test_no_bytes_make_the_server_fail(api, body, content_type):
    for method, path in (("POST", CHANGES), ("PATCH", f"{SHOP}/a"), ("DELETE", f"{SHOP}/a")):
        assert api.ask(method, path, body, content_type=content_type).status in (400, 404, 415, 422)
