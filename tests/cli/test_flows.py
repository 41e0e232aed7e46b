"""``flows`` and ``top``: out of the history alone, for no server has to run."""

import json
import os
import pty
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest

from exitway.cli.traffic_table import lines
from exitway.flows.flow import Flow, Repeats
from exitway.flows.history import Destination, History
from exitway.flows.log import now
from exitway.names.amount import duration, size
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key

RULE = Key("egress-rule", "shop", "httpbin")
ALLOWED, DENIED = Decision(Verdict.ALLOW, Reason.RULE, RULE), Decision(Verdict.DENY, Reason.PORT, RULE)
USED = Flow(
    "2027-01-01T00:00:00.000Z", "shop/w", "httpbin.org", "240.240.0.2", 80, "HTTP/1.1", ALLOWED,
    method="GET", path="/get", status=200, sent=67, received=1500, duration=1500, upstream="198.18.1.1:80", process="7/curl",
)  # fmt: skip
FLOWS = [
    USED,
    replace(USED, name="", address="2001:db8::1", port=443, protocol="TLS", decision=DENIED, method="", path="", status=0),
    replace(USED, workload="other/w", name="x\x1b[31m\u202e.test", path="/\x1b]0;title\x07", decision=DENIED, detail="a\nb", process="9/\x1b[2J"),
    replace(USED, decision=DENIED, audit=True, time="2027-01-01T00:00:09.000Z"),
    replace(USED, protocol="udp", address="198.18.0.9", name="", port=0, method="", decision=Decision(Verdict.ALLOW, Reason.RULE, RULE, direct=True)),
]  # fmt: skip


@pytest.fixture
def recorded(settings, monkeypatch):
    monkeypatch.setenv("EXITWAY_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with closing(History(settings.flow_db)) as history:
        history.write(FLOWS)
        history.write([], [Repeats(1, 41, 0, 10**6, "2027-01-01T00:01:00.000Z")])
        yield history


def cells(line):
    return [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_flows_are_told_in_words_people_use(run, recorded):
    head, *found = map(cells, run("flows").stdout.splitlines())
    assert head == ["ID", "TIME", "WORKLOAD", "VERDICT", "DESTINATION", "REQUEST", "WHY", "COUNT", "SENT", "RECEIVED"]
    assert [line[3:8] for line in found] == [
        ["allow", "httpbin.org:80", "GET /get 200", "egress-rule/shop/httpbin", "42"],
        ["deny", "[2001:db8::1]:443", "TLS", "port (egress-rule/shop/httpbin)", "1"],
        ["deny", r"x\x1b[31m\u202e.test:80", r"GET /\x1b]0;title\x07 200", "port (egress-rule/shop/httpbin)", "1"],
        ["audit", "httpbin.org:80", "GET /get 200", "port (egress-rule/shop/httpbin)", "1"],
        ["allow", "198.18.0.9", "udp", "egress-rule/shop/httpbin (direct)", "1"],
    ]
    assert found[0][-2:] == ["67 B", "1.0 MB"]
    wide = run("flows -o wide --limit 5").stdout
    assert cells(wide.splitlines()[1])[-6:] == [
        "240.240.0.2",
        "198.18.1.1:80",
        "7/curl",
        "1.5 s",
        "2027-01-01 00:01:00",
        "-",
    ]


@pytest.mark.parametrize("line", ["flows", "flows -o wide", "flows -o json", "top --once --interval 0.5 --since 1d"])
def test_what_a_program_has_written_does_not_reach_the_terminal(run, recorded, line):
    recorded.write([replace(FLOWS[2], time=now())])
    result = run(line)
    assert "title" in result.stdout or "x\\" in result.stdout
    assert result.stdout.replace("\n", "").isprintable(), result.stdout


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("-n shop", [1, 2, 4, 5]),
        ("--workload other/w", [3]),
        ("--verdict deny", [2, 3, 4]),
        ("--host httpbin.*", [1, 4]),
        ("--host 2001:db8::1", [2]),
        ("--since 2027-01-01T00:00:05Z", [1, 4]),
        ("--limit 2", [4, 5]),
        ("--verdict deny --limit 1 -n shop", [4]),
        ("--limit 0", [1, 2, 3, 4, 5]),
        ("--limit 99999999999999999999999", [1, 2, 3, 4, 5]),
        ("--host nowhere", []),
    ],
)
def test_some_are_chosen(run, recorded, options, ids):
    result = run(f"flows -o json {options}")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ids
    assert result.stderr == ("" if ids else "No flows found.\n")


