"""The commands against the real API over a real store, on a Unix socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from exitway.api.app import create_app
from exitway.api.listen import serve, unix_socket
from exitway.cli.main import cli
from exitway.settings import Settings
from exitway.store.store import Store

Run = Callable[..., Result]


@dataclass
class Proxies:
    """What the server says of its proxies: sentences about those that have not acknowledged a change, and what was refused; and of its flows."""

    silent: Sequence[str] = ()
    refused: Sequence[str] = ()
    flows: str = ""

    def status(self, request: Request) -> JSONResponse:
        proxy = {"connected": True, "refused": list(self.refused)}
        return JSONResponse({"proxy": proxy, "workloads": [], "flows": self.flows})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(runtime_dir=tmp_path / "run", state_dir=tmp_path / "state")


@pytest.fixture
def proxies() -> Proxies:
    return Proxies()


@pytest.fixture
def server(settings: Settings, proxies: Proxies) -> Iterator[Store]:
    """A store behind the API, in a thread of its own."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()
    stores: list[Store] = []

    async def acknowledged(revision: int) -> list[str]:
        del revision
        return list(proxies.silent)

    async def main() -> None:
        store = Store(settings.store)
        stores.append(store)
        with unix_socket(settings.socket) as socket:
            ready.set()
            await serve(
                create_app(store, acknowledged, extra_routes=[Route("/exitway/v1/status", proxies.status)]),
                socket,
                stop,
            )
        store.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert ready.wait(10)
    yield stores[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in ``tmp_path``; whether a server listens is the test's affair."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXITWAY_RUNTIME_DIR", str(settings.runtime_dir))

    def invoke(line: str, stdin: str = "") -> Result:
        return CliRunner().invoke(cli, line.split(), input=stdin, prog_name="exitway")

    return invoke
