"""What runs is known again after a restart, also when its beginning has been rotated away."""

import asyncio
import json
import socket

from exitway.server import supervise
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
