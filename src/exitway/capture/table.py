"""What all our nftables tables have in common. Text for ``nft -f -``. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable


def digest(owner: str) -> str:
    """What tells the servers of a machine apart, short. ``owner``: such as the runtime directory."""
    return hashlib.blake2b(owner.encode(), digest_size=4).hexdigest()


def comment(owner: str) -> str:
    """Whose a table is, written on it."""
    return f'comment "exitway: {re.sub(r"[^-./ 0-9A-Za-z_]", "?", owner)[:100]}"'


def removal(table: str, family: str = "inet") -> str:
    """Takes a table away, if it is there."""
    return f"table {family} {table}\ndelete table {family} {table}\n"


def elements(some: Iterable[object]) -> str:
    """What a set holds, behind the rest of its declaration."""
    joined = ", ".join(map(str, some))
    return f" elements = {{ {joined} }};" if joined else ""
