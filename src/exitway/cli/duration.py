"""Lengths of time as people write them: ``90s``, ``30m``, ``12h``, ``14d``, ``2w``."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_FORM = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=36500)


def read_duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """The value of an option: at most a hundred years."""
    match = _FORM.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a number and s, m, h, d or w, such as 14d", ctx, param)
    try:
        length = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        length = _LONGEST
    return min(length, _LONGEST)
