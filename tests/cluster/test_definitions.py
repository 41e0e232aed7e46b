"""The CustomResourceDefinitions, by a real API server: what their schemas take and refuse by themselves, and what kubectl shows."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from tests.cluster.cluster import REPOSITORY, Namespace, kubectl, new_namespace
from tests.cluster.following import connected
from tests.resources.test_istio_egress_rule import INVALID_DOMAINS, VALID_CIDRS, VALID_DOMAINS
from tests.resources.wire import Wire, exitway, istio, problems, to

CRDS = REPOSITORY / "deploy/helm/exitway/crds"
COPIES = {"config.istio.io": "istio-copy.exitway.example", "exitway.dev": "copy.exitway.example"}
"""Groups that no webhook knows, so that only the schema speaks."""


@pytest.fixture(scope="module")
def defined(cluster: None) -> Iterator[Namespace]:
    """A namespace, the definitions, and copies of them in other groups."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", CRDS)
    copies = [copied(yaml.safe_load(file.read_text())) for file in CRDS.iterdir()]
    kubectl("apply", "--server-side", "-f", "-", stdin="\n---\n".join(map(json.dumps, copies)))
    for one in copies:
        kubectl("wait", "--for=condition=Established", f"crd/{one['metadata']['name']}")
    with new_namespace({}) as made:
        yield made
    for one in copies:
        kubectl("delete", "crd", one["metadata"]["name"])


def copied(definition: dict[str, Any]) -> dict[str, Any]:
    group = COPIES[definition["spec"]["group"]]
    definition["spec"]["group"] = group
    definition["spec"]["names"] |= {"shortNames": [], "categories": []}
    definition["metadata"]["name"] = f"egressrules.{group}"
    return definition


async def refusal(kube: Kube, namespace: str, wire: Wire) -> str:
    """Why the schema refuses the rule; empty if it takes it."""
    group, _, version = wire["apiVersion"].partition("/")
    copy_of = {**wire, "apiVersion": f"{COPIES[group]}/{version}", "metadata": {"generateName": "rule-"}}
    path = f"/apis/{COPIES[group]}/{version}/namespaces/{namespace}/egressrules"
    try:
        await kube.request("POST", path, copy_of, {"dryRun": "All", "fieldValidation": "Strict"})
    except KubeError as error:
        assert error.code == 422, error
        return str(error)
    return ""


def judged(namespace: Namespace, *wires: Wire) -> list[str]:
    async def main() -> list[str]:
        async with connected() as kube:
            return [await refusal(kube, namespace.name, wire) for wire in wires]

    return asyncio.run(main())


def test_what_the_reader_takes_the_schema_takes(defined):
    wires = [istio(name, "80/http", "443/HTTPS", "9000/gRPC") for name in VALID_DOMAINS]
    wires += [istio(cidr, "80/tcp", "81/Mongo") for cidr in VALID_CIDRS]
    wires += [istio("*." + "a." * 127 + "a", "80/http"), istio("a.example", "80/http", use_egress_proxy=False)]
    for expires in ("2027-01-31T00:00:00Z", "2027-01-31t00:00:00z", "2027-01-31T00:00:00.123456789-01:30"):
        wires.append(exitway(to("a.example", "80/HTTP"), expires=expires))
    assert [problems(wire) for wire in wires] == [[]] * len(wires)
    assert judged(defined, *wires) == [""] * len(wires)


