"""Commands in pods, by ``kubectl exec``: plugins for credentials, proxies and the protocol of streams are its affair."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio import subprocess
from asyncio.subprocess import PIPE
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exitway.processes import Process

LONGEST_LINE = 2**20
"""Bytes."""
_LAST_WORDS = 5
"""Lines of stderr that are kept."""

_WHILE_ASKED = """\
exec 3<&0
"$@" </dev/null & command=$!
{ while read -r _; do :; done <&3; kill $command; } >/dev/null 2>&1 & listening=$!
wait $command; code=$?
kill $listening 2>/dev/null
exit $code
"""
"""A script that ends its command with its own input. What ``kubectl exec`` has started lives on when kubectl ends, but its input ends."""


class Failed(Exception):  # noqa: N818 - it is a state
    """The command ended badly, or could not be begun: why, in its own last words."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """For the cluster of a kubeconfig and a context, by default as it finds them itself."""

    kubeconfig: Path | None = None
    context: str | None = None

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        return shutil.which("kubectl") is not None

    async def lines(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> AsyncGenerator[bytes]:
        """What a command prints in a container, line by line. It ends with us. Raises Failed."""
        chosen = [f"--kubeconfig={self.kubeconfig}"] * bool(self.kubeconfig) + [f"--context={self.context}"] * bool(
            self.context
        )
        words = ["exec", "-i", "-n", namespace, pod, "-c", container, "--", "sh", "-c", _WHILE_ASKED, "sh", *command]
        try:
            process = await asyncio.create_subprocess_exec(
                "kubectl",
                *chosen,
                *words,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,
            )
        except OSError as error:
            raise Failed(f"kubectl cannot be run: {error.strerror}") from None
        leader, said = Process.of(process.pid), deque[str](maxlen=_LAST_WORDS)
        listening = asyncio.create_task(_listen(process, said))
        try:
            assert process.stdout
            async for line in process.stdout:
                yield line
            if leader:
                await leader.ended()
            _end_group(process.pid, leader)
            await listening
        except ValueError:
            raise Failed(f"it says a line of more than {LONGEST_LINE} bytes") from None
        finally:
            _end_group(process.pid, leader)
            await process.wait()
            listening.cancel()
        if process.returncode:
            raise Failed(_why(said, process.returncode))


async def _listen(process: subprocess.Process, said: deque[str]) -> None:
    """What is much is not kept."""
    assert process.stderr
    with contextlib.suppress(ValueError):
        async for line in process.stderr:
            said.append(line.decode(errors="replace").strip())


def _end_group(group: int, leader: Process | None) -> None:
    """Also a plugin for credentials that has kubectl's stderr still: until that is closed, asyncio waits even for what has ended.

    Where another process than ``leader`` has that number by now, there is no such group any more.
    """
    if Process.of(group) in (leader, None):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left, or somebody else's (sudo)
            os.killpg(group, signal.SIGKILL)


def _why(said: Sequence[str], code: int) -> str:
    """The command's own words, rather than kubectl's about its exit code."""
    words = [line for line in said if line and not line.startswith("command terminated with exit code")]
    return " ".join(words) or f"kubectl ended with exit code {code}"
