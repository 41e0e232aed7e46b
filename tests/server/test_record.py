"""What runs is known again after a restart, also when its beginning has been rotated away."""

import asyncio
import json
import socket
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exitway.capture.nflog import Refused
from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.server import record, supervise
from exitway.server.program import Member
from exitway.server.record import Recorder
from tests.features.conftest import eventually


def line(access, number, local="198.18.0.1:1", remote="198.18.1.1:80"):
    this = {
        "at": "2027-01-01T00:00:00.000Z",
        "connection": number,
        "from": local,
        "measured": "5 100 200",
        "method": None,
        "path": None,
        "peer": "10.0.0.1:5",
        "to": remote,
    }
    return json.dumps({"access": access, "workload": "w1", "z": this}, separators=(",", ":")) + "\n"


def said(end):
    return f"{end[0]}:{end[1]}"


async def followed(recorder, admin_socket, until):
    task = asyncio.create_task(recorder.follow(admin_socket, lambda _: None))
    await asyncio.to_thread(eventually, until)
    task.cancel()


def running(recorder):
    return [json.loads(one)["z"]["connection"] for one in recorder.reader.live.lines()]


def test_what_runs_is_known_again_after_rotation_and_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "LARGEST_ACCESS_LOG", 1)
    log, flows = tmp_path / "access.log", tmp_path / "flows.db"
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as open_:
        there = said(open_.getsockname()), said(open_.getpeername())
        log.write_text(line("TcpUpstreamConnected", 1, *there) + line("TcpUpstreamConnected", 2))
        Recorder(log, flows).catch_up()
        recorder = Recorder(log, flows)
        assert running(recorder) == [1]  # the other is not there: the proxy was killed before it could say so
        with log.open("a") as file:
            file.write(line("TcpUpstreamConnected", 3) + line("TcpConnectionEnd", 3))
        asyncio.run(
            followed(recorder, tmp_path / "admin.sock", lambda: not log.exists() and not supervise.aside(log).exists())
        )
        assert running(recorder) == running(Recorder(log, flows)) == [1]
        log.write_text(line("TcpConnectionEnd", 1, *there))
        assert running(Recorder(log, flows)) == []


POLICY = compile_policy([], Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC))
MEMBER = Member("w1", Workload("shop", "w"), "/proc/self/ns/net")


def denial(number):
    fields = {
        "access": "DownstreamEnd", "authority": f"n{number}.test", "chain": "http", "decision": "deny; reason=no-rule",
        "destination": "240.240.0.2:80", "details": "direct_response", "failure": None, "flags": "-", "protocol": "HTTP/1.1", "sni": None,
        "status": 404, "workload": "w1",
    }  # fmt: skip
    this = {
        "at": "2027-01-01T00:00:00.000Z", "connection": number, "from": None, "measured": "1 2 3", "method": "GET", "path": "/",
        "peer": "10.0.0.1:5", "to": None,
    }  # fmt: skip
    return json.dumps(fields | {"z": this}, separators=(",", ":")).encode() + b"\n"


def recorder_of(path):
    recorder = Recorder(path / "access.log", path / "flows.db")
    recorder.observe(MEMBER, POLICY, lambda _: None, lambda *_: None, lambda *_: "")
    return recorder


def names(path):
    with closing(History(path / "flows.db", read_only=True)) as history:
        return [flow.name for flow in history.select()]


