"""What must hold of each pure reader for any bytes. `guided.py` and the property tests give them theirs."""

import json
from datetime import UTC, datetime
from itertools import product

from exitway.capture.nflog import Begun, Opened, Refused, reports
from exitway.dns.answer import answer
from exitway.dns.synthetic import SyntheticAddresses
from exitway.envoy.access_log import FIELDS
from exitway.explain.suites.file import read_suite
from exitway.flows.access_log import AccessLogReader
from exitway.flows.entry import Observed
from exitway.names.question import parse
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.resources import kinds
from exitway.resources.document import read_documents
from exitway.resources.intent import Action
from exitway.resources.problem import MAX_PROBLEMS, Problems

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def documents(text):
    """Objects or problems, each of them shown in place. What is taken for an object is what a reader of JSON takes it for."""
    try:
        read = read_documents(text, "fuzz.yaml")
    except Problems as found:
        assert 0 < len(found.problems) <= MAX_PROBLEMS + 1
        assert all(str(problem) for problem in found.problems)
        return
    for document in read:
        resource(document.wire)
        suite(document)
        document.place("spec.to[0].ports[0].number")
    try:
        same = json.loads(text)
    except ValueError:
        return
    if isinstance(same, dict) and "items" not in same:
        assert [document.wire for document in read] == [same]


def suite(document):
    """Tests of rules, each in its place; or problems."""
    try:
        read = read_suite(document, "default", {})
    except Problems as found:
        assert all(problem.code and problem.message and problem.place.line for problem in found.problems)
        return
    assert read.cases
    assert all(str(case) and case.who and case.place.line for case in read.cases)


def resource(wire):
    """A resource that has all that was written, and the same when it is read again; or problems."""
    try:
        read = kinds.read(wire)
    except Problems as found:
        assert found.problems
        assert all(problem.code and problem.message for problem in found.problems)
        return
    assert {**read.wire, "metadata": None} == {**wire, "metadata": None}
    assert wire["metadata"].items() <= read.metadata.items()
    assert kinds.read(json.loads(json.dumps(read.wire))) == read
    targets = [target for intent in read.intents for target in intent.to]
    assert all(target.hosts or target.cidrs for target in targets)
    policy = compile_policy(read.intents, Workload(read.key.namespace, "w", {}), NOW)
    if any(intent.action is Action.DENY for intent in read.intents):
        assert all(
            one.verdict == "deny" for rights in policy.hosts.values() for several in rights.values() for one in several
        )


def dns_message(query):
    """An answer to the query, or silence; never to another one, and never longer than a datagram may be."""
    response = answer(query, SyntheticAddresses())
    if response is not None:
        assert response[:2] == query[:2]
        assert response[2] & 0x80
        assert len(response) <= 1232 or len(response) <= 2 * len(query) + 200


POLICY = compile_policy((), Workload("shop", "w", {}), NOW)
THEIRS = ("authority", "decision", "details", "failure", "flags", "sni", "method", "path")
"""Of what Envoy writes, what a client or a site has a hand in."""


def log_strings(data):
    """Lines as Envoy writes them, with anybody's bytes in their strings: flows of the program whose they are, and nothing runs after its end."""
    parts = dict(zip(THEIRS, [part.decode("latin-1") for part in data.split(b"\xff")], strict=False))
    reader = AccessLogReader(
        lambda identity: Observed("shop/w", POLICY, lambda _: None, lambda *_: None) if identity == "w" else None
    )
    for chain, to in product(("http", "tls", "tcp", "deny"), ("198.18.1.1:80", None)):
        begun: list[bytes] = []
        lines = [log_line(access, chain, parts | {"to": to}) for access in ("DownstreamPeriodic", "DownstreamEnd")]
        assert all(flow.workload == "shop/w" for flow in reader.flows(lines, begun.append))
        assert all(
            flow is None or flow.workload == "shop/w" for flow in (reader.revoked(line, "now") for line in begun)
        )


def log_line(access, chain, parts):
    """Keys sorted, without a space, one object in it: ``envoy/access_log.py``."""
    fixed = {
        "access": access,
        "chain": chain,
        "destination": "240.240.0.2:80",
        "protocol": "HTTP/1.1",
        "status": 404,
        "workload": "w",
        "at": "2026-11-22T00:00:00.000Z",
    }
    fixed |= {
        "connection": 7,
        "from": "198.18.0.1:4000",
        "measured": "5 100 200",
        "peer": "10.0.0.1:5",
    }
    values = dict.fromkeys(THEIRS) | parts | fixed
    line = {
        key: {name: values[name] for name in field} if isinstance(field, dict) else values[key]
        for key, field in FIELDS.items()
    }
    return json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def packets(datagram):
    """Some packets, or none."""
    assert all(isinstance(one, Refused | Opened | Begun) for one in reports(datagram))


def question(text):
    """A question of ours, or none."""
    parsed = parse(text.decode("latin-1"))
    assert parsed is None or (parsed.port >= 0 and parsed.workload)


READERS = {
    "documents": documents,
    "dns_message": dns_message,
    "log_strings": log_strings,
    "packets": packets,
    "question": question,
}
