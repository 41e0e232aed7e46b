"""Connections that ask for nothing, or read nothing, keep nobody out and do not stay."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from exitway.api import bounded
from exitway.api.listen import serve_openly, tcp_socket

REQUEST = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"


async def endless():
    while True:
        yield b"x" * 100
        await asyncio.sleep(0.001)


async def flood(over):
    try:
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0)
    finally:
        over.set()


@asynccontextmanager
async def served(over=None):
    """How to connect, and say something at once. ``over``: set when nobody is flooded any more."""
    stop, listener = asyncio.Event(), tcp_socket("127.0.0.1:0")
    routes = [
        Route("/", lambda _: PlainTextResponse("here")),
        Route("/endless", lambda _: StreamingResponse(endless())),
        Route("/flood", lambda _: StreamingResponse(flood(over))),
    ]
    serving = asyncio.create_task(serve_openly(Starlette(routes=routes), listener, stop))
    writers = []

    async def connected(said=b""):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writers.append(writer)
        writer.write(said)
        return reader

    yield connected
    stop.set()
    for writer in writers:
        writer.close()
    await serving


async def ended(reader):
    try:
        while await reader.read(65536):
            pass
    except ConnectionResetError:
        pass


async def goes_on(reader):
    for _ in range(100):
        await reader.readexactly(100)


def test_those_that_ask_for_nothing_keep_nobody_out(monkeypatch):
    monkeypatch.setattr(bounded, "MOST_CONNECTIONS", 5)

    async def play():
        async with served() as connected:
            asking = await connected(REQUEST % b"endless")
            await asking.readuntil(b"xxx")
            silent = [await connected(b"GET /") for _ in range(30)]
            assert b"here" in await (await connected(REQUEST % b"")).readuntil(b"here")
            await asyncio.gather(*map(ended, silent[:-4]))  # all but as many as there may be
            await goes_on(asking)
            busy = [await connected(REQUEST % b"endless") for _ in range(4)]
            for one in busy:
                await one.readuntil(b"xxx")
            await ended(await connected(REQUEST % b""))
            await goes_on(busy[0])

    asyncio.run(asyncio.wait_for(play(), 20))


@pytest.mark.parametrize("said", [b"", b"GET / HT", REQUEST % b"" + b"GET / HT"])
def test_one_that_asks_for_nothing_is_ended(monkeypatch, said):
    """Also while it begins a request, be it not its first."""
    monkeypatch.setattr(bounded, "IDLE_SECONDS", 0.2)

    async def play():
        async with served() as connected:
            asking = await connected(REQUEST % b"endless")
            await ended(await connected(said))
            await goes_on(asking)

    asyncio.run(asyncio.wait_for(play(), 20))


def test_one_that_does_not_read_what_it_is_answered_is_ended(monkeypatch):
    monkeypatch.setattr(bounded, "IDLE_SECONDS", 0.2)

    async def play():
        over = asyncio.Event()
        async with served(over) as connected:
            asking = await connected(REQUEST % b"endless")
            await connected(REQUEST % b"flood")  # asyncio reads some of it, and then no more
            await over.wait()
            await goes_on(asking)

    asyncio.run(asyncio.wait_for(play(), 20))