NUMBERS, PROTOCOLS = (
    st.sampled_from([1, 80, 443, 65535, 0, 65536]),
    st.sampled_from(["HTTP", "HTTP2", "TLS", "TCP", "UDP"]),
)
ENTRY = st.fixed_dictionaries(
    {"ports": st.lists(st.fixed_dictionaries({"number": NUMBERS, "protocol": PROTOCOLS}), max_size=3)},
    optional={
        "hosts": st.lists(st.sampled_from(["a.example", "*.a.example", "*", "10.0.0.1", "a..b", ""]), max_size=2),
        "cidrs": st.lists(st.sampled_from(["10.0.0.0/8", "2001:db8::/32", "10.0.0.1/8", "x"]), max_size=2),
        "originateTLS": st.booleans(),
        "direct": st.booleans(),
        "traceContext": st.booleans(),
        "caFile": st.sampled_from(["/ca.pem", "ca.pem", ""]),
        "methods": st.lists(st.sampled_from(["GET", "M-SEARCH", "get"]), max_size=2),
        "paths": st.lists(st.sampled_from(["/", "/v1/*", "/a*b", "v1", "/a?b"]), max_size=2),
        "more": st.just(1),
    },
)
"""Mostly wrong."""
HTTP_PORTS = st.lists(st.sampled_from(["80/HTTP", "81/HTTP2", "82/GRPC"]), min_size=1, unique=True)
TCP_PORTS = st.lists(st.sampled_from(["443/TCP", "1/TCP", "65535/TCP"]), min_size=1, unique=True)
NAMED = st.fixed_dictionaries(
    {},
    optional={
        "originateTLS": st.booleans(),
        "direct": st.just(value=False),
        "traceContext": st.booleans(),
        "methods": st.lists(st.sampled_from(["GET", "M-SEARCH"]), min_size=1),
        "paths": st.lists(st.sampled_from(["/", "/v1/*", "/*"]), min_size=1),
    },
)
GOOD = st.builds(lambda ports, more: to("*.A.example", *ports, **more), HTTP_PORTS, NAMED) | st.builds(
    lambda ports, direct: to("2001:db8::/32", *ports, direct=direct), TCP_PORTS, st.booleans()
)
RULE = st.builds(
    lambda entries, spec: exitway(*entries, **spec),
    st.lists(GOOD, max_size=3) | st.lists(ENTRY | GOOD, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "action": st.sampled_from(["ALLOW", "DENY", "allow"]),
            "expires": st.sampled_from(["2027-01-31T00:00:00Z", "soon"]),
            "workloadSelector": st.sampled_from([{}, {"matchLabels": {"app": "a"}}, {"matchLabels": {"app": 1}}]),
        },
    ),
)


def test_no_rule_that_the_reader_takes_is_refused_by_the_schema(defined):
    taken = refused = 0
    with asyncio.Runner() as runner:
        kube = connected()

        @settings(max_examples=400, database=None, deadline=None, derandomize=True)
        @given(RULE)
        def judge(wire: Wire) -> None:
            nonlocal taken, refused
            said = runner.run(refusal(kube, defined.name, wire))
            refused += bool(said)
            if not problems(wire):
                taken += 1
                assert not said, wire

        judge()
        runner.run(kube.close())
    assert min(taken, refused) >= 30, (taken, refused)


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (istio("a.example"), "spec.ports"),
        ({**istio("a.example", "80/http"), "spec": {}}, "spec.destination: Required value"),
        (istio("a.example", "0/http"), "should be greater than or equal to 1"),
        (istio("a.example", "80/udp"), "spec.ports[0].protocol"),
        (istio("a.example", "80/http", "80/tcp"), "Duplicate value"),
        (istio("10.0.0.0/8", "80/http"), "only the protocols mongo and tcp can be defined for a CIDR block"),
        (istio("a.example", "80/http", use_egress_proxy=True), "Unsupported value: true"),
        *((istio(name, "80/http"), "spec.destination.service") for name in INVALID_DOMAINS if name != "10.0.0.0/8/8"),
        (exitway(), "spec.to"),
        (exitway(to("a.example", "65536/HTTP")), "should be less than or equal to 65535"),
        (exitway(to("a.example", "80/HTTP", "80/TLS")), "Duplicate value"),
        (exitway(to("a.example", "80/HTTP", cidrs=["10.0.0.0/8"])), "must have either hosts or cidrs"),
        (exitway(to("10.0.0.0/8", "80/HTTP")), "cidrs can only be allowed for TCP"),
        (exitway(to("a.example", "80/TLS", paths=["/"])), "methods and paths need HTTP, HTTP2 or GRPC"),
        (exitway(to("a.example", "80/TLS", originateTLS=True)), "originateTLS needs HTTP, HTTP2 or GRPC"),
        (exitway(to("a.example", "80/HTTP", caFile="/ca.pem")), "caFile means nothing without originateTLS: true"),
        (exitway(to("a.example", "80/HTTP", direct=True, methods=["GET"])), "what is direct does not come to the proxy"),
        (exitway(to("a.example", "80/HTTP", direct=True), action="DENY"), "direct means nothing where nothing is let out"),
        (exitway(to("a.example", "80/TLS", traceContext=True)), "traceContext needs HTTP, HTTP2 or GRPC"),
        (exitway(to("a.example", "80/HTTP", direct=True, traceContext=True)), "what is direct does not come to the proxy"),
        (exitway(to("a.example", "80/HTTP", traceContext=True), action="DENY"), "traceContext means nothing where nothing is let out"),
        (exitway(to("a.example", "80/HTTP"), action="allow"), "Unsupported value"),
        (exitway(to("a.example", "80/HTTP"), expires="soon"), "spec.expires"),
        (exitway(*[to("a.example", "80/HTTP")] * 501), "must have at most 500 items"),
        (exitway(to("a.example", *(f"{port}/HTTP" for port in range(1, 102)))), "must have at most 100 items"),
    ],
)  # fmt: skip
def test_the_schema_alone_refuses(defined, wire, said):
    assert problems(wire)
    (told,) = judged(defined, wire)
    assert said in told


