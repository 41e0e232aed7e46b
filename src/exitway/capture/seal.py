"""The first process of a sealed workload: it makes the namespaces, says so, and then only exists, to hold them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from exitway.capture import home, kernel, tools, view
from exitway.capture.ruleset import addresses, ruleset
from exitway.capture.seccomp import MACHINES
from exitway.names.address import CAPTURE_PORT, TCP_PORT
from exitway.resources.problem import Problem, Problems

READY = b"ready"
_NET = Path("/proc/sys/net")
_NAMESPACES = kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC


@dataclass(frozen=True)
class Seal:
    """What the first process has to do. ``hidden``: directories that the command finds empty; ``directory``: where it will work."""

    owner: str
    hidden: Sequence[Path]
    directory: str
    ip: str
    nft: str

    @classmethod
    def prepare(cls, owner: str, hidden: Sequence[Path]) -> Seal:
        """Find what it takes, and say all that is missing.

        Raises:
            Problems: privileges, a tool, a machine that we know, a working directory.
        """
        found = {tool: tools.find(tool) for tool in tools.PACKAGES}
        problems = [
            Problem("EXW1102", f"sealing a command needs `{tool}`", f"install {tools.PACKAGES[tool]}")
            for tool in found
            if not found[tool]
        ]
        if not kernel.privileged():
            problems += home.faults()
        if os.uname().machine not in MACHINES:
            problems.append(
                Problem(
                    "EXW1103",
                    f"the command cannot be sealed on {os.uname().machine}",
                    f"known are {', '.join(MACHINES)}",
                )
            )
        try:
            directory = str(Path.cwd())
        except FileNotFoundError:
            problems.append(
                Problem("EXW1104", "the working directory does not exist any more", "change into another one")
            )
        if problems:
            raise Problems(problems)
        return cls(owner, hidden, directory, **found)

    def be_first_process(self, news: int) -> NoReturn:
        """In a child of our own: seal, write :data:`READY` or what went wrong to ``news``, and hold the namespaces until killed."""
        try:
            kernel.die_with_parent()
            try:
                self._make()
            except (OSError, RuntimeError) as error:
                os.write(news, str(error).encode())
            else:
                os.write(news, READY)  # a broken pipe: the parent ended before we could die with it
                kernel.exist()
        finally:
            os._exit(1)

    def _make(self) -> None:
        hidden = list(_real_directories(self.hidden))
        sockets = view.bound_sockets()
        kernel.unshare(_NAMESPACES)
        ipv6 = _set_up_network()
        started = [
            _start([self.ip, "-batch", "-"], addresses(ipv6=ipv6)),
            _start([self.nft, "-f", "-"], ruleset(self.owner)),
        ]
        view.mount_view(hidden, sockets)
        for name, pid, output in started:
            if os.waitpid(pid, 0)[1] != 0:
                raise RuntimeError(f"{name}: {os.pread(output, 300, 0).decode(errors='replace').strip()}")
        try:
            os.chdir(self.directory)
        except OSError as error:
            raise RuntimeError(
                f"its working directory {self.directory} is hidden from it ({error.strerror})"
            ) from error


def _set_up_network() -> bool:
    """Let the program listen on ports below 1024, as root may outside, but not where the proxy does. Whether there is IPv6."""
    (_NET / "ipv4/ip_unprivileged_port_start").write_text(str(max(CAPTURE_PORT, TCP_PORT) + 1))
    ipv6 = (_NET / "ipv6").exists()
    if ipv6:
        (_NET / "ipv6/conf/all/disable_ipv6").write_text(
            "0"
        )  # off in new namespaces where ipv6.disable_ipv6=1 was booted
    return ipv6


def _real_directories(hidden: Sequence[Path]) -> Iterator[str]:
    """Made before they are hidden, or they would be seen when somebody makes them."""
    for path in hidden:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield os.path.realpath(path)


def _start(command: list[str], text: str) -> tuple[str, int, int]:
    """A program with its input: its name, its process, a file with what it says. To import ``subprocess`` takes longer than to run this."""
    given, output = os.memfd_create("input"), os.memfd_create("output")
    os.write(given, text.encode())
    os.lseek(given, 0, os.SEEK_SET)
    streams = [(os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    return command[0], os.posix_spawn(command[0], command, {}, file_actions=streams), output
