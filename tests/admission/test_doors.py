"""The webhooks' doors while somebody crowds them: what is small is answered all the same."""

import asyncio
import json
import threading

import pytest

from exitway.admission.app import SMALL_BYTES, create_app
from exitway.admission.bodies import HELD_BYTES, LARGEST_BYTES, MOST_VALUES
from exitway.admission.review import Answer
from exitway.admission.turns import Turns
from exitway.api.listen import serve_openly, tcp_socket
from exitway.resources.registry import Registry
from tests.resources.wire import exitway, to

PATIENCE_SECONDS = 60.0


async def _none(_):
    raise AssertionError("no pod is asked about here")


def served(client, inject=_none):
    """What the client has come to know of the webhooks, given their port."""

    async def run():
        stop, listener = asyncio.Event(), tcp_socket("127.0.0.1:0")
        serving = asyncio.create_task(serve_openly(create_app(Registry, inject, _none), listener, stop))
        async with asyncio.timeout(PATIENCE_SECONDS):
            known = await client(listener.getsockname()[1])
        stop.set()
        await serving
        return known

    return asyncio.run(run())


async def begun(port, length, content, path=b"/validate"):
    """A request, its body perhaps not whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST %b HTTP/1.1\r\nhost: exitway\r\ncontent-length: %d\r\n\r\n" % (path, length))
    writer.write(content)
    return reader, writer


async def status(reader):
    return int((await reader.readline()).split()[1])


def review(wire):
    request = {"uid": "1", "operation": "CREATE", "namespace": "shop", "resource": {"resource": "egressrules"}}
    return json.dumps({"kind": "AdmissionReview", "request": {**request, "object": wire}}).encode()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (review(exitway(to("a.example", "443/TLS"))), 200),
        (b" " * (LARGEST_BYTES + 1), 413),
        (b"[" + b"0," * MOST_VALUES + b"0]", 413),
    ],
    ids=["a rule", "too many bytes", "too many values"],
)
def test_a_body_may_be_as_large_as_a_review_can_be(content, code):
    async def client(port):
        reader, writer = await begun(port, len(content), content)
        said = await status(reader)
        writer.close()
        return said

    assert served(client) == code


def test_where_there_is_no_room_for_all_bodies_the_largest_give_way_and_a_small_one_is_answered():
    large, small = b" " * (LARGEST_BYTES - 1), review(exitway(to("a.example", "443/TLS")))
    too_many = HELD_BYTES // len(large) + 3

    async def client(port):
        waiting = [await begun(port, LARGEST_BYTES, large) for _ in range(too_many)]
        answers = [asyncio.create_task(status(reader)) for reader, _ in waiting]
        while sum(answer.done() for answer in answers) < 3:
            await asyncio.wait([one for one in answers if not one.done()], return_when=asyncio.FIRST_COMPLETED)
        refused = {answer.result() for answer in answers if answer.done()}
        reader, writer = await begun(port, len(small), small)
        said = await status(reader), sum(answer.done() for answer in answers)
        for answer in answers:
            answer.cancel()
        for one in (writer, *(writer for _, writer in waiting)):
            one.close()
        return refused, *said

    assert served(client) == ({503}, 200, 3)


def test_work_keeps_no_loop_waiting_and_what_is_small_comes_first():
    async def run():
        turns, free, order = Turns(), threading.Event(), []

        def first():
            assert free.wait(PATIENCE_SECONDS)
            order.append("first")

        later = [(size, lambda size=size: order.append(size)) for size in (3, 8, 1)]
        works = [asyncio.create_task(turns.of(*one)) for one in [(9, first), *later]]
        await asyncio.sleep(0)
        works[2].cancel()  # who asked has gone
        free.set()
        await asyncio.gather(*works, return_exceptions=True)
        return order

    assert asyncio.run(run()) == ["first", 1, 3]


def test_a_small_review_is_answered_while_a_large_one_is_judged():
    """What is in hand is a large pod, and it is not done before the small rule has its answer."""
    pod = {"uid": "1", "resource": {"resource": "pods"}, "object": {"x": "x" * SMALL_BYTES}}
    large = json.dumps({"kind": "AdmissionReview", "request": pod}).encode()
    small, answered, in_hand = review(exitway(to("a.example", "443/TLS"))), threading.Event(), threading.Event()

    def judged():
        in_hand.set()
        return Answer() if answered.wait(PATIENCE_SECONDS) else None

    async def inject(_):
        return judged

    async def client(port):
        first = await begun(port, len(large), large, b"/inject")
        await asyncio.to_thread(in_hand.wait)
        second = await begun(port, len(small), small)
        said = [await status(second[0])]
        answered.set()
        said.append(await status(first[0]))
        for _, writer in (first, second):
            writer.close()
        return said

    assert served(client, inject) == [200, 200]
