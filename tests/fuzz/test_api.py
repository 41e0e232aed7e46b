"""The real API on its Unix socket: whatever is asked, it answers, is never at fault itself, and goes on."""

import json
import urllib.parse

from hypothesis import given
from hypothesis import strategies as st

from tests.api.conftest import api  # noqa: F401 - a fixture
from tests.fuzz.budget import while_there_is_time
from tests.fuzz.structures import ANYTHING, OBJECTS

METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO"])
WORDS = [
    "api",
    "apis",
    "exitway",
    "v1",
    "v1alpha2",
    "config.istio.io",
    "exitway.dev",
    "namespaces",
    "default",
    "egressrules",
    "a",
    "status",
    "changes",
    "openapi",
    "v2",
    "v3",
    "version",
]
PATHS = st.lists(
    st.sampled_from(WORDS)
    | st.text(max_size=6).map(lambda text: urllib.parse.quote(text, safe=""))
    | st.sampled_from(["", "..", "%2e%2e", "%00", "%ff"]),
    max_size=7,
).map(lambda parts: "/" + "/".join(parts))
KNOWN = st.sampled_from(
    [
        "/exitway/v1/changes",
        "/apis/exitway.dev/v1/namespaces/default/egressrules",
        "/apis/exitway.dev/v1/namespaces/default/egressrules/a",
        "/apis/config.istio.io/v1alpha2/egressrules",
    ]
)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            "limit",
            "continue",
            "labelSelector",
            "fieldSelector",
            "resourceVersion",
            "dryRun",
            "fieldManager",
            "pretty",
            "x",
        ]
    ),
    st.text(max_size=8) | st.sampled_from(["1", "-1", "All", "a=b", "a in (b)", "!a"]),
    max_size=3,
)
CHANGES = st.fixed_dictionaries(
    {
        "verb": st.sampled_from(["create", "apply", "replace", "delete", "x"]) | ANYTHING,
        "objects": st.lists(OBJECTS | ANYTHING, max_size=3) | ANYTHING,
    },
    optional={"dryRun": ANYTHING, "wait": ANYTHING, "x": ANYTHING},
)
BODIES = st.none() | st.binary(max_size=60) | (OBJECTS | CHANGES | ANYTHING).map(lambda wire: json.dumps(wire).encode())
TYPES = st.sampled_from(
    [
        "application/json",
        "application/yaml",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "text/plain",
        "",
        "application/json; charset=x",
    ]
)


@while_there_is_time
@given(
    METHODS,
    KNOWN | KNOWN | PATHS,
    QUERIES,
    BODIES,
    TYPES,
    st.sampled_from(["*/*", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml", "x"]),
)
def test_every_request_is_answered(api, method, path, query, body, kind, accept):  # noqa: F811
    before = {rule["metadata"]["name"]: rule for rule in rules(api)}
    url = path + ("?" + urllib.parse.urlencode(query, errors="replace") if query else "")
    answer = api.ask(method, url, body, content_type=kind, accept=accept)
    assert 200 <= answer.status < 500
    if answer.status >= 400 and method != "HEAD":
        assert answer.json["kind"] == "Status"
        assert {rule["metadata"]["name"]: rule for rule in rules(api)} == before


def rules(api):  # noqa: F811
    return [
        rule
        for group in ("exitway.dev/v1", "config.istio.io/v1alpha2")
        for rule in api.ask("GET", f"/apis/{group}/egressrules").json["items"]
    ]