def test_unknown_fields_are_not_lost(defined):
    """The API server would drop them, and a rule with `method` for `methods` would allow more than was meant."""
    wire = exitway({**to("a.example", "80/HTTP"), "method": ["GET"]}, expire="soon")
    wire |= {"apiVersion": f"{COPIES['exitway.dev']}/v1", "metadata": {"name": "kept"}}
    group = COPIES["exitway.dev"]
    defined.apply(wire)
    spec = json.loads(defined.kubectl("get", f"egressrules.{group}", "kept", "-o", "json"))["spec"]
    assert (spec["expire"], spec["to"][0]["method"]) == ("soon", ["GET"])


def test_bare_names_mean_what_the_tutorial_means(defined):
    name = f"rule-{uuid.uuid4().hex[:6]}"
    defined.apply(
        istio("a.example", "80/http", name=name, namespace=defined.name),
        exitway(to("b.example", "443/TLS"), name=name, namespace=defined.name),
    )
    header, row = defined.kubectl("get", "egressrules").splitlines()
    assert header.split() == ["NAME", "DESTINATION", "PORTS", "ACCEPTED", "PROGRAMMED", "AGE"]
    assert row.split()[:2] == [name, "a.example"]
    assert defined.kubectl("get", "iegr", "-o", "name").strip() == f"egressrule.config.istio.io/{name}"
    assert defined.kubectl("get", "egr", "-o", "name").strip() == f"egressrule.exitway.dev/{name}"
    assert len(defined.kubectl("get", "exitway", "-o", "name").split()) == 2
    assert "The port that programs dial." in kubectl("explain", "egressrules.exitway.dev.spec.to.ports.number")


def test_a_status_is_a_thing_of_its_own(defined):
    defined.apply(exitway(to("a.example", "443/TLS"), name="told", namespace=defined.name))
    path = f"/apis/exitway.dev/v1/namespaces/{defined.name}/egressrules/told/status"

    async def told() -> Wire:
        async with connected() as kube:
            for replica in ("a", "b"):
                status = {
                    "replicas": [
                        {"name": replica, "observedGeneration": 1, "proxies": 2, "acknowledged": 1, "errors": ["no"]}
                    ]
                }
                more = {"destinations": "a.example", "ports": "443/TLS"}
                body = {
                    "apiVersion": "exitway.dev/v1",
                    "kind": "EgressRule",
                    "metadata": {"name": "told"},
                    "status": status | more,
                }
                answer: Wire = await kube.apply(path, body, manager=replica)
            return answer

    wire = asyncio.run(told())
    assert {"a", "b"} <= {one["name"] for one in wire["status"]["replicas"]}
    assert wire["metadata"]["generation"] == 1
    assert "a.example" in defined.kubectl("get", "egr", "told")
