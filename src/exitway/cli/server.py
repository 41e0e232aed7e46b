"""``exitway up``, ``down``, ``serve`` and ``status``."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from exitway.capture import home, kernel
from exitway.cli import cluster_status, options
from exitway.cli.client import Client
from exitway.cli.daemon import Background, answers
from exitway.cli.target import Target
from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings

STOP_SECONDS = 10.0

_tcp = click.option(
    "--tcp",
    metavar="HOST:PORT",
    default="",
    help="Also serve the API there, unencrypted, to clients that have the token (for kubectl; off by default).",
)

_metrics = click.option(
    "--metrics",
    metavar="HOST:PORT",
    default="",
    help="Also serve /metrics there, to whoever reaches it (for Prometheus; off by default).",
)


@click.command()
@_tcp
@_metrics
def up(tcp: str, metrics: str) -> None:
    """Start the server in the background, unless it runs."""
    settings = Settings.from_environment()
    options = [word for name, value in {"--tcp": tcp, "--metrics": metrics}.items() if value for word in (name, value)]
    if answers(settings):
        if options:
            hint = f"`exitway down` ends it; then `exitway up {' '.join(options)}`"
            raise Problems([Problem("EXW0602", f"a server is already running, and {options[0]} needs a new one", hint)])
        click.echo("the server is running already", err=True)
        return
    if not kernel.privileged() and (problems := home.faults()):
        raise Problems(problems)
    server = Background(settings, *options)
    server.wait()
    server.release()
    click.echo(f"the server is running; its socket is {settings.socket}", err=True)
    if tcp:
        click.echo(
            f"kubectl --server=http://exitway:$(cat {settings.token})@{tcp} get egressrules.exitway.dev", err=True
        )


@click.command()
@options.server
def down(server: Path | None) -> None:
    """Stop the server and its proxy. Programs that still run stay sealed and reach nothing."""
    status = Client(Settings.from_environment(), server).request("GET", "/exitway/v1/status")
    process = os.pidfd_open(status["pid"])
    signal.pidfd_send_signal(process, signal.SIGTERM)
    if not select.select([process], [], [], STOP_SECONDS)[0]:
        raise Problems(
            [Problem("EXW0905", f"the server, process {status['pid']}, does not stop", "it may be ended with kill -9")]
        )
    cut_off = len(status["workloads"])
    click.echo(
        "the server has stopped" + (f"; {cut_off} running workload(s) reach nothing now" if cut_off else ""), err=True
    )


@click.command()
@_tcp
@_metrics
@click.option("--until-idle", is_flag=True, help="End when the last workload has gone (as `exitway run` starts it).")
def serve(tcp: str, metrics: str, until_idle: bool) -> None:
    """Run the server in the foreground. Ctrl-C stops it."""
    settings = Settings.from_environment()
    unix = socket.socket(socket.AF_UNIX)  # before we move: where it is made is where clients have to be
    listeners = {name: _listen(at) if at else None for name, at in {"tcp": tcp, "metrics": metrics}.items()}
    moved = None if kernel.privileged() else _move(settings)
    from exitway.server.serve import Sockets, serve_forever

    serve_forever(settings, until_idle=until_idle, sockets=Sockets(unix, **listeners), home=moved)


def _listen(at: str) -> socket.socket:
    from exitway.api.listen import tcp_socket

    return tcp_socket(at)


def _move(settings: Settings) -> home.Home:
    """Into a home: before anything is imported that starts a thread."""
    found = home.Home.of(settings.runtime_dir)
    found.enter(wholly=True)
    return found


@click.command()
@options.report
@options.target
def status(output: str, target: Target) -> None:
    """Show the server, its proxy and its workloads; of a cluster, what runs in it."""
    api = target.connect()
    if not isinstance(api, Client):
        _print(api.report(), output, cluster_status.sheet)
        return
    _print(api.request("GET", "/exitway/v1/status"), output, lambda found: _sheet(found, api.socket))


def _print(found: Mapping[str, Any], output: str, sheet: Callable[[Mapping[str, Any]], Iterable[str]]) -> None:
    click.echo(json.dumps(found, indent=2) if output == "json" else "\n".join(sheet(found)))


def _sheet(found: Mapping[str, Any], socket_path: Path) -> list[str]:
    proxy = found["proxy"]
    state = "connected" if proxy["connected"] else "not connected"
    lines = [
        f"server     {found['version']}, process {found['pid']}, up {found['uptimeSeconds']} s, {socket_path}",
        f"proxy      Envoy, process {proxy['pid']}, {state}, restarted {proxy['restarts']} times",
        f"rules      {found['rules']} at revision {found['revision']}",
        f"flows      {found['flows']}",
        f"workloads  {len(found['workloads'])}",
    ]
    for one in found["workloads"]:
        audit = "  AUDIT: nothing is denied, only recorded" * one["audit"]
        lines.append(f"  {one['namespace']}/{one['name']}  process {one['pid']}{audit}")
        lines += [f"    PAST THE PROXY: {_some(one['direct'])}"] * bool(one["direct"])
        lines += [f"    its ruleset is not as its rules want it: {one['error']}"] * bool(one["error"])
    lines += [f"refused    {error}" for error in proxy["refused"]]
    lines += [f"problem    {problem}" for problem in found["problems"]]
    return lines


def _some(words: list[str]) -> str:
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
