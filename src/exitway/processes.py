"""Processes that outlive the one that started them, and how to know them again."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    start_time: int  # clock ticks since boot, /proc/<pid>/stat field 22

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process with this id, if there is one and it is no zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return Process.of(self.pid) == self

    async def ended(self) -> None:
        """Wait for its end."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, gone.set)
        try:
            if self.alive:
                await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