def test_each_line_is_told_once_though_servers_are_killed_and_the_log_is_put_aside(tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(denial(0) + denial(1)[:50])
    recorder_of(tmp_path).catch_up()
    with log.open("ab") as file:
        file.write(denial(1)[50:] + denial(2))
    log.rename(supervise.aside(log))  # and the server is killed
    log.write_bytes(denial(3))
    recorder_of(tmp_path).catch_up()
    recorder_of(tmp_path).catch_up()
    supervise.aside(log).unlink()
    log.write_bytes(denial(4))  # another Envoy's
    recorder_of(tmp_path).catch_up()
    assert names(tmp_path) == [f"n{number}.test" for number in range(5)]


def test_what_cannot_be_written_waits_and_uses_go_before_denials(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "MOST_PENDING", 3)
    recorder = recorder_of(tmp_path)
    recorder.catch_up()
    recorder._history._connection.execute("PRAGMA max_page_count = 1")  # the disk is full
    used = Flow("2027-01-01T00:00:00.000Z", "shop/w", "used.test", "", 80, "TLS", Decision(Verdict.ALLOW, Reason.RULE))
    recorder.tell([replace(used, path="/" * 10_000)] * 9)
    (tmp_path / "access.log").write_bytes(denial(0) + denial(1))
    recorder.catch_up()
    assert "full" in recorder.problem
    assert (recorder.lost, names(tmp_path)) == (8, [])
    recorder._history._connection.execute("PRAGMA max_page_count = 1000000")
    recorder.catch_up()
    assert (recorder.problem, names(tmp_path)) == ("", ["used.test", "n0.test", "n1.test"])


BROKEN = {
    b"": 0,
    b"no JSON": 1,
    b"[]": 1,
    b'{"workload":"w1"}': 1,
    denial(1)[:-1].replace(b'"destination":"240.240.0.2:80",', b""): 1,
    denial(1)[:-1].replace(b'"status":404', b'"status":{"code":404}'): 1,
    denial(1)[:-1].replace(b'"status":404', b'"status":%d' % 10**30): 1,
    denial(1)[:-1].replace(b"240.240.0.2:80", b"240.240.0.2:80000"): 1,
    denial(1)[:-1].replace(b"2027-01-01T", b"2027-01-01\xff"): 1,
    denial(1)[:90] + denial(0)[:-1]: 1,
    denial(1)[90:-1]: 1,
    bytes(4096): 1,
    b"[" * 100_000: 1,
    denial(1)[:-1].replace(b"n1.test", b"n" * 2**20): 5,
}
"""What a disk that was full, a proxy that was killed or anything else may leave; and how many lines it costs."""


@pytest.mark.parametrize(("broken", "cost"), BROKEN.items(), ids=range(len(BROKEN)))
def test_what_cannot_be_read_is_counted_said_once_and_costs_no_other_line(tmp_path, caplog, broken, cost):
    (tmp_path / "access.log").write_bytes(denial(0) + broken + b"\n" + denial(2) + broken + b"\n" + denial(3))
    recorder = recorder_of(tmp_path)
    recorder.catch_up()
    assert names(tmp_path) == ["n0.test", "n2.test", "n3.test"]
    assert recorder.lost == 2 * cost
    assert len(caplog.messages) == (cost > 0)
    assert recorder.problem == ""


def test_a_flood_that_is_faster_than_we_are_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "MUCH_AT_LAST", 1 << 20)
    (tmp_path / "access.log").write_bytes(b"".join(map(denial, range(20_000))))
    recorder_of(tmp_path).catch_up()
    with closing(History(tmp_path / "flows.db", read_only=True)) as history:
        flows = history.select()
        assert 1000 < len(flows) < 8000
        assert sum(flow.count for flow in flows) == 20_000


def test_packets_that_are_alike_are_counted(tmp_path):
    recorder = recorder_of(tmp_path)
    for number in range(30):
        recorder.refused(MEMBER, "dns.test", Refused("udp", "198.18.0.9", 53 + number % 2))
    recorder.catch_up()
    with closing(History(tmp_path / "flows.db", read_only=True)) as history:
        flows = history.select()
    assert sum(flow.count for flow in flows) == 30
    assert len(flows) <= 4  # a second may have begun meanwhile
    assert {(flow.name, flow.port, flow.protocol, flow.decision.reason) for flow in flows} == {
        ("dns.test", port, "udp", Reason.NOT_CAPTURED) for port in (53, 54)
    }
