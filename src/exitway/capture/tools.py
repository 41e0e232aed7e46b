"""The two programs that the kernel is told with: ``ip`` and ``nft``."""

from __future__ import annotations

import os
import shutil
import subprocess

PATIENCE_SECONDS = 10.0
"""For a tool to end: a kernel that is stuck must not hold up everything else."""

PACKAGES = {"ip": "iproute2", "nft": "nftables"}
"""Where they come from."""


def find(name: str) -> str:
    """The path of a tool; empty: there is none. Those of the administrator are found, too, whatever the PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or ""


def feed(name: str, *arguments: str, text: str) -> None:
    """Run a tool with this input.

    Raises:
        OSError: there is none, it does not end, or what it has against the input.
    """
    _run(name, *arguments, text=text)


def ask(name: str, *arguments: str) -> str:
    """What a tool prints.

    Raises:
        OSError: there is none, it does not end, or what it has against the question.
    """
    return _run(name, *arguments)


def _run(name: str, *arguments: str, text: str = "") -> str:
    command = [find(name) or name, *arguments]
    try:
        ended = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{name}: it has not ended within {PATIENCE_SECONDS:.0f} s") from None
    if ended.returncode != 0:
        raise OSError(f"{name}: {ended.stderr.strip()[:300]}")
    return ended.stdout
