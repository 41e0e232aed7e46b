"""What the store promises: all or nothing, revisions that only grow, events that nobody misses."""

import asyncio
import sqlite3
from datetime import UTC, datetime

import pytest

from exitway.resources.kinds import read
from exitway.store.change import Conflict, Delete, Gone, Put, Unavailable, version
from exitway.store.store import Store
from tests.rules import rule

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "store.db"


@pytest.fixture
def store(path):
    with Store(path, clock=lambda: NOON) as opened:
        yield opened


def put(name, *hosts, expected="", **metadata):
    return Put(read(rule(name, *hosts, **metadata)), expected)


def key(name):
    return put(name).key


def stored(store, name):
    return store.registry.get(key(name))


def names(store):
    return [resource.key.name for resource in store.registry]


def test_a_resource_gets_its_metadata_and_keeps_what_identifies_it(store):
    store.commit([put("a", "one.example", labels={"team": "pay"})])
    first = stored(store, "a").metadata
    assert {**first, "uid": ""} == {
        "name": "a",
        "namespace": "default",
        "labels": {"team": "pay"},
        "uid": "",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-07-01T12:00:00Z",
    }
    store.commit([put("a", "one.example")])
    relabelled = stored(store, "a").metadata
    assert (relabelled["uid"], relabelled["generation"], relabelled["resourceVersion"]) == (first["uid"], 1, "2")
    store.commit([put("a", "two.example")])
    assert stored(store, "a").metadata["generation"] == 2


def test_a_put_that_changes_nothing_makes_no_revision(store):
    store.commit([put("a")])
    assert store.commit([put("a")]).events == ()
    assert store.revision == 1


def test_every_change_of_a_commit_has_its_own_revision(store):
    commit = store.commit([put("a"), put("b"), put("c")])
    assert [event.revision for event in commit.events] == [1, 2, 3]
    assert commit.revision == store.revision == store.registry.revision == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Delete(key("absent")), KeyError),
        (Delete(key("a"), "7"), Conflict),
        (put("a", "x.example", expected="7"), Conflict),
        (put("new", expected="1"), Conflict),
        (put("b"), ValueError),  # twice in one commit
    ],
)
def test_a_commit_is_whole_or_not_at_all(store, path, fault, error):
    store.commit([put("a")])
    with pytest.raises(error):
        store.commit([put("b"), fault, put("c")])
    assert (names(store), store.revision) == (["a"], 1)
    store.close()
    with Store(path) as again:
        assert (names(again), again.revision) == (["a"], 1)


def test_an_expected_version_that_holds_is_let_through(store):
    store.commit([put("a")])
    store.commit([put("a", "x.example", expected="1")])
    store.commit([Delete(key("a"), "2")])
    assert (names(store), store.revision) == ([], 3)


def test_a_trial_changes_nothing(store):
    assert store.trial([put("a")]).revision == 1
    assert (names(store), store.revision) == ([], 0)


def test_the_resources_and_the_revision_outlive_the_process_and_deletions_count(store, path):
    store.commit([put("a", annotations={"x": "é"}), put("b")])
    store.commit([Delete(key("b"))])
    before = [resource.wire for resource in store.registry]
    store.close()
    with Store(path) as again:
        assert [resource.wire for resource in again.registry] == before
        assert again.revision == 3
        assert again.registry.intents_for("default") == store.registry.intents_for("default")
        assert again.commit([put("c")]).revision == 4


def test_a_full_disk_changes_nothing_and_can_be_tried_again(store, path):
    store.commit([put("a")])
    store._connection.execute(f"PRAGMA max_page_count = {store._connection.execute('PRAGMA page_count').fetchone()[0]}")
    big = put("big", annotations={"x": "y" * 100_000})
    with pytest.raises(Unavailable, match="full"):
        store.commit([put("b"), big])
    assert (names(store), store.revision) == (["a"], 1)
    store._connection.execute("PRAGMA max_page_count = 100000")
    assert store.commit([put("b"), big]).revision == 3
    store.close()
    with Store(path) as again:
        assert names(again) == ["a", "b", "big"]


async def followed(store, since, count):
    seen: list[tuple[str, str]] = []
    while len(seen) < count:
        events = await store.after(since)
        seen += [(event.type.value, event.resource.key.name) for event in events]
        since = events[-1].revision
    return seen


def test_followers_see_every_event_once_in_order_whenever_they_join_and_however_slow_they_are(store):
    expected = [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]

    async def play():
        store.commit([put("a")])
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            early = tasks.create_task(followed(store, 0, 4))
            resumed = tasks.create_task(followed(store, 1, 3))
            await asyncio.sleep(0)
            store.commit([put("a", "x.example"), put("b")])
            await asyncio.sleep(0.01)
            store.commit([Delete(key("a"))])
            late = tasks.create_task(followed(store, 2, 2))
        return early.result(), resumed.result(), late.result()

    assert asyncio.run(play()) == (expected, expected[1:], expected[2:])


def test_closing_the_store_ends_its_followers(store):
    async def play():
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(store.after(0))
            await asyncio.sleep(0.01)
            store.close()
        return waiting.result()

    assert list(asyncio.run(play())) == []


def test_what_is_too_old_or_from_another_store_is_gone(path):
    with Store(path, history=2) as store:
        for number in range(6):
            store.commit([put(f"r{number}")])
        assert [event.revision for event in store.since(4)] == [5, 6]
        for revision in (0, 7):
            with pytest.raises(Gone):
                store.since(revision)
    with Store(path) as again:
        assert list(again.since(6)) == []
        with pytest.raises(Gone):
            again.since(5)


def test_an_event_of_a_deletion_has_the_last_state_at_the_revision_of_the_deletion(store):
    store.commit([put("a")])
    (event,) = store.commit([Delete(key("a"))]).events
    assert (version(event.resource), version(event.before)) == ("2", "1")


def test_a_second_server_cannot_open_it(store, path):
    with pytest.raises(Exception, match="in use by another server"):
        Store(path)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path, timeout=0).execute("SELECT * FROM resource")