@pytest.mark.parametrize(
    ("line", "code", "stderr"),
    [
        ("flows", 1, "EXW1601"),
        ("top --once", 1, "EXW1601"),
        ("flows -o yaml", 2, "'yaml' is not one of"),
        ("flows --since yesterday", 2, "neither a time such as"),
        ("flows --since 0001-01-01T00:00:00+14:00", 2, "neither a time such as"),
        ("flows --since 999999w", 1, "EXW1601"),
        ("flows --verdict maybe", 2, "not one of"),
        ("flows --limit -1", 2, "not in the range"),
        ("top --interval 0", 2, "not in the range"),
    ],
)
def test_what_cannot_be_answered_is_said(run, settings, monkeypatch, line, code, stderr):
    monkeypatch.setenv("EXITWAY_STATE_DIR", str(settings.state_dir))
    result = run(line)
    assert (result.exit_code, stderr in result.stderr) == (code, True), result.stderr


SEEN = Destination(
    "shop/w",
    "a.test",
    443,
    "TLS",
    Verdict.ALLOW,
    Reason.RULE,
    "egress-rule/shop/a",
    audit=False,
    count=10,
    sent=1000,
    received=5000,
    last="",
)
MORE = replace(SEEN, count=30, sent=3000, received=4_005_000)
REFUSED = replace(
    SEEN, verdict=Verdict.DENY, reason=Reason.NO_RULE, rule="", name="b.test", count=4, sent=0, received=0
)


def test_top_shows_the_busiest_first_and_how_fast_it_grows():
    idle = replace(SEEN, name="idle.test")
    summary, _, head, *rows = lines([idle, REFUSED, MORE], [idle, SEEN], 2.0)
    assert "3 destinations   12.0/s, 1.0 kB/s out, 2.0 MB/s in   4 denied" in summary
    assert cells(head)[4:7] == ["NOW", "SENT", "RECEIVED"]
    assert [cells(row)[2] for row in rows] == ["a.test:443", "b.test:443", "idle.test:443"]
    assert cells(rows[0])[4:] == ["10.0/s", "1.0 kB/s", "2.0 MB/s", "30", "3.0 kB", "4.0 MB", "egress-rule/shop/a"]
    assert "\x1b[31m" in rows[1]  # denied: red
    assert lines([], [], 1.0)[0].endswith("0 destinations   0.0/s, 0 B/s out, 0 B/s in   0 denied")


def test_top_has_a_terminal_for_itself_and_gives_it_back(recorded):
    recorded.write([replace(USED, time=now())])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "exitway", "top", "--interval", "0.5"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as top:
        shown = b""
        while b"httpbin.org:80" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"q")
        assert top.wait(10) == 0
    os.set_blocking(ours, False)
    shown += os.read(ours, 1 << 16)
    assert shown.startswith(b"\x1b[?1049h\x1b[?25l")
    assert shown.endswith(b"\x1b[?25h\x1b[?1049l")
    os.close(theirs)
    os.close(ours)


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "0 B"), (999, "999 B"), (999.6, "1.0 kB"), (1000, "1.0 kB"), (9949, "9.9 kB"), (9950, "10 kB"), (999_499, "999 kB"), (10**6, "1.0 MB"), (10**18, "1000 PB")],
)  # fmt: skip
def test_bytes_are_said_in_units(amount, said):
    assert size(amount) == said


@pytest.mark.parametrize(
    ("milliseconds", "said"), [(0, "0 ms"), (999, "999 ms"), (1500, "1.5 s"), (61_000, "1 min"), (7_200_000, "2 h")]
)
def test_durations_are_said_in_units(milliseconds, said):
    assert duration(milliseconds) == said


def test_numbers_that_are_none_are_wrong_usage(run, recorded):
    for words in ("top --once --interval nan", "explain --flow 0"):
        assert run(words).exit_code == 2
    assert "EXW1711" in run("explain --flow 99999999999999999999").stderr
