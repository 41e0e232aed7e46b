import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.flows.flow import Flow, Repeats
from exitway.flows.history import History
from exitway.flows.retention import prune
from exitway.names.address import bracketed
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key
from exitway.resources.problem import Problems

RULE = Key("egress-rule", "shop", "httpbin", "exitway.dev")
ALLOWED, DENIED = Decision(Verdict.ALLOW, Reason.RULE, RULE), Decision(Verdict.DENY, Reason.NO_RULE)
FLOW = Flow("2027-01-01T00:00:00.000Z", "shop/w", "httpbin.org", "240.240.0.2", 80, "HTTP/1.1", ALLOWED, id=1)
NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flows.db"


def written(path, *flows):
    history = History(path)
    history.write(flows)
    return history


TEXT, NUMBER = st.text(max_size=20), st.integers(0, 2**40)
FLOWS = st.builds(
    Flow,
    time=st.integers(0, 59).map(lambda second: f"2027-01-01T00:00:{second:02}.000Z"),
    workload=st.from_regex(r"[a-z]{1,5}/[a-z]{1,5}", fullmatch=True),
    **dict.fromkeys(("name", "asked", "protocol", "detail", "method", "path", "sni", "process"), TEXT),
    address=st.one_of(st.just(""), st.ip_addresses().map(str)),
    upstream=st.one_of(st.just(""), st.ip_addresses().map(lambda address: f"{bracketed(str(address))}:80")),
    **dict.fromkeys(("port", "status", "sent", "received", "duration"), NUMBER),
    decision=st.builds(
        Decision, st.sampled_from(Verdict), st.sampled_from(Reason), st.sampled_from([RULE, None]), st.booleans()
    ),
    audit=st.booleans(),
    labels=st.dictionaries(TEXT, TEXT, max_size=3),
)


@settings(max_examples=30)
@given(flows=st.lists(FLOWS, max_size=5))
def test_what_is_written_is_what_is_read(tmp_path_factory, flows):
    path = tmp_path_factory.mktemp("flows") / "flows.db"
    numbered = [replace(flow, id=number) for number, flow in enumerate(flows, 1)]
    with closing(written(path, *numbered)) as writer, closing(History(path, read_only=True)) as reader:
        assert reader.select() == writer.select() == numbered
        assert all(reader.get(flow.id) == flow for flow in numbered)
        assert reader.get(0) is reader.get(99) is None


def test_it_is_its_owners_alone(path):
    with closing(written(path, FLOW)):
        assert {part.stat().st_mode & 0o777 for part in path.parent.iterdir()} == {0o600}


OTHERS = [
    FLOW,
    replace(FLOW, id=2, time="2027-01-01T00:00:01.000Z", name="a.wild.test", decision=DENIED),
    replace(FLOW, id=3, time="2027-01-01T00:00:02.000Z", workload="shop2/w", name="", address="198.18.5.1"),
    replace(FLOW, id=4, time="2027-01-01T00:00:03.000Z", workload="shop/x", name="x[1]?.test", decision=DENIED),
]


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"namespace": "shop"}, [1, 2, 4]),
        ({"workload": "w"}, [1, 2, 3]),
        ({"workload": "shop/w"}, [1, 2]),
        ({"verdict": "deny"}, [2, 4]),
        ({"host": "*.wild.test"}, [2]),
        ({"host": "A.Wild.Test"}, [2]),
        ({"host": "198.18.5.1"}, [3]),
        ({"host": "x[1]?.test"}, [4]),
        ({"host": "?.wild.test"}, []),
        ({"since": "2027-01-01T00:00:02"}, [3, 4]),
        ({"limit": 2}, [3, 4]),
        ({"after": 1, "limit": 2}, [2, 3]),
        ({"after": 4}, []),
        ({"verdict": "deny", "limit": 1}, [4]),
        ({"namespace": "shop' OR 1", "host": "%"}, []),
    ],
)
def test_some_can_be_chosen(path, chosen, ids):
    with closing(written(path, *OTHERS)) as history:
        assert [flow.id for flow in history.select(**chosen)] == ids


def test_repeats_are_counted_onto_their_flow_and_onto_its_rule(path):
    late = "2027-01-01T00:00:09.000Z"
    with closing(written(path, replace(FLOW, sent=5, received=7))) as history:
        assert history.write([], [Repeats(99, 1, 1, 1, late)]) == {99}
        history.write([], [Repeats(1, 3, 10, 20, late)])
        assert history.select() == [replace(FLOW, sent=15, received=27, count=4, last=late)]
        assert history.rule_use() == {str(RULE): (late, 4)}
        (one,) = history.destinations()
        assert (one.workload, one.name, one.count, one.sent, one.received) == ("shop/w", "httpbin.org", 4, 15, 27)
        assert history.destinations(since="2027-01-01T00:00:10") == []


@pytest.mark.parametrize(("reason", "used"), [(Reason.DENIED, 3), (Reason.PORT, 0), (Reason.REVOKED, 0)])
def test_a_rule_is_used_where_it_decides_and_not_where_it_is_the_nearest(path, reason, used):
    flow = replace(FLOW, decision=Decision(Verdict.DENY, reason, RULE))
    with closing(written(path, flow)) as history:
        history.write([], [Repeats(1, 2, 0, 0, flow.time)])
        assert history.rule_use() == ({str(RULE): (flow.time, used)} if used else {})


def test_what_was_only_recorded_is_told_apart(path):
    denied = replace(FLOW, decision=DENIED)
    with closing(written(path, denied, replace(denied, id=2, audit=True))) as history:
        assert {one.audit: one.count for one in history.destinations()} == {False: 1, True: 1}


