"""``exitway run``: a command in a sealed namespace.

The namespaces are made while nothing else is waited for; the server is told of them; when its proxy listens inside, the command begins.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitway.capture import kernel
from exitway.capture.home import Home
from exitway.capture.job import end_like
from exitway.capture.relay import Relay
from exitway.capture.sandbox import Sandbox
from exitway.capture.seal import Seal
from exitway.cli import lesson, options
from exitway.cli.client import Client, Refusal
from exitway.cli.daemon import Background
from exitway.cli.lesson import Asked
from exitway.names.host import as_label
from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings

if TYPE_CHECKING:
    from exitway.cli.recording import Recording

WORKLOADS = "/exitway/v1/workloads"
AUDIT = "exitway: AUDIT: what no rule allows is let through, and only recorded"

_PUBLISH = re.compile(
    r"(?:(?P<host>localhost|[0-9.]*\.[0-9.]*|\[[0-9a-fA-F:.]+\]):)?(?P<port>[0-9]+)(?::(?P<target>[0-9]+))?"
)


def _publications(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> list[dict[str, Any]]:
    """As the API wants them."""
    publications = []
    for value in values:
        match = _PUBLISH.fullmatch(value)
        ports = [int(match[name] or match["port"]) for name in ("port", "target")] if match else []
        if not match or not all(0 < port < 65536 for port in ports):
            text = f"{value!r} is not [HOST:]PORT[:PORT], with HOST an address and ports from 1 to 65535"
            raise click.BadParameter(text, ctx, param)
        host = (match["host"] or "localhost").strip("[]")
        address = "127.0.0.1" if host == "localhost" else host
        publications.append({"address": address, "port": ports[0], "target": ports[1]})
    return publications


def _ranges(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """CIDRs; None: all there are (``*``), or nothing was said."""
    del ctx, param
    return None if value in (None, "*") else [one.strip() for one in value.split(",") if one.strip()]


@click.command("run", context_settings={"allow_interspersed_args": False})
@options.namespace
@click.option("--name", metavar="NAME", help="The workload's name; by default the command's, with a suffix of its own.")
@options.labels
@click.option(
    "-p",
    "--publish",
    metavar="[HOST:]PORT[:PORT]",
    multiple=True,
    callback=_publications,
    help="Make a port of the program reachable at this machine's 127.0.0.1 (or HOST). May be repeated.",
)
@click.option(
    "-f",
    "--filename",
    "filenames",
    metavar="FILE|DIR",
    multiple=True,
    type=click.Path(),
    help="Rules for this one run, next to those of its namespace. May be repeated.",
)
@click.option(
    "--audit", is_flag=True, help="Let through what is denied, and only record it. For learning what a program needs."
)
@lesson.options(
    click.option(
        "--learn",
        "rules",
        metavar="FILE",
        type=lesson.FILE,
        help="As --audit, and at the end write the least rules that let just this run out.",
    ),
    "With --learn: ",
)
@click.option(
    "--require-enforce",
    is_flag=True,
    help="Refuse to run where nothing would be denied (--audit, or a namespace under audit).",
)
@click.option(
    "--includeIPRanges",
    "include",
    metavar="CIDR,...",
    callback=_ranges,
    help="Only these go through the proxy; TCP to all else goes out directly, whatever rules say. `*`, as without it: all.",
)
@click.option(
    "--excludeIPRanges",
    "exclude",
    metavar="CIDR,...",
    callback=_ranges,
    help="TCP to these goes out directly, whatever rules say (but DENY).",
)
@options.server
@click.argument("command", metavar="[--] COMMAND [ARGUMENTS]...", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    namespace: str | None,
    name: str | None,
    labels: dict[str, str],
    publish: list[dict[str, Any]],
    filenames: tuple[str, ...],
    audit: bool,
    asked: Asked,
    require_enforce: bool,
    include: list[str] | None,
    exclude: list[str] | None,
    server: Path | None,
    command: tuple[str, ...],
) -> None:
    """Run a command that reaches only what rules let it reach, and end with its exit code.

    \b
    exitway run -- curl http://httpbin.org/headers
    exitway run -n shop -l app=checkout -p 8080 -- java EgressHttpbin.java
    exitway run -f egress_httpbin.yml -- curl http://httpbin.org/headers
    exitway run --learn rules.yml -- pip install six

    It sees this machine's files, but no network: only a proxy that answers for it. UDP, ICMP and whatever else is not TCP is refused.
    Where no server runs, one is started, and ends a moment after the last such command.
    """  # noqa: D301 - \b keeps click from filling the paragraph
    _check(asked, require_enforce=require_enforce)
    settings = Settings.from_environment()
    documents = _read(filenames, namespace)
    stem = name or _stem(command[0])
    namespace, name = namespace or options.DEFAULT_NAMESPACE, name or _name(stem)
    seal = Seal.prepare(f"{namespace}/{name}", [settings.runtime_dir, settings.state_dir])
    background = (
        Background(settings, "--until-idle") if server is None else None
    )  # before the sandbox: it must not be born inside
    relay = None
    if not kernel.privileged():
        _enter_home((server or settings.socket).parent, background)
        relay, publish = Relay(publish), []
    workload = {
        "namespace": namespace,
        "name": name,
        "labels": labels,
        "rules": [document.wire for document in documents],
        "publish": publish,
        "audit": audit or bool(asked.rules),
        "requireEnforce": require_enforce,
        "includeIPRanges": include,
        "excludeIPRanges": exclude or [],
    }
    with contextlib.closing(Sandbox(seal)) as sandbox:
        sandbox.ready()
        if relay:
            relay.lead_to(sandbox.pid)
        if background:
            background.wait()
        client = Client(settings, server)
        identity = _announce(client, {**workload, "pid": sandbox.pid}, documents)
        recording = _record(asked, client, namespace, name, stem, identity, documents) if asked.rules else None
        if background and not recording:
            background.release()
        code = sandbox.execute(command)
    if recording:
        recording.finish(code)
    end_like(code)


def _check(asked: Asked, *, require_enforce: bool) -> None:
    """Raise what is wrong with the options for learning."""
    if asked.rules is None and asked != Asked(None, None):
        raise click.UsageError("--tests, --wildcards, --hosts-only, --addresses, --denied and --overwrite need --learn")
    if asked.rules and require_enforce:
        raise click.UsageError("--learn lets through what is denied, which --require-enforce refuses")
    asked.check()


def _record(asked: Asked, client: Client, *run: Any) -> Recording:
    """``run``: what a :class:`~exitway.cli.recording.Run` is made of."""
    from exitway.cli.recording import Recording, Run

    return Recording.begin(asked, client, Run(*run))


def _enter_home(directory: Path, background: Background | None) -> None:
    """Become root of the user namespace in which an ordinary user's server lives, or is about to."""
    if background:
        background.wait(lambda: Home.living(directory) is not None)
    home = Home.living(directory)
    if home is None:
        raise Problems(
            [Problem("EXW0901", f"no server of an ordinary user is running in {directory}", "`exitway up` starts one")]
        )
    home.enter(wholly=False)


def _read(filenames: Sequence[str], namespace: str | None) -> Sequence[Any]:
    if not filenames:
        return ()
    from exitway.cli.input import read_all

    documents, problems = read_all(filenames, namespace)
    if problems:
        raise Problems(problems)
    return documents


def _name(stem: str) -> str:
    """With a suffix that tells several runs apart."""
    return f"{stem}-{os.urandom(3).hex()}"


def _stem(program: str) -> str:
    """Of its workload's name."""
    return as_label(Path(program).name, 40) or "run"


def _announce(client: Client, workload: dict[str, Any], documents: Sequence[Any]) -> str:
    """Returns the workload's id when the proxy listens inside. What the server has against it is said at its place in the files."""
    try:
        answer = client.request("POST", WORKLOADS, workload)
    except Refusal as refusal:
        raise Problems(
            [
                problem if index is None or index < 0 else problem.at(documents[index].place(problem.field))
                for index, problem in refusal.causes or [(None, problem) for problem in refusal.problems]
            ]
        ) from None
    if answer["audit"]:
        click.secho(AUDIT, err=True, fg="yellow", bold=True)
    return str(answer["id"])
