"""Rules at the door of a cluster: refused in the words of one machine, all problems at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from exitway.resources.kinds import read
from exitway.resources.problem import Problems
from tests.cluster.cluster import Namespace, new_namespace, until, without_webhooks
from tests.resources.wire import Wire, exitway, istio, to

BAD = exitway(
    {"hosts": ["https://x.example/", "*"], "prots": [], "ports": [{"number": 0, "protocol": "HTTPS"}]},
    to("10.0.0.1/8", "80/HTTP", methods=["get"]),
    to("a.example", "80/HTTP", caFile="/nowhere.pem"),
    action="deny",
    too=1,
)
BAD_ISTIO = istio("cnn..com", "80/http", "80/udp", use_egress_proxy=True)


@pytest.fixture(scope="module")
def shop(installed: str) -> Iterator[Namespace]:
    with new_namespace({}) as made:
        yield made


def refused(namespace: Namespace, wire: Wire, *verb: str) -> list[str]:
    """What kubectl says, line by line, of a rule that is refused."""
    placed = {**wire, "metadata": {**wire["metadata"], "namespace": namespace.name}}
    said = namespace.kubectl(*(verb or ("create",)), "-f", "-", stdin=json.dumps(placed), check=False)
    assert "created" not in said
    assert "configured" not in said
    return [line.removeprefix("* ") for line in said.splitlines()]


def lines_of(wire: Wire) -> list[str]:
    """The problems of one machine, as kubectl shows those of a cluster."""
    with pytest.raises(Problems) as raised:
        read(wire)
    return [
        f"{one.field}: {one.code} {one.message}{f' ({one.hint})' if one.hint else ''}" for one in raised.value.problems
    ]


@pytest.mark.parametrize("verb", ["create", "apply"])
@pytest.mark.parametrize("wire", [BAD, BAD_ISTIO], ids=["exitway.dev", "config.istio.io"])
def test_all_problems_are_said_at_once_in_the_words_of_one_machine(shop, wire, verb):
    head, *said = refused(shop, wire, verb)
    assert head.strip() == 'The EgressRule "rule" is invalid:'
    assert said == lines_of(wire)
    assert len(said) > 3


def test_a_conflict_is_said_to_whom_makes_it_with_both_owners(shop):
    shop.apply(istio("httpbin.org", "80/http", name="first", namespace=shop.name))
    (said,) = refused(shop, istio("httpbin.org", "8080/http", name="second"))
    first, second = (f"egress-rule/{shop.name}/{name}" for name in ("first", "second"))
    assert f'EXW0401 rule "{second}" conflicts with rule "{first}" on domain httpbin.org, is rejected' in said
    (said,) = refused(shop, istio("db.example", "80/tcp", name="second"))
    assert f"EXW0402 rule {second} is rejected since it conflicts rules [{first}] on port 80" in said
    shop.kubectl("delete", "egressrules.config.istio.io", "first")
    shop.apply(istio("httpbin.org", "8080/http", name="second", namespace=shop.name))


def test_a_change_is_judged_as_a_creation_is(shop):
    shop.apply(exitway(to("a.example", "443/TLS"), name="changed", namespace=shop.name))
    for patch in (
        '{"spec":{"acton":"DENY"}}',
        '{"spec":{"to":[{"hosts":["*"],"ports":[{"number":1,"protocol":"TCP"}]}]}}',
    ):
        said = shop.kubectl("patch", "egr", "changed", "--type=merge", "-p", patch, check=False)
        assert "EXW0101" in said or "EXW0305" in said
    shop.kubectl("label", "egr", "changed", "looked=at")
    assert "EXW" in shop.kubectl(
        "patch", "egr", "changed", "--type=json", "-p", '[{"op":"remove","path":"/spec/to"}]', check=False
    )
    spec = json.loads(shop.kubectl("get", "egr", "changed", "-o", "json"))["spec"]
    assert spec == {"to": [to("a.example", "443/TLS")]}


def test_a_name_that_the_server_makes_is_no_problem(shop):
    wire = exitway(to("a.example", "443/TLS"))
    wire["metadata"] = {"generateName": "made-", "namespace": shop.name}
    assert "created" in shop.kubectl("create", "-f", "-", stdin=json.dumps(wire))


def test_a_dry_run_is_judged_and_leaves_nothing(shop):
    assert "EXW0305" in "".join(refused(shop, exitway(to("*", "443/TLS")), "create", "--dry-run=server"))
    shop.kubectl(
        "create",
        "--dry-run=server",
        "-f",
        "-",
        stdin=json.dumps(exitway(to("a.example", "443/TLS"), name="dry", namespace=shop.name)),
    )
    assert "dry" not in shop.kubectl("get", "exitway", "-o", "name").replace("dry-run", "")


def test_a_bad_rule_can_be_deleted_and_what_it_means_can_stay(shop):
    """One that came in while nobody looked is not held at the door on its way out, nor when somebody labels it."""
    with without_webhooks():
        shop.apply(exitway(to("10.0.0.1/8", "80/TCP"), name="bad", namespace=shop.name))
    bad = exitway(to("*", "443/TLS"), namespace=shop.name)
    until(
        lambda: "EXW0305" in shop.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(bad), check=False)
    )
    shop.kubectl("label", "egr", "bad", "looked=at")
    assert "EXW0307" in shop.kubectl(
        "patch", "egr", "bad", "--type=merge", "-p", '{"spec":{"action":"DENY"}}', check=False
    )
    shop.kubectl("delete", "egr", "bad")
