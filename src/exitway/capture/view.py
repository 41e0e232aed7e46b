"""What a sealed workload sees of the machine's file system: all of it, but no socket that leads out, and no switch of the kernel.

Files are not what Exitway controls; a Unix socket is a way out (Docker, D-Bus, systemd-resolved, ssh-agent, tmux, X11), and so is a kernel
setting that runs a program outside (``/proc/sys/kernel/core_pattern``), which uid 0 may write without any capability. So is /etc: the proxy
resolves names with the machine's hosts file, and cron, the loader and others do as files there say.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from exitway.capture import kernel
from exitway.names.address import RESOLVER_IPV4

_RUN = Path("/run")
_KEPT = ("wrappers", "media")
"""Directories of /run that are no state of the machine: NixOS's programs, the user's disks."""
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_RESOLV_CONF = f"nameserver {RESOLVER_IPV4}\nsearch .\noptions timeout:1 attempts:2\n"
"""``search .``: a short name is asked for as it stands, not with the machine's own domain behind it."""


def mount_view(hidden: Iterable[str], sockets: Iterable[str]) -> None:
    """Change the mounts of this process, which has a mount and a PID namespace of its own.

    ``hidden``: directories that become empty. ``sockets``: Unix sockets that nobody answers any more.

    Raises:
        OSError: the kernel refuses a mount.
    """
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    kernel.mount("proc", "/proc", "proc", flags=kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    for path in filter(os.path.exists, _READ_ONLY):
        kernel.mount(path, path, flags=kernel.MS_BIND | kernel.MS_REC)
        kernel.make_read_only(path)
    kernel.make_read_only("/sys")
    for path in sockets:
        _cover(path)
    for path in hidden:
        kernel.mount("tmpfs", path, "tmpfs", flags=kernel.MS_RDONLY, data="mode=0555")
    _renew_run()
    kernel.mount("/etc", "/etc", flags=kernel.MS_BIND | kernel.MS_REC)  # a mount point cannot be renamed, either
    _put(Path("/etc/resolv.conf"), _RESOLV_CONF)
    _put(Path("/etc/hosts"), f"127.0.0.1 localhost {os.uname().nodename}\n::1 localhost ip6-localhost ip6-loopback\n")
    kernel.make_read_only("/etc")


def bound_sockets() -> list[str]:
    """The paths of all Unix sockets that somebody in our network namespace has bound (``/proc/net/unix``, proc_net_unix in the kernel)."""
    lines = Path("/proc/net/unix").read_bytes().splitlines()[1:]
    paths = {os.fsdecode(fields[7]) for fields in (line.split(maxsplit=7) for line in lines) if len(fields) == 8}
    return sorted(path for path in paths if path.startswith("/") and not path.startswith(("/run/", "/var/run/")))


def _cover(path: str) -> None:
    try:
        bound = stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:  # in another root directory, removed, or out of our reach
        return
    if bound:
        kernel.mount("/dev/null", path, flags=kernel.MS_BIND)


def _renew_run() -> None:
    """An empty /run with its usual directories, and what was in it that is not state: links out of it, and :data:`_KEPT`."""
    links = {entry.name: entry.readlink() for entry in _RUN.iterdir() if entry.is_symlink()}
    kept = {name: os.open(_RUN / name, os.O_PATH) for name in _KEPT if (_RUN / name).is_dir()}
    kernel.mount("tmpfs", str(_RUN), "tmpfs", flags=kernel.MS_NOSUID | kernel.MS_NODEV, data="mode=0755")
    for name, descriptor in kept.items():
        (_RUN / name).mkdir()
        kernel.mount(f"/proc/self/fd/{descriptor}", f"{_RUN}/{name}", flags=kernel.MS_BIND | kernel.MS_REC)
        os.close(descriptor)
    for name, mode in _usual_directories():
        (_RUN / name).mkdir()
        (_RUN / name).chmod(mode)
    for name, target in links.items():
        if not (_RUN / name).exists():
            (_RUN / name).symlink_to(target)


def _usual_directories() -> Iterator[tuple[str, int]]:
    yield "exitway", 0o755
    yield "lock", 0o1777
    yield "user", 0o755
    yield f"user/{os.getuid()}", 0o700


def _put(path: Path, text: str) -> None:
    """Give a file another content. Where there is none, none is made: a resolver without a file asks 127.0.0.1, where ours is, too."""
    real = Path(os.path.realpath(path))
    if real.is_relative_to(_RUN):
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text)
    elif real.exists():
        content = _RUN / "exitway" / path.name
        content.write_text(text)
        kernel.mount(str(content), str(real), flags=kernel.MS_BIND)
