"""The first process of a container whose work may die and has to come back, while what it has started lives on."""

from __future__ import annotations

import os
import signal
import time

PAUSE_SECONDS = (0.1, 5.0)
"""Before the work is begun again: the least, and the most, when it ends at once time after time."""
_QUICK_SECONDS = 10.0
_ENDS = {signal.SIGTERM, signal.SIGINT}


def keep(command: list[str]) -> int:
    """Run the command, and again when it ends; until we are told to end (SIGTERM, SIGINT), which it is told, too. Returns its exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS | {signal.SIGCHLD})
    pause = PAUSE_SECONDS[0]
    while True:
        began = time.monotonic()
        child = os.posix_spawn(command[0], command, os.environ, setsigmask=[], setsigdef=_ENDS)
        status, told = _attend(child)
        if told:
            return os.waitstatus_to_exitcode(status)
        quick = time.monotonic() - began < _QUICK_SECONDS
        pause = min(PAUSE_SECONDS[1], 2 * pause) if quick else PAUSE_SECONDS[0]
        if signal.sigtimedwait(_ENDS, pause):
            return 0


def _attend(child: int) -> tuple[int, bool]:
    """Wait for its end, and pass on what we are told meanwhile: its status, and whether we were."""
    told = False
    while True:
        news = signal.sigwaitinfo(_ENDS | {signal.SIGCHLD})
        if news.si_signo in _ENDS:
            told = True
            os.kill(child, news.si_signo)  # it is our child: as long as we have not waited for it, its id is its own
        else:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status, told
