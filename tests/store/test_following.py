"""Who follows by namespaces misses nothing, however slow it is."""

import asyncio

from exitway.resources.kinds import read
from exitway.store.change import Delete, Put
from exitway.store.following import following
from exitway.store.store import Store
from tests.rules import rule


def put(name, namespace):
    return Put(read(rule(name, namespace=namespace)))


def test_everything_is_told_at_first_then_what_changes_and_everything_again_to_who_was_too_slow(tmp_path):
    async def scene():
        with Store(tmp_path / "store.db", history=2) as store:
            first, second = put("a", "one"), put("b", "two")
            store.commit([first, second])
            news = following(store, ["before"])
            told = [await heard(news)]
            store.commit([Delete(first.key)])
            store.commit([put("c", "three")])
            told.append(await heard(news))
            store.commit([Delete(second.key)])
            for number in range(6):
                store.commit([put(f"d{number}", "four")])
            told.append(await heard(news))
        return told, [one async for one in news]

    async def heard(news):
        touched, rules = await asyncio.wait_for(anext(news), 5)
        return sorted(touched), sorted(one.key.name for one in rules)

    told, after = asyncio.run(scene())
    assert told == [
        (["before", "one", "two"], ["a", "b"]),
        (["one", "three"], ["a", "c"]),
        (["four", "three", "two"], ["c", "d0", "d1", "d2", "d3", "d4", "d5"]),
    ]
    assert after == []
