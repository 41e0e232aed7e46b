"""Waits until all that an ended workload has done is written: Envoy tells of it a moment after the fact.

1. The workload's listeners go, and with them whatever they still hold: from then on each connection and request has had its last line.
2. A mark is set behind these lines. What Envoy's admin interface is asked is logged to the same file (``envoy/bootstrap.py``).
3. The log is read as far as the mark.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from exitway.envoy.access_log import MARK
from exitway.proxy.admin import admin
from exitway.server.supervise import aside

DRAINED_SECONDS = 5.0
"""Envoy ends what a listener holds one second after it is told that the listener goes (``--drain-time-s``)."""
LOGGED_SECONDS = 5.0
READ_SECONDS = 60.0
_INTERVAL_SECONDS = 0.02
_DRAINING = "listener_manager.total_listeners_draining"


async def settle(admin_socket: Path, access_log: Path, read: Callable[[], Awaitable[None]]) -> bool:
    """Wait, when Envoy knows that the listeners go. ``read``: waits until all is read that the log holds now. False: not all may be written."""
    try:
        drained = await _until(lambda: _draining(admin_socket), DRAINED_SECONDS)
        before = _size(access_log)
        mark = secrets.token_hex(8)
        await asyncio.to_thread(admin, admin_socket, "GET", f"{MARK}{mark}")
        logged = await _until(lambda: _logged(access_log, before, mark.encode()), LOGGED_SECONDS)
        async with asyncio.timeout(READ_SECONDS):
            await read()
    except (OSError, TimeoutError):
        return False
    return drained and logged


async def _until(true: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while not await true():  # noqa: ASYNC110 - Envoy calls nobody
                await asyncio.sleep(_INTERVAL_SECONDS)
    except TimeoutError:
        return False
    return True


async def _draining(admin_socket: Path) -> bool:
    answer = await asyncio.to_thread(admin, admin_socket, "GET", f"/stats?filter=^{_DRAINING}$")
    return answer.strip() == f"{_DRAINING}: 0"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


async def _logged(access_log: Path, before: int, mark: bytes) -> bool:
    """Whether the mark is in the log, or in the one that was put aside since."""
    for path in (access_log, aside(access_log)):
        try:
            with path.open("rb") as file:
                file.seek(before if path == access_log and _size(path) >= before else 0)
                if mark in file.read():
                    return True
        except FileNotFoundError:
            continue
    return False
