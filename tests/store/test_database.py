"""A file that is not as it should be is refused with a sentence, and left as it is."""

import os
import sqlite3
import stat

import pytest

from exitway.resources.kinds import read
from exitway.resources.problem import Problems
from exitway.store.change import Put
from exitway.store.store import Store
from tests.rules import rule


@pytest.fixture
def path(tmp_path):
    """A store with rules in it."""
    path = tmp_path / "state" / "store.db"
    with Store(path) as store:
        store.commit([Put(read(rule(f"r{number}", f"h{number}.example"))) for number in range(200)])
    return path


def sql(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def overwrite(path, offset, content):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def lose(path):
    path.with_name("store.db-wal").write_bytes(b"log")
    path.unlink()


FAULTS = {
    "empty": (lambda path: path.write_bytes(b""), "EXW0506"),
    "text": (lambda path: path.write_text("rules: []\n" * 100), "EXW0506"),
    "cut off": (lambda path: os.truncate(path, 10_000), "EXW0506"),
    "cut off in the header": (lambda path: os.truncate(path, 50), "EXW0506"),
    "overwritten inside": (lambda path: overwrite(path, 4096, os.urandom(30_000)), "EXW0506"),
    "no table": (lambda path: sql(path, "DROP TABLE resource"), "EXW0506"),
    "no revision": (lambda path: sql(path, "DELETE FROM revision"), "EXW0506"),
    "a resource that is not JSON": (
        lambda path: sql(path, "UPDATE resource SET wire = '{' WHERE name = 'r7'"),
        "EXW0506",
    ),
    "a resource that is not valid": (
        lambda path: sql(path, "UPDATE resource SET wire = replace(wire, '443', '99999')"),
        "EXW0103",
    ),
    "another program's": (lambda path: sql(path, "PRAGMA application_id = 7"), "EXW0504"),
    "newer": (lambda path: sql(path, "PRAGMA user_version = 2"), "EXW0505"),
    "missing beside its log": (lose, "EXW0502"),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), "EXW0501"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_a_clear_problem_and_never_an_empty_store(path, fault):
    spoil, code = FAULTS[fault]
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(Problems) as refused:
        Store(path)
    assert refused.value.problems[0].code == code
    assert str(path) in str(refused.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_all_invalid_resources_are_named(path):
    sql(path, "UPDATE resource SET wire = replace(wire, '443', '99999') WHERE name IN ('r3', 'r4')")
    with pytest.raises(Problems) as refused:
        Store(path)
    assert [problem.place.file.rpartition("/")[2] for problem in refused.value.problems] == ["r3", "r4"]


def test_the_file_and_its_directory_are_the_users_alone(path):
    with Store(path):
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_server_killed_while_it_made_the_file_leaves_nothing_in_the_way(path):
    fresh = path.with_name("other.db")
    fresh.with_name("other.db.new").write_bytes(b"half")
    fresh.with_name("other.db.new-journal").write_bytes(b"half")
    with Store(fresh) as store:
        assert store.revision == 0
    assert sorted(file.name for file in path.parent.iterdir()) == ["other.db", "store.db"]
