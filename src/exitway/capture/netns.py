"""Network namespaces as files: entering one with a thread, and keeping one while Envoy has sockets in it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from exitway.capture import kernel

T = TypeVar("T")


def in_netns(path: Path, function: Callable[[], T]) -> T:
    """What the function returns or raises, called inside the namespace. A socket that it opens stays there.

    Raises:
        OSError: there is no namespace at the path, or we may not enter it.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def enter_and_call() -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                kernel.setns(descriptor)
            finally:
                os.close(descriptor)
            results.append(function())
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=enter_and_call, name=f"in {path}")  # it ends inside: no other thread ever moves
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return results[0]


def pin(pid: int, path: Path) -> None:
    """Bind the network namespace of a process to a file, so that it outlives the process.

    Raises:
        OSError: there is no such process, or we may not mount.
    """
    path.touch(mode=0o600)
    try:
        kernel.mount(f"/proc/{pid}/ns/net", str(path), flags=kernel.MS_BIND)
    except OSError:
        path.unlink()
        raise


def unpin(path: Path) -> None:
    """Let go of a pinned namespace, if it is still there."""
    with contextlib.suppress(OSError):  # pinned by a server that was killed, in a mount namespace that is gone
        kernel.unmount(str(path))
    path.unlink(missing_ok=True)
