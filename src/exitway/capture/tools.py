"""The two programs that the kernel is told with: ``ip`` and ``nft``."""

from __future__ import annotations

import os
import shutil
import subprocess

PACKAGES = {"ip": "iproute2", "nft": "nftables"}
"""Where they come from."""


def find(name: str) -> str:
    """The path of a tool; empty: there is none. Those of the administrator are found, too, whatever the PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or ""


def feed(name: str, *arguments: str, text: str) -> None:
    """Run a tool with this input.

    Raises:
        OSError: there is none, or what it has against the input.
    """
    ended = subprocess.run([find(name) or name, *arguments], input=text, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise OSError(f"{name}: {ended.stderr.strip()[:300]}")
