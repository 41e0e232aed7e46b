"""``exitway top``."""

from __future__ import annotations

import math
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exitway.cli import options
from exitway.cli.duration import read_duration
from exitway.cli.flows import flow_db
from exitway.cli.problems import INTERRUPTED

if TYPE_CHECKING:
    from exitway.flows.history import Destination, History

_ALONE, _BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""A screen of its own without a cursor, and back (xterm, ECMA-48)."""
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def _number(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if math.isnan(value):  # which is in every range
        raise click.BadParameter(f"{value} is not a number of seconds", ctx, param)
    return value


@click.command("top")
@options.namespace
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.5, 3600),
    callback=_number,
    default=2.0,
    help="Between two looks.",
)
@click.option(
    "--since",
    metavar="DURATION",
    callback=read_duration,
    default="15m",
    show_default=True,
    help="What was quiet for longer is left out.",
)
@click.option("--once", is_flag=True, help="Look for one interval, print what was seen, and end.")
@options.server
def top(namespace: str | None, interval: float, since: timedelta, once: bool, server: Path | None) -> None:
    """Show where programs go now, and how much, by destination: the busiest first.

    On a terminal it goes on until `q`; into a pipe it prints one table after the other. Totals are of whole flows, of which one begins each day.

    \b
    exitway top -n shop
    exitway top --once | head
    """  # noqa: D301
    from exitway.flows.history import History

    def looks() -> Iterator[list[Destination]]:
        with closing(History(flow_db(server), read_only=True)) as history:
            while True:
                yield _look(history, namespace, since)

    try:
        with _screen(alone=sys.stdout.isatty() and not once) as show:
            _run(looks(), interval, show, once=once)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _look(history: History, namespace: str | None, since: timedelta) -> list[Destination]:
    from exitway.flows.flow import stamp

    within = f"{namespace}/" if namespace else ""
    return [one for one in history.destinations(stamp(datetime.now(UTC) - since)) if one.workload.startswith(within)]


def _run(looks: Iterator[list[Destination]], interval: float, show: Callable[[list[str]], None], *, once: bool) -> None:
    from exitway.cli.traffic_table import lines

    before, at = next(looks), time.monotonic()
    if not once and sys.stdout.isatty():
        show(lines(before, before, 1.0))
    while not _quit(interval):
        now, seconds = next(looks), time.monotonic() - at
        show(lines(now, before, seconds))
        if once:
            return
        before, at = now, at + seconds


def _quit(seconds: float) -> bool:
    """Wait for so long, or until somebody types ``q``."""
    until = time.monotonic() + seconds
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        time.sleep(seconds)
        return False
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and sys.stdin.read(1) in ("q", "Q", ""):
            return True
    return False


@contextmanager
def _screen(*, alone: bool) -> Iterator[Callable[[list[str]], None]]:
    """What shows lines: on a screen of its own, in place of the ones before; or after them."""
    if not alone:
        yield lambda lines: click.echo("\n".join(lines) + "\n")
        return
    with _keys():
        click.echo(_ALONE, nl=False)
        try:
            yield _fill
        finally:
            click.echo(_BACK, nl=False)


def _fill(lines: list[str]) -> None:
    size = shutil.get_terminal_size()
    shown = [f"{_clip(line, size.columns)}{_REST_OF_LINE}" for line in lines[: size.lines - 1]]
    click.echo(_HOME + "\n".join(shown) + _REST_OF_SCREEN, nl=False)
    sys.stdout.flush()


def _clip(line: str, width: int) -> str:
    """Colours are at the ends of a line, and take no place."""
    plain = click.unstyle(line)
    return line if len(plain) <= width else line.replace(plain, plain[:width])


@contextmanager
def _keys() -> Iterator[None]:
    """Keys are read as they are typed, and not shown."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
