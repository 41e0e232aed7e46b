"""What is in force is analyzed with all that the machine knows of it; the world is asked only if somebody says so."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.lab.zone import UNTRUSTED
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key
from tests.features.conftest import eventually
from tests.rules import rule

pytestmark = pytest.mark.lab


def create(server, *wires):
    server("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(wires)}))


def analyze(server, *options):
    """The codes, each with what it is about, and the whole."""
    found = json.loads(server("analyze", "-o", "json", *options, "--fail-on", "never"))
    return [(one["code"], one["about"].rpartition("/")[2]) for one in found], found


def test_what_is_in_force_is_analyzed_and_nobody_is_asked(server, outside):
    selecting = rule("elsewhere", "b.lab.test")
    selecting["spec"]["workloadSelector"] = {"matchLabels": {"app": "elsewhere"}}
    create(
        server,
        rule("wide", "*.lab.test"),
        rule("narrow", "a.lab.test"),
        selecting,
        rule("buckets", "*.s3.amazonaws.com"),
    )
    expected = [("EXW2012", "buckets"), ("EXW2002", "elsewhere"), ("EXW2002", "narrow")]
    assert analyze(server)[0] == expected
    with server.start("run", "-n", "default", "-l", "app=here", "--", "sleep", "600") as run:
        eventually(lambda: server.status()["workloads"])
        assert analyze(server)[0] == [*expected[:2], ("EXW2033", "elsewhere"), expected[2]]
        run.kill()
    assert server.result("analyze", "--fail-on", "warning").returncode == 1
    assert server.result("analyze", "-n", "nobody", "--fail-on", "info").returncode == 0
    assert outside.queries() == []
    assert outside.connections() == []


def test_rules_that_nothing_uses_are_known_from_what_was_seen(exitway):
    now, days = datetime.now(UTC), {"old": 40, "new": 1}
    exitway.settings.state_dir.mkdir(parents=True)
    with closing(History(exitway.settings.flow_db)) as history:
        for name, ago in days.items():
            used = Decision(Verdict.ALLOW, Reason.RULE, Key("egress-rule", "default", name, "exitway.dev"))
            time = (now - timedelta(days=ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            history.write([Flow(time, "default/w", f"{name}.lab.test", "198.18.0.9", 443, "TLS", used)])
    exitway("up")
    create(exitway, *(rule(name, f"{name}.lab.test") for name in (*days, "never")))
    assert analyze(exitway)[0] == []  # they have only just been made
    exitway("down")
    with closing(sqlite3.connect(exitway.settings.store)) as store, store:
        born = (now - timedelta(days=50)).isoformat(timespec="seconds").replace("+00:00", "Z")
        store.execute("UPDATE resource SET wire = json_set(wire, '$.metadata.creationTimestamp', ?)", (born,))
    exitway("up")
    found, findings = analyze(exitway)
    assert found == [("EXW2032", "never"), ("EXW2032", "old")]
    assert "nothing has used it for 30 days, last at" in findings[1]["message"]
    assert analyze(exitway, "--unused-for", "60d")[0] == []


def test_dns_says_which_names_lead_nowhere(server, outside):
    create(
        server,
        rule("there", "a.lab.test"),
        rule("gone", "gone.lab.test"),
        rule("inside", "loopback.inside.lab.test"),
        rule("pattern", "*.wild.example"),
    )
    found, findings = analyze(server, "--resolve")
    assert found == [("EXW2042", "gone"), ("EXW2043", "inside")]
    assert "gone.lab.test does not exist" in findings[0]["message"]
    assert outside.connections() == []


def test_servers_say_whether_they_speak_tls(server, outside):
    create(
        server, *(rule(name.partition(".")[0], name, port=80, protocol="HTTP") for name in ("httpbin.org", UNTRUSTED))
    )
    assert analyze(server, "--resolve")[0] == []
    assert outside.connections() == []
    assert analyze(server, "--probe")[0] == [("EXW2044", "httpbin")]
    assert outside.requests() == []
