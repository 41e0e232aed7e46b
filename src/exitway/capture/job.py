"""``exitway run`` as the parent of its command: to the shell, to the terminal and to whoever sends signals, the two are one.

The command stays in our process group. So what the terminal sends (Ctrl-C, Ctrl-Z, a new window size) reaches it from the kernel, once, and is
not passed on; what a person or a program sends to us alone is. When the command stops we stop, so that the shell sees a stopped job.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from typing import NoReturn

_OWN = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT}
_HEARD = signal.valid_signals() - _OWN


class Job:
    """From just before the command is started. From here on no signal is acted on but by :meth:`attend`."""

    def __init__(self) -> None:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        try:
            self._terminal: int | None = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._terminal = None

    def restore_signals(self) -> None:
        """In the child: signals as they were before Python changed them."""
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def attend(self, child: int) -> int:
        """Wait for the command's end: its exit code, or -n when signal n ended it. Meanwhile only the command holds our standard streams."""
        let_go_of_streams()
        while True:
            news = signal.sigwaitinfo(_HEARD)
            if news.si_signo == signal.SIGCHLD:
                ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
                if ended and os.WIFSTOPPED(status):
                    self._stop_too()
                elif ended:
                    return os.waitstatus_to_exitcode(status)
            elif news.si_code <= 0 and news.si_pid != child:  # SI_USER and its like; the kernel's own are positive
                os.kill(child, news.si_signo)

    def finish(self) -> None:
        """Take the terminal back from a process group of the command that is no more (an interactive shell makes its own)."""
        if self._terminal is not None:
            front = os.tcgetpgrp(self._terminal)
            try:
                os.killpg(front, 0)
            except ProcessLookupError:
                os.tcsetpgrp(self._terminal, os.getpgrp())

    def _stop_too(self) -> None:
        """Returns when the shell continues us; the SIGCONT is then waiting to be passed on."""
        front = self._front()
        os.kill(os.getpid(), signal.SIGSTOP)
        if self._terminal is not None and self._front() == os.getpgrp() != front:
            os.tcsetpgrp(self._terminal, front)

    def _front(self) -> int:
        """The terminal's foreground process group; ours, if there is no terminal."""
        return os.getpgrp() if self._terminal is None else os.tcgetpgrp(self._terminal)


def end_like(code: int) -> NoReturn:
    """End this process as the command ended (see :meth:`Job.attend`): the shell says `Terminated`, `Killed`, ... of us as it would of the command."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL has no disposition
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    raise SystemExit(code if code >= 0 else 128 - code)


def let_go_of_streams() -> None:
    """Whoever reads from or writes to the command learns of its end from the command, not from us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    if nothing > 2:
        os.close(nothing)
