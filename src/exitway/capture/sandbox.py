"""Sealed namespaces for a command.

    this process (``exitway run``)   stays outside; parent of both
      first process (pid 1)          holds the namespaces: network (only ``lo``), mount, IPC, PID; dies with its parent, and all in it with it
      COMMAND                        enters them, gives up every privilege, and only then becomes the command

The ruleset is there before the command, so there is no moment in which it could send anything: without a proxy, everything is refused.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from exitway.capture import kernel
from exitway.capture.job import Job
from exitway.capture.seal import READY, Seal
from exitway.resources.problem import Problem, Problems


class Sandbox:
    """Namespaces in the making, until :meth:`ready`; from then on ``pid`` is the process by which others find them.

    Begin it before the process has any thread, and start no other process between it and :meth:`execute`: it would be born inside.
    """

    def __init__(self, seal: Seal) -> None:
        """Begin.

        Raises:
            Problems: the kernel makes no more namespaces.
        """
        self._directory = seal.directory
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a caller that ignores it would leave us nothing to wait for
        try:
            kernel.unshare(kernel.CLONE_NEWPID)
        except OSError as error:
            raise _unsealed(error.strerror or "") from None
        self._news, news = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            seal.be_first_process(news)
        self._closed = False
        os.close(news)

    def ready(self) -> None:
        """Wait until the namespaces are sealed.

        Raises:
            Problems: the kernel refused something. Nothing has been started, and nothing remains.
        """
        with os.fdopen(self._news, "rb") as news:
            said = news.read()
        if said != READY:
            self.close()
            raise _unsealed(said.decode(errors="replace") or "its first process was killed")

    def execute(self, command: Sequence[str]) -> int:
        """Run the command to its end: its exit code, or -n when signal n ended it. 127: there is none of this name; 126: it cannot be run."""
        places = [os.open(f"/proc/{self.pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("ipc", "net", "mnt")]
        job = Job()
        child = os.fork()
        if child == 0:
            _become(command, places, self._directory, job)
        for place in places:
            os.close(place)
        try:
            return job.attend(child)
        finally:
            self.close()
            job.finish()

    def close(self) -> None:
        """End everything in the namespaces. They vanish, unless somebody else holds them."""
        if not self._closed:
            self._closed = True
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _unsealed(reason: str) -> Problems:
    hint = "Exitway needs Linux 5.14 or newer with nftables, and a working directory outside /run"
    return Problems([Problem("EXW1103", f"the command cannot be sealed: {reason}", hint)])


def _become(command: Sequence[str], places: Sequence[int], directory: str, job: Job) -> NoReturn:
    """Enter the namespaces, give everything up, and turn into the command."""
    code = 126
    try:
        environment = _environment()
        for place in places:
            kernel.setns(place)
        os.chdir(directory)
        kernel.close_from(3)
        kernel.drop_privileges()
        job.restore_signals()
        code = _exec(command, environment)
    except (OSError, ValueError) as error:  # ValueError: a command without a name
        _say(str(error))
    finally:
        os._exit(code)


def _exec(command: Sequence[str], environment: Mapping[bytes, bytes]) -> int:
    """Turn into the command, as a shell would; where that fails, say why and return the shell's exit code for it."""
    try:
        try:
            os.execvpe(command[0], [*command], environment)  # noqa: S606  no shell is meant
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            script = shutil.which(command[0], path=os.fsdecode(environment.get(b"PATH", b""))) or command[0]
            os.execve("/bin/sh", ["sh", script, *command[1:]], environment)  # noqa: S606  the same
    except OSError as error:
        _say(f"{command[0]}: {error.strerror}")
        return 127 if error.errno in {errno.ENOENT, errno.ENOTDIR} else 126


def _say(text: str) -> None:
    os.write(2, f"exitway: {text}\n".encode(errors="replace"))


def _environment() -> dict[bytes, bytes]:
    """The environment that we were started with. ``os.environ`` is no longer that: Python sets LC_CTYPE where the locale is C (PEP 538)."""
    entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    return dict(entry.split(b"=", 1) for entry in entries if b"=" in entry[1:])