def test_a_writer_goes_on_where_the_last_one_has_come_to(path):
    with closing(written(path, FLOW)) as history:
        history.write([], mark="here")
    with closing(History(path)) as history:
        assert (history.mark, history.next_id) == ("here", 2)


def test_the_end_of_what_was_told_when_it_began_is_written_to_the_same_flow(path):
    with closing(written(path, replace(FLOW, sent=5))) as history:
        history.write([], [Repeats(1, 1, 100, 100, FLOW.time)])
        history.write([replace(FLOW, count=0, sent=7, received=1, duration=9, status=200, detail="UC")])
        assert history.select() == [
            replace(FLOW, sent=112, received=101, duration=9, status=200, detail="UC", count=2, last=FLOW.time)
        ]
        assert history.rule_use() == {str(RULE): (FLOW.time, 2)}


def test_what_is_read_in_a_moment_does_not_change_meanwhile(path):
    with closing(written(path, FLOW)) as writer, closing(History(path, read_only=True)) as reader:
        with reader.moment():
            writer.write([replace(FLOW, id=2)])
            assert (reader.next_id, len(reader.select())) == (2, 1)
        with reader.moment():
            assert (reader.next_id, len(reader.select())) == (3, 2)


def test_nothing_half_is_written(path):
    with closing(written(path, FLOW)) as history:
        with pytest.raises(OSError, match="NOT NULL"):
            history.write([replace(FLOW, id=2), replace(FLOW, name=None)], mark="there")  # type: ignore[arg-type]
        assert (history.mark, [flow.id for flow in history.select()]) == ("", [1])


@pytest.mark.parametrize("content", [b"", b"not a database at all, but a text of some length" * 100])
def test_a_file_that_is_none_is_a_problem_for_readers_and_put_aside_by_the_writer(path, content):
    path.write_bytes(content)
    with pytest.raises(Problems, match="EXW1602"):
        History(path, read_only=True)
    with closing(written(path, FLOW)) as history:
        assert len(history.select()) == 1
    assert not content or path.with_name("flows.db.damaged").read_bytes() == content


def test_a_file_of_another_version_is_said_to_be_one_and_put_aside_by_the_writer(path):
    written(path, FLOW).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(Problems, match=r"EXW1602 .* another version of Exitway has written it \(form 1") as refused:
        History(path, read_only=True)
    assert "puts it aside as flows.db.damaged" in refused.value.problems[0].hint
    with closing(History(path)) as history:
        assert history.select() == []
    assert path.with_name("flows.db.damaged").exists()


@pytest.mark.parametrize("page", [1, 2, 6])
def test_a_file_that_is_damaged_is_a_problem_for_readers_and_the_writer_begins_anew(path, page):
    many = [replace(FLOW, id=number, path="/" * 500) for number in range(1, 200)]
    with closing(written(path, *many)) as history:
        history.write([], mark="here")
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xff" * (path.stat().st_size - file.tell()))
    with pytest.raises(Problems, match="EXW1602"), closing(History(path, read_only=True)) as history:
        history.select()
    later = [replace(FLOW, id=number) for number in range(200, 400)]
    with closing(History(path)) as history:
        assert history.write(later, [Repeats(7, 1, 0, 0, FLOW.time)], "there") == {7}
        assert (history.select(), history.next_id, history.mark) == (later, 400, "there")
    assert path.with_name("flows.db.damaged").exists()


@pytest.mark.parametrize(
    "change",
    [
        "verdict = 'perhaps'",
        "labels = '{'",
        "labels = '[]'",
        "time = 'soon'",
        "rule = 'x/y'",
        "count = 'many'",
        "path = x'00'",
        "address = 'here'",
        "upstream = 'there'",
        "upstream = 'a:80'",
    ],
)
def test_what_nobody_knows_is_a_problem(path, change):
    written(path, FLOW).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE flow SET {change}")
        connection.commit()
    with closing(History(path, read_only=True)) as history:
        for ask in (history.select, lambda: history.get(1)):
            with pytest.raises(Problems, match="EXW1602"):
                ask()


@pytest.mark.parametrize("change", ["last = 'soon'", "count = 'many'"])
def test_a_use_that_nobody_knows_is_a_problem(path, change):
    written(path, FLOW).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE rule_use SET {change}")
        connection.commit()
    with closing(History(path, read_only=True)) as history, pytest.raises(Problems, match="EXW1602"):
        history.rule_use()


def test_a_file_that_cannot_be_looked_at_is_a_problem_for_readers(path):
    with pytest.raises(Problems, match="EXW1602"):
        History(path.with_name("x" * 300), read_only=True)


def test_no_file_is_a_problem_for_readers(path):
    with pytest.raises(Problems, match="EXW1601"):
        History(path, read_only=True)


def test_what_is_old_is_given_up(path):
    with closing(written(path, replace(FLOW, time="2026-11-01T00:00:00.000Z"), replace(FLOW, id=2))) as history:
        history.write([], [Repeats(2, 1, 0, 0, "2026-12-31T00:00:00.000Z")])
        assert prune(path, NOW, days=30, megabytes=1) == 1
        assert [flow.id for flow in history.select()] == [2]
        assert history.next_id == 3


def test_a_flood_pushes_out_its_own(path):
    quiet = [replace(FLOW, id=number, workload="shop/quiet") for number in range(1, 101)]
    loud = [replace(FLOW, id=number, workload="shop/loud", path="/" * 500) for number in range(101, 5001)]
    with closing(written(path, *quiet, *loud)) as history:
        given_up = prune(path, NOW, days=30, megabytes=1)
        assert 2000 < given_up < 4500
        left = history.select()
        assert left[:100] == quiet
        assert left[-1].id == 5000
        assert len(left) == 5000 - given_up
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
