"""Bodies that were written to keep a webhook at work: everybody in a cluster reaches it, and it has other things to do."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from exitway.admission import pods
from exitway.admission.review import Answer, request_of, review_of
from exitway.admission.rules import reviewed
from exitway.api.body import parse_json
from exitway.api.status import Refusal
from exitway.names.cluster import PLACEMENT
from exitway.pods.inject import inject
from exitway.pods.installation import Installation
from exitway.resources.registry import Registry

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


def answered(path: str, content: bytes) -> Answer | Refusal:
    """What becomes of a body, by the way that it takes in :mod:`exitway.admission.app`."""
    try:
        request = request_of(parse_json(content))
    except Refusal as refusal:
        return refusal
    decide = {"/inject": pods.injected, "/held": pods.held}.get(path)
    answer = decide(request, SIDECAR, INSTALLATION) if decide else reviewed(request, Registry())
    json.dumps(review_of(request, answer))
    return answer


def test_names_that_come_twice_are_found_in_any_number_of_them():
    content = b"{" + b", ".join(b'"%d": 1' % index for index in [*range(BYTES // 12), 0]) + b"}"
    with bounded():
        assert "duplicate key '0'" in answered("/validate", content).message


def test_a_pod_is_compared_with_what_was_made_of_it_however_long_its_lists_are():
    for drop in ([f"C{index}" for index in range(BYTES // 10)], [[index] for index in range(BYTES // 10)]):
        security = {"capabilities": {"drop": drop}}
        pod = {"metadata": {}, "spec": {"containers": [{"name": "app", "securityContext": security}]}}
        with bounded():
            assert answered("/held", body(inject(pod, SIDECAR, INSTALLATION).pod, "pods")).refusal is None
            assert answered("/held", body(pod, "pods")).refusal
