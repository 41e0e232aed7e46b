"""When a server that is to end when idle does end."""

import asyncio
import fcntl
import os
from types import SimpleNamespace

from exitway.server import serve
from exitway.server.serve import Server


def test_a_workload_that_arrives_at_the_last_moment_is_served(tmp_path, monkeypatch):
    """It holds the lock of arrivals while it comes, longer than the server would have waited, and lets go of it when it is there."""
    monkeypatch.setattr(serve, "IDLE_SECONDS", 0.1)
    server = SimpleNamespace(
        settings=SimpleNamespace(arrivals=tmp_path / "arrivals.lock"), workloads=SimpleNamespace(running={})
    )

    async def arrive():
        with server.settings.arrivals.open("a") as arriving:
            fcntl.flock(arriving, fcntl.LOCK_SH)
            idle = asyncio.create_task(Server._idle(server))  # type: ignore[arg-type]
            await asyncio.sleep(0.25)
            assert not idle.done()
            server.workloads.running["w"] = object()
        await asyncio.sleep(0.5)
        assert not idle.done()
        server.workloads.running.clear()
        await idle
        os.close(server._idle_lock)

    asyncio.run(arrive())
