"""``exitway dashboard``."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path

import click

from exitway.cli import options
from exitway.cli.client import Client
from exitway.settings import Settings


@click.command()
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="Listen at this port; by default at a free one.",
)
@click.option("--no-open", is_flag=True, help="Only print the address; open no browser.")
@options.server
def dashboard(port: int, no_open: bool, server: Path | None) -> None:
    """Show in a browser who talks to whom, what was denied and why, rules and their use, until Ctrl-C.

    It listens on this machine's loopback only. The address has a token in it, new each time; who has it can look, and change nothing.

    \b
    exitway dashboard
    exitway dashboard --no-open --port 8099
    """  # noqa: D301
    settings = Settings.from_environment()
    client = Client(settings, server)
    client.request("GET", "/exitway/v1/status")  # a problem now rather than an empty page
    from exitway.api.listen import tcp_socket

    with suppress(KeyboardInterrupt), tcp_socket(f"127.0.0.1:{port}") as listener:
        secret = secrets.token_urlsafe(32)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/#token={secret}"
        click.echo(address)
        with _opened(address, wanted=not no_open):
            click.echo("Ctrl-C ends it", err=True)
            asyncio.run(_serve(listener, client.socket, secret))


async def _serve(listener: socket.socket, server: Path, secret: str) -> None:
    from exitway.api.listen import serve_openly
    from exitway.web.relay import relay

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve_openly(relay(server, secret), listener, stop)


@contextmanager
def _opened(address: str, *, wanted: bool) -> Iterator[None]:
    """The browser is given a file that only we can read, and that leads to the address: arguments of a process are seen by everybody here."""
    if not wanted or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        yield
        return
    with tempfile.NamedTemporaryFile("w", prefix="exitway-dashboard-", suffix=".html") as page:  # mode 0600
        page.write(
            f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}"><title>Exitway</title>'
        )
        page.flush()
        if not webbrowser.open(Path(page.name).as_uri()):
            click.echo("no browser could be opened: open the address in one", err=True)
        yield
