"""Where the proxy of an ordinary user lives: a user, a network and a mount namespace, with ``pasta`` (passt(1)) for the way out.

    keeper (``exitway serve``, forked)   stays outside and starts pasta again when it ends; its end is the end of the two below
      holder                             holds the namespaces; its end is the end of the home
      pasta                              stays outside: what the home sends, it says through sockets of its own

The server and Envoy enter the home; ``exitway run`` enters its user namespace only, and seals there. Envoy needs capabilities over its own network
namespace and over the workloads'; so all belong to this one user namespace. Users keep their own id in it: nobody is root, in no file's eyes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from exitway.capture import kernel, tools
from exitway.processes import Process
from exitway.resources.problem import Problem, Problems

FORWARDED_RESOLVER = "169.254.1.1"
"""What pasta leads to :func:`forwarded_resolver`; a link-local address, which no DNS server elsewhere has."""

_START_SECONDS = 10.0
_PAUSE_SECONDS = 0.2
_INSIDE = kernel.CLONE_NEWNET | kernel.CLONE_NEWNS
_SEALING = _INSIDE | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC
_TUN = "/dev/net/tun"
_CLOSED = ("-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw", "--no-dhcp", "--no-dhcpv6", "--no-ra")
"""No port leads in or out, and the gateway's address is the gateway: without these pasta leads to the machine's own loopback."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home, by its holder. ``record``: the file that tells of it. ``new``: it has just been made, so nothing lives in it yet."""

    record: Path
    holder: Process
    new: bool = False

    @classmethod
    def living(cls, directory: Path) -> Home | None:
        """The home of a runtime directory."""
        try:
            content = json.loads(_record(directory).read_text())
            holder = Process(content["pid"], content["start_time"])
        except (OSError, ValueError, KeyError):
            return None
        return cls(_record(directory), holder) if holder.alive else None

    @classmethod
    def of(cls, directory: Path) -> Home:
        """The same, made where there is none. Only before this process has any thread.

        Raises:
            Problems: what it takes is missing or forbidden.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return cls.living(directory) or _make(directory)
        finally:
            os.close(lock)

    def enter(self, *, wholly: bool) -> None:
        """Enter its user namespace and, ``wholly``, the others. Only before this process has any thread.

        Raises:
            Problems: it is no more.
        """
        try:
            descriptor = os.pidfd_open(self.holder.pid)
            try:
                if not self.holder.alive:  # asked with the descriptor at hand: what is entered is what was asked for
                    raise ProcessLookupError
                kernel.setns(descriptor, kernel.CLONE_NEWUSER | (_INSIDE if wholly else 0))
            finally:
                os.close(descriptor)
        except OSError as error:
            message = f"the namespaces of the server are gone ({error.strerror or 'it has just ended'})"
            raise Problems([Problem("EXW1105", message, "try again")]) from error
        kernel.keep_capabilities()

    def end(self) -> None:
        """End it, with all that its keeper keeps."""
        self.record.unlink(missing_ok=True)
        with contextlib.suppress(ProcessLookupError):
            if self.holder.alive:
                os.kill(self.holder.pid, signal.SIGKILL)


def faults() -> list[Problem]:
    """All that an ordinary user lacks here for a home."""
    if os.geteuid() == 0:  # pasta would not stay root
        hint = "give it CAP_SYS_ADMIN, or run it as an ordinary user"
        return [Problem("EXW1101", "root without its privileges may not seal a command", hint)]
    problems = []
    if not tools.find("pasta"):
        hint = "install passt, or run it as root"
        problems.append(Problem("EXW1102", "sealing a command as an ordinary user needs `pasta`", hint))
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        hint = "have root load the module tun and let everybody open the device (mode 0666), or run it as root"
        problems.append(Problem("EXW1101", f"{_TUN}, which pasta needs, cannot be opened: {error.strerror}", hint))
    if reason := _refused():
        switches = (
            "user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns"
        )
        hint = f"have root allow user namespaces (sysctl {switches}), or run it as root"
        problems.append(Problem("EXW1101", f"this system gives an ordinary user no namespaces: {reason}", hint))
    return problems


def forwarded_resolver(path: Path = Path("/etc/resolv.conf")) -> str:
    """The machine's first DNS server over IPv4, if that is on its loopback, such as systemd-resolved: the one that pasta can lead to."""
    text = path.read_text() if path.exists() else ""
    first = re.search(r"^nameserver\s+([0-9.]+)(?!\S)", text, re.MULTILINE)
    return first[1] if first and first[1].startswith("127.") else ""


