"""Bodies that were written to keep a webhook at work: everybody in a cluster reaches it, and it has other things to do."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from exitway.admission import pods
from exitway.admission.review import request_of, review_of
from exitway.admission.rules import reviewed
from exitway.api.body import parse_json
from exitway.api.status import Refusal
from exitway.names.cluster import PLACEMENT, UNSAFE
from exitway.pods.inject import inject
from exitway.pods.installation import Installation
from exitway.resources.problem import MAX_PROBLEMS
from exitway.resources.registry import Registry
from tests.resources.wire import exitway, istio, to

INSTALLATION = Installation("exitway:1", ("10.0.0.1",), "exitway", "PEM", ("10.0.0.53",), ("10.0.0.0/8",))
SIDECAR = {PLACEMENT: "sidecar"}
BYTES = 1_000_000
AT_MOST_SECONDS = 20.0
"""Of the processor, not of the clock: some ten times what any of these takes, and a hundredth of what it took to compare all with all."""


@contextmanager
def bounded() -> Iterator[None]:
    def exceeded(*_: object) -> None:
        raise AssertionError("it takes too long")

    before = signal.signal(signal.SIGVTALRM, exceeded)
    signal.setitimer(signal.ITIMER_VIRTUAL, AT_MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def body(wire: Any, resource: str = "egressrules") -> bytes:
    request = {"uid": "1", "operation": "CREATE", "namespace": "default", "resource": {"resource": resource}}
    return json.dumps({"kind": "AdmissionReview", "request": {**request, "object": wire}}).encode()


def refused(path: str, content: bytes) -> str:
    """What is said to a body, by the way that it takes in :mod:`exitway.admission.app`; nothing: yes."""
    try:
        request = request_of(parse_json(content))
    except Refusal as refusal:
        return refusal.message
    decide = {"/inject": pods.injected, "/held": pods.held}.get(path)
    answer = decide(request, SIDECAR, INSTALLATION) if decide else reviewed(request, Registry())
    json.dumps(review_of(request, answer))
    return answer.refusal.message if answer.refusal else ""


def test_names_that_come_twice_are_found_in_any_number_of_them():
    content = b"{" + b", ".join(b'"%d": 1' % index for index in [*range(BYTES // 12), 0]) + b"}"
    with bounded():
        assert "duplicate key '0'" in refused("/validate", content)


def test_a_pod_is_compared_with_what_was_made_of_it_however_long_its_lists_are():
    for drop in ([f"C{index}" for index in range(BYTES // 10)], [[index] for index in range(BYTES // 10)]):
        security = {"capabilities": {"drop": drop}}
        pod = {"metadata": {}, "spec": {"containers": [{"name": "app", "securityContext": security}]}}
        with bounded():
            assert not refused("/held", body(inject(pod, SIDECAR, INSTALLATION).pod, "pods"))
            assert "EXW1126" in refused("/held", body(pod, "pods"))


VERIFIED = {"originateTLS": True}
MANY = BYTES // 20
RULES = {
    "many names, many ports": exitway(
        to("a.example", *(f"{port}/HTTP" for port in range(1, 101)), **VERIFIED)
        | {"hosts": [f"a{index}.example" for index in range(MANY)]}
    ),
    "many wildcards": exitway(
        to("a.example", "80/HTTP", **VERIFIED) | {"hosts": [f"*.a{index}.example" for index in range(MANY)]}
    ),
    "one name, many ports, many times": exitway(
        *(
            to("a.example", *(f"{port}/HTTP" for port in range(1, 101)), **VERIFIED, caFile=f"/{index}")
            for index in range(250)
        )
    ),
    "many names, many times": exitway(
        *(
            to("a.example", f"{index}/HTTP", **VERIFIED, caFile=f"/{index}")
            | {"hosts": [f"a{name}.example" for name in range(MANY // 500)]}
            for index in range(1, 500)
        )
    ),
    "one file by many names": exitway(
        *(
            to("a.example", "80/HTTP", **VERIFIED, caFile=f"/etc/ssl/certs{'/' * index}/ca-certificates.crt")
            for index in range(1, 500)
        )
    ),
    "nothing, many times": exitway(*[{}] * (BYTES // 4)),
    "an unknown protocol, many times": exitway(
        {
            "hosts": ["a.example"],
            "ports": [{"number": 1, "protocol": "HTTPX"}] * MANY,
        }
    ),
    "a long name, with many ports of v1alpha2": istio(f"a/{'b' * (BYTES // 2)}", *["80/http"] * 500),
    "many ports of v1alpha2": istio("a.example", *(f"{port}/https" for port in range(1, MANY))),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_is_judged_however_much_stands_in_it(rule):
    with bounded():
        assert len(refused("/validate", body(rule))) < 100_000


CAPABILITIES = {"capabilities": {"add": [f"C{index}" for index in range(MANY)]}}
PODS = {
    "unknown words": {"metadata": {"annotations": {UNSAFE: ",".join(CAPABILITIES["capabilities"]["add"])}}, "spec": {}},
    "capabilities": {"spec": {"containers": [{"name": "app", "securityContext": CAPABILITIES}]}},
}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_of_very_much_that_stands_against_a_pod_the_first_is_said(pod):
    assert 0 < refused("/inject", body(pod, "pods")).count("EXW") <= MAX_PROBLEMS
