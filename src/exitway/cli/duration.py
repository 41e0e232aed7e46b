"""Lengths of time as people write them: ``90s``, ``30m``, ``12h``, ``14d``, ``2w``; and ``--since``, how far back a command looks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_FORM = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=36500)


def read_duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """The value of an option: at most a hundred years."""
    length = _length(value)
    if length is None:
        raise click.BadParameter(f"{value!r} is not a number and s, m, h, d or w, such as 14d", ctx, param)
    return length


def read_since(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A time as flows have it; None: nothing was said."""
    from exitway.flows.flow import stamp

    if value is None:
        return None
    if (ago := _length(value)) is not None:
        return stamp(datetime.now(UTC) - ago)
    try:
        return stamp(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        text = f"{value!r} is neither a time such as 2027-01-31T12:00:00Z nor a while such as 30m, 1h or 7d"
        raise click.BadParameter(text, ctx, param) from None


def _length(text: str) -> timedelta | None:
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    try:
        return min(timedelta(**{_UNITS[match[2]]: int(match[1])}), _LONGEST)
    except OverflowError:
        return _LONGEST


since = click.option(
    "--since",
    metavar="TIME",
    callback=read_since,
    help="Only what was seen since then: 30m, 1h, 7d, or a time such as 2027-01-31T12:00:00Z.",
)