def _refused() -> str:
    """Why we get no namespaces; empty: we get them. They are asked for, since there are many ways to forbid them."""
    answer, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            kernel.enter_user_namespace(root=False)
            kernel.unshare(_SEALING)
        except OSError as error:
            os.write(told, str(error).encode())
        finally:
            os._exit(0)
    os.close(told)
    os.waitpid(child, 0)
    with os.fdopen(answer) as said:
        return said.read()


def _make(directory: Path) -> Home:
    if problems := faults():
        raise Problems(problems)
    answer, told = os.pipe()
    if os.fork() == 0:
        _keep(directory, told)
    os.close(told)
    with os.fdopen(answer) as said:
        holder = Process.of(int(said.read() or 0))
    if holder is None:
        message = f"pasta gives the proxy no way out: {_last_words(directory)}"
        raise Problems([Problem("EXW1105", message, f"its log is {directory / 'pasta.log'}")])
    draft = directory / "home.json.new"
    draft.write_text(json.dumps({"pid": holder.pid, "start_time": holder.start_time}))
    return Home(draft.rename(_record(directory)), holder, new=True)


def _record(directory: Path) -> Path:
    return directory / "home.json"


def _keep(directory: Path, told: int) -> NoReturn:
    """Be the keeper: say the holder's process id when there is a way out, and nothing when there is none."""
    try:
        os.setsid()
        _be_quiet(directory / "pasta.log", told)
        holder = _hold()
        forward = ["--dns-forward", FORWARDED_RESOLVER] if forwarded_resolver() else []
        command = [tools.find("pasta"), "--foreground", "--quiet", "--config-net", *_CLOSED, *forward, str(holder)]
        pasta = _start(command)
        if _leads_out(holder, pasta):
            os.write(3, str(holder).encode())
            os.close(3)
            while os.wait()[0] != holder:  # it is pasta, which is needed as long as there is a holder
                time.sleep(_PAUSE_SECONDS)
                pasta = _start(command)
    finally:
        os._exit(0)  # who is left dies with its parent


def _be_quiet(log: Path, told: int) -> None:
    """Keep only what we write to: the log, and as number 3 the pipe."""
    os.dup2(told, 3)
    kernel.close_from(4)
    for stream, (path, flags) in enumerate(
        [(Path(os.devnull), os.O_RDONLY), *[(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)] * 2]
    ):
        descriptor = os.open(path, flags, 0o600)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    fcntl.fcntl(3, fcntl.F_SETFD, fcntl.FD_CLOEXEC)


def _hold() -> int:
    """The holder, when it has the namespaces."""
    answer, told = os.pipe()
    keeper = os.getpid()
    holder = os.fork()
    if holder == 0:
        try:
            _die_with(keeper)
            kernel.enter_user_namespace(root=False)
            kernel.unshare(_INSIDE)
            os.write(told, b"ready")
            kernel.exist()
        finally:
            os._exit(1)
    os.close(told)
    os.read(answer, 5)
    os.close(answer)
    return holder


def _start(command: list[str]) -> int:
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _die_with(keeper)
            signal.signal(
                signal.SIGPIPE, signal.SIG_DFL
            )  # Python ignores it, and pasta of 2023 takes that for a failure
            os.execv(command[0], command)  # noqa: S606  no shell is meant
        finally:
            os._exit(127)
    return child


def _die_with(parent: int) -> None:
    kernel.die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def _leads_out(holder: int, pasta: int) -> bool:
    """Wait until the namespace has a default route."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and os.waitpid(pasta, os.WNOHANG)[0] == 0:
        if _default_route(Path(f"/proc/{holder}/net")):
            return True
        time.sleep(0.002)
    return False


def _default_route(net: Path) -> bool:
    """Whether a network namespace has one: to 0.0.0.0, or to ::/0 not over ``lo``, where the kernel puts an unreachable one."""
    four, six = ((net / table).read_text() if (net / table).exists() else "" for table in ("route", "ipv6_route"))
    return "\t00000000\t" in four or re.search(r"^0{32} 00 .*(?<! lo)$", six, re.MULTILINE) is not None


def _last_words(directory: Path) -> str:
    """What pasta said, without what it says of the system's log."""
    try:
        lines = (directory / "pasta.log").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return " / ".join([line for line in lines if line and "syslog" not in line][-3:]) or "it says nothing"
