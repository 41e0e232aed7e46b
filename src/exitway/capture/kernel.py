"""The system calls that Python 3.11 does not have. Each raises OSError, with the call's name, when the kernel refuses.

Needs Linux 5.14: ``close_range`` (5.9), ``mount_setattr`` (5.12). Numbers are those of the kernel's headers, the same on x86_64 and aarch64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from pathlib import Path
from typing import NoReturn

from exitway.capture import seccomp

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 0x1000, 0x4000, 0x40000, 0x80000
MNT_DETACH = 2

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 1, 22, 24, 28
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 2, 4
_SECCOMP_MODE_FILTER = 2
_SECURE_AND_LOCKED = 0b11101111
"""NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each locked, and KEEP_CAPS locked off: uid 0 is a number like any other."""
_CAPABILITY_VERSION_3 = 0x20080522
_SYS_CLOSE_RANGE, _SYS_MOUNT_SETATTR = 436, 442
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = -100, 0x8000, 1

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave shared namespaces for new ones (``CLONE_NEW*``); a PID namespace begins with the next child."""
    _call("unshare", ctypes.c_int(flags))


def setns(descriptor: int, flags: int = 0) -> None:
    """Enter the namespace of an open ``/proc/PID/ns/*`` file, or those (``flags``: ``CLONE_NEW*``) of a process by its pidfd.

    A network namespace is entered only with the calling thread.
    """
    _call("setns", ctypes.c_int(descriptor), ctypes.c_int(flags))


def enter_user_namespace(*, root: bool = True) -> None:
    """Enter a new user namespace, as uid 0 of it or (``root`` false) as who we are; with every capability in it, until a program is executed."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{0 if root else uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{0 if root else gid} {gid} 1")


def privileged() -> bool:
    """Whether we have the capability to make namespaces and to mount (CAP_SYS_ADMIN, number 21; capabilities(7))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return any(int(line.split()[1], 16) >> 21 & 1 for line in lines if line.startswith("CapEff:"))


def keep_capabilities() -> None:
    """Let the programs that this process executes keep its capabilities, though it is not uid 0 (capabilities(7), the ambient set)."""
    header, held = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    _call("capget", header, held)
    held[2], held[5] = held[1], held[4]  # two halves of: effective, permitted, inheritable
    _call("capset", header, held)
    for capability in range(64):
        if held[1 + capability // 32 * 3] >> capability % 32 & 1:
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def mount(source: str, target: str, kind: str = "none", *, flags: int = 0, data: str = "") -> None:
    """Mount a file system (``kind``) or, with ``MS_BIND``, a part of one a second time; or change a mount."""
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _call("mount", *arguments, path=target)


def unmount(target: str) -> None:
    """Take a mount away, for whoever does not use it already."""
    _call("umount2", os.fsencode(target), ctypes.c_int(MNT_DETACH), path=target)


def make_read_only(target: str) -> None:
    """Make a mount, and all mounts below it, read-only."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY)
    where = (ctypes.c_long(_AT_FDCWD), os.fsencode(target), ctypes.c_long(_AT_RECURSIVE))
    what = (ctypes.byref(attributes), ctypes.c_long(ctypes.sizeof(attributes)))
    _call("syscall", ctypes.c_long(_SYS_MOUNT_SETATTR), *where, *what, path=target)


def die_with_parent() -> None:
    """Be killed when the parent ends. The caller makes sure that it has not ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def close_from(lowest: int) -> None:
    """Close every file descriptor from this one on."""
    _call(
        "syscall", ctypes.c_long(_SYS_CLOSE_RANGE), ctypes.c_long(lowest), ctypes.c_long(0xFFFFFFFF), ctypes.c_long(0)
    )


def exist() -> NoReturn:
    """Only hold the namespaces that we are in, until killed. Nothing stays open; orphans are buried (by the kernel, where SIGCHLD is ignored)."""
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.chdir("/")
    close_from(0)
    while True:
        signal.pause()


def drop_privileges() -> None:
    """Give up every capability, the way back to any, and the calls of :mod:`exitway.capture.seccomp`. For this process and all it becomes."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _prctl(_PR_SET_SECUREBITS, _SECURE_AND_LOCKED)
    for capability in range(64):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != errno.EINVAL:  # beyond the kernel's last capability
                raise
            break
    _call("capset", (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _install(seccomp.program(seccomp.MACHINES[os.uname().machine]))


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _install(instructions: bytes) -> None:
    program = _Program(len(instructions) // 8, instructions)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))


def _prctl(option: int, *arguments: int) -> None:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    _call("prctl", ctypes.c_int(option), *map(ctypes.c_ulong, padded))


def _call(name: str, *arguments: object, path: str | None = None) -> None:
    if getattr(_libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", path)
