"""Which process a connection of a network namespace belongs to, while it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exitway.capture import sock_diag
from exitway.capture.netns import in_netns

_CHILDRENS_FAULTS = (8, 10)
"""Of the fields of ``/proc/PID/stat`` after the name: minor and major page faults of children that were waited for, proc(5)."""


def owner(netns: Path, first: int, local: str, remote: str) -> str:
    """``pid/comm`` of the process in the namespace that has the connection between two ``address:port``; empty: it is not known.

    Where the connection has ended, it was that of the only process that there is, if that has had no children. ``first``: a process that holds the
    namespace and has no connections.
    """
    try:
        inside = netns.stat().st_ino
        inode = in_netns(netns, lambda: sock_diag.inode(local, remote))
    except (OSError, ValueError):
        return ""
    pids = processes(inside)
    if inode:
        return next((named(pid) for pid in pids if _has(pid, f"socket:[{inode}]")), "")
    others = [pid for pid in pids if pid != first]
    return named(others[0]) if len(others) == 1 and _childless(others[0]) else ""


def processes(inode: int) -> Iterator[int]:
    """Those in a network namespace, which is known by its inode; the newest first, since they may be the first to end."""
    for pid in sorted(map(int, filter(str.isdecimal, os.listdir("/proc"))), reverse=True):  # noqa: PTH208 - as fast as it can be
        with suppress(OSError):  # it has ended, or is not ours to look at
            if os.stat(f"/proc/{pid}/ns/net").st_ino == inode:  # noqa: PTH116
                yield pid


def named(pid: int) -> str:
    """``pid/comm``."""
    try:
        return f"{pid}/{Path(f'/proc/{pid}/comm').read_text(errors='replace').rstrip()}"
    except OSError:
        return ""


def _has(pid: int, socket: str) -> bool:
    directory = f"/proc/{pid}/fd"
    with suppress(OSError):
        for name in os.listdir(directory):  # noqa: PTH208
            with suppress(OSError):
                if os.readlink(f"{directory}/{name}") == socket:  # noqa: PTH115
                    return True
    return False


def _childless(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return all(fields[index] == "0" for index in _CHILDRENS_FAULTS)
