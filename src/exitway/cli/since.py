"""``--since``: how far back a command looks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(rf"(\d{{1,6}})([{''.join(_UNITS)}])", re.ASCII)


def read_since(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A time of RFC 3339 in UTC, as flows have it; None: nothing was said."""
    if value is None:
        return None
    if ago := _AGO.fullmatch(value):
        moment = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            text = f"{value!r} is neither a time such as 2027-01-31T12:00:00Z nor a while such as 30m, 1h or 7d"
            raise click.BadParameter(text, ctx, param) from None
        moment = (moment if moment.tzinfo else moment.astimezone()).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


since = click.option(
    "--since",
    metavar="TIME",
    callback=read_since,
    help="Only what was seen since then: 30m, 1h, 7d, or a time such as 2027-01-31T12:00:00Z.",
)
