"""One engine for each runtime directory."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings


@contextlib.contextmanager
def sole(settings: Settings) -> Iterator[None]:
    """Be the only server of the runtime directory.

    Raises:
        Problems: another server is.
    """
    for directory in (settings.runtime_dir, settings.state_dir):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with settings.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problems(
                [
                    Problem(
                        "EXW0602",
                        f"a server is already running for {settings.runtime_dir}",
                        "`exitway status` shows it",
                    )
                ]
            ) from None
        yield
