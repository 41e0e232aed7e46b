"""Ending the answers that go on for ever (watches) when the server stops; others are left to finish."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Ending:
    """The application; once ``stop`` is set, it is told of a request already read that the client is gone, and its answer is brought to an end."""

    def __init__(self, app: ASGIApp, stop: asyncio.Event) -> None:
        self._app = app
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        read = open_ = False

        async def receive_or_stop() -> Message:
            nonlocal read
            if read:
                return await _first(receive(), self._disconnect())
            message = await receive()
            read = not message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal open_
            open_ = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        await self._app(scope, receive_or_stop, watched_send)
        if open_ and self._stop.is_set():
            await send({"type": "http.response.body", "body": b""})

    async def _disconnect(self) -> Message:
        await self._stop.wait()
        return {"type": "http.disconnect"}


async def _first(*both: Awaitable[Message]) -> Message:
    futures = {asyncio.ensure_future(one) for one in both}
    try:
        done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for future in futures:
            future.cancel()
