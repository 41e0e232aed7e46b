"""``exitway attack`` against an installation that holds, and against one whose boundary somebody has broken."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.lab
BREAK = """
ip link add broken0 type veth peer name out0 netns {pid}
ip addr add 198.18.200.1/30 dev broken0
ip link set broken0 up
nsenter -n -t {pid} nft flush ruleset
nsenter -n -t {pid} ip route del local 0.0.0.0/0 dev lo
nsenter -n -t {pid} ip addr add 198.18.200.2/30 dev out0
nsenter -n -t {pid} ip link set out0 up
nsenter -n -t {pid} ip route add default via 198.18.200.1
"""


def test_it_reports_every_technique_and_that_nothing_got_out(exitway, outside):
    report = json.loads(exitway("attack", "-o", "json", timeout=200))
    assert len(report["results"]) == 82
    assert report["counts"]["stopped"] + report["counts"]["documented"] + report["counts"]["not tried"] == 82
    assert report["counts"]["stopped"] >= 69
    assert "all packets" in report["witness"]
    assert {fact["address"] for fact in outside.packets()} <= {
        "198.18.0.53",
        "198.51.100.9",
    }  # queries for what is allowed; the witness's own
    assert {fact["port"] for fact in outside.packets() if fact["address"] == "198.51.100.9"} == {9}


def test_it_reports_what_gets_out_through_a_broken_boundary(server):
    ids = ["A2", "A5", "A19", "C1", "B2"]
    attack = server.start("attack", *[word for identity in ("D9", "D9", *ids) for word in ("--id", identity)])
    assert attack.stdout.readline().startswith("D9")  # the second one takes a while
    subprocess.run(["sh", "-ec", BREAK.format(pid=server.status()["workloads"][0]["pid"])], check=True)
    said, _ = attack.communicate(timeout=100)
    assert attack.returncode == 1, said
    lines = {line.split()[0]: line.split()[1] for line in said.splitlines()}
    assert {identity: lines[identity] for identity in ids} == dict.fromkeys(ids, "leaked"), said
    assert "a packet, tcp, to 198.51.100.9 port 22" in said


def test_an_id_that_does_not_exist_is_wrong_usage(exitway):
    assert exitway.result("attack", "--id", "Z1").returncode == 2
