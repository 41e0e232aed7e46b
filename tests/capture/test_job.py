"""The command and the terminal: what is typed reaches it, once, and a shell can stop and continue it."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

from tests.capture.sealed import SEALED

pytestmark = pytest.mark.lab

RUN = " ".join(SEALED)
COUNTER = """
import signal, sys, time
got = []
for number in (signal.SIGINT, signal.SIGWINCH):
    signal.signal(number, lambda number, _: got.append(number.name if hasattr(number, "name") else signal.Signals(number).name))
print("ready", flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.3)
print("got", *got, ".", flush=True)
"""


class Terminal:
    """A program that has a terminal of its own."""

    def __init__(self, *command, environment=os.environ):
        self.master, slave = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**environment, "PS1": "outer> ", "TERM": "dumb", "HISTFILE": "/dev/null"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, seconds=20):
        """Read until the pattern is there; forget all up to it."""
        until = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            assert select.select([self.master], [], [], max(0, until - time.monotonic()))[0], self.seen
            try:
                self.seen += os.read(self.master, 4096).decode()
            except OSError:
                raise AssertionError(f"ended: {self.seen}") from None
        self.seen = self.seen[match.end() :]
        return match[0]

    def await_other_front(self, *groups, seconds=20):
        """Wait until a process group that is none of these has the terminal; which one it is."""
        until = time.monotonic() + seconds
        while (front := os.tcgetpgrp(self.master)) in groups:
            assert time.monotonic() < until
            time.sleep(0.005)
        return front

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def shell():
    return Terminal("bash", "--norc", "--noprofile", "-i")


def test_a_key_for_the_program_arrives_once():
    with Terminal(*SEALED, sys.executable, "-c", COUNTER) as terminal:
        terminal.expect("ready")
        terminal.type("\x03")
        assert terminal.expect(r"got .*\.") == "got SIGINT ."
        assert terminal.process.wait(10) == 0


def test_a_new_window_size_arrives_once():
    with Terminal(*SEALED, sys.executable, "-c", COUNTER) as terminal:
        terminal.expect("ready")
        termios.tcsetwinsize(terminal.master, (33, 77))
        assert terminal.expect(r"got .*\.") == "got SIGWINCH ."


def test_a_signal_from_a_person_arrives_once():
    with Terminal(*SEALED, sys.executable, "-c", COUNTER) as terminal:
        terminal.expect("ready")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.expect(r"got .*\.") == "got SIGINT ."


def test_a_shell_sees_it_interrupted_as_it_would_the_command():
    with shell() as terminal:
        terminal.type(f"{RUN} sh -c 'echo be''gun; exec sleep 60'\n")
        terminal.expect("begun")
        terminal.type("\x03")
        terminal.expect(r"outer> ")
        terminal.type("echo code $?.\n")
        assert terminal.expect(r"code \d+") == "code 130"


def test_a_shell_stops_and_continues_it():
    with shell() as terminal:
        terminal.type(f"{RUN} sh -c 'echo be''gun; read line; echo \"got $line\"; exit 7'\n")
        terminal.expect("begun")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.expect("outer> ")
        terminal.type("fg\n")
        terminal.expect("fg\r\n.*\r\n")
        terminal.type("hello\n")
        terminal.expect("got hello")
        terminal.type("echo code $?.\n")
        terminal.expect(r"code 7\.")


def test_an_interactive_shell_inside_has_job_control_and_gives_the_terminal_back():
    with shell() as terminal:
        terminal.type(f"PS1='inner> ' {RUN} bash --norc --noprofile -i\n")
        terminal.expect("inner> $")
        terminal.type("case $- in *m*) echo job''control;; esac\n")
        terminal.expect("jobcontrol")
        bash = os.tcgetpgrp(terminal.master)
        terminal.type("sh -c 'echo be''gun; exec sleep 60'\n")
        # Not when the front changes: until bash's child has become the program a key is lost, in bash alone too.
        terminal.expect("begun")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.expect("inner> ")
        terminal.type("fg\n")
        terminal.await_other_front(bash)
        terminal.type("\x03")
        terminal.expect("inner> ")
        terminal.type("suspend\n")
        terminal.expect("Stopped")
        terminal.expect("outer> ")
        terminal.type("fg\n")
        terminal.expect("bash --norc")
        terminal.type("echo in''side\n")
        terminal.expect("inside")
        terminal.type("exit 9\n")
        terminal.expect("outer> ")
        terminal.type("echo code $?.\n")
        terminal.expect(r"code 9\.")


def test_without_job_control_the_caller_has_the_terminal_again():
    script = f"{RUN} bash --norc --noprofile -ic 'exit 4'; echo code $?.; read line; echo \"got $line\""
    with Terminal("sh", "-c", script) as terminal:
        terminal.expect(r"code 4\.")
        terminal.type("hello\n")
        terminal.expect("got hello")


def test_nobody_inside_types_for_the_caller():  # TIOCSTI: the shell outside would read it
    program = "import fcntl, termios\ntry: fcntl.ioctl(0, termios.TIOCSTI, b'x'); print('typed')\nexcept OSError as error: print('errno', error.errno)"
    with Terminal(*SEALED, sys.executable, "-c", program) as terminal:
        assert terminal.expect(r"typed|errno \d+") == "errno 1"
