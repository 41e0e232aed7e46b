"""The nftables tables that a server has on the machine. Pure."""

from __future__ import annotations

import hashlib


def digest(owner: str) -> str:
    """What tells the servers of a machine apart, short. ``owner``: such as the runtime directory."""
    return hashlib.blake2b(owner.encode(), digest_size=4).hexdigest()


def removal(table: str) -> str:
    """Takes a table away, if it is there. Text for ``nft -f -``."""
    return f"table inet {table}\ndelete table inet {table}\n"
