"""The system calls that a workload is refused, as a seccomp filter (classic BPF). Pure.

The network namespace and the ruleset stop packets; this stops what would go round packets:

* sockets that are neither IP nor local (AF_VSOCK and AF_BLUETOOTH know no network namespaces; AF_PACKET and AF_XDP no ruleset), and MPTCP,
* a terminal being typed into (TIOCSTI, TIOCLINUX): the shell that reads it is outside,
* the kernel's key service: ``request_key`` of the type ``dns_resolver`` has the host ask its own name server,
* io_uring and bpf: they do what others are refused.

https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_IPPROTO_MPTCP = 262
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_IO_URING = (425, 426, 427)

_LOAD, _JUMP_EQUAL, _JUMP_NOT_BELOW, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in ``struct seccomp_data``. Of an argument the low half counts: the kernel's own parameters here are 32 bits wide."""
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand (``struct sock_filter``)."""


@dataclass(frozen=True)
class Machine:
    """The numbers of an architecture. ``foreign_from``: call numbers from here on belong to another ABI (x32); 0: there is none."""

    audit: int
    socket: int
    ioctl: int
    refused: tuple[int, ...]
    foreign_from: int = 0


MACHINES = {
    "x86_64": Machine(0xC000003E, 41, 16, (321, 248, 249, 250, *_IO_URING), 0x40000000),
    "aarch64": Machine(0xC00000B7, 198, 29, (280, 217, 218, 219, *_IO_URING)),
}
"""``refused``: bpf, add_key, request_key, keyctl, io_uring_setup, io_uring_enter, io_uring_register."""


def program(machine: Machine) -> bytes:
    """The filter as an array of ``struct sock_filter``. Calls of another architecture (32-bit programs) are all refused."""
    foreign = _when(_JUMP_NOT_BELOW, machine.foreign_from, [_refuse(errno.EPERM)]) if machine.foreign_from else []
    return b"".join(
        struct.pack("<HBBI", *instruction)
        for instruction in [
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_JUMP_EQUAL, 1, 0, machine.audit),
            _refuse(errno.EPERM),
            (_LOAD, 0, 0, _NUMBER),
            *foreign,
            *_any_of(machine.refused, _refuse(errno.EPERM)),
            *_when(_JUMP_EQUAL, machine.ioctl, _ioctl()),
            *_when(_JUMP_EQUAL, machine.socket, _socket()),
            (_RETURN, 0, 0, _ALLOW),
        ]
    )


def _ioctl() -> list[Instruction]:
    return [_argument(1), *_any_of((_TIOCSTI, _TIOCLINUX), _refuse(errno.EPERM)), (_RETURN, 0, 0, _ALLOW)]


def _socket() -> list[Instruction]:
    """The errors are those of a kernel without the protocol: programs know them, and fall back to TCP."""
    families = (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)
    return [
        _argument(2),
        *_any_of((_IPPROTO_MPTCP,), _refuse(errno.EPROTONOSUPPORT)),
        _argument(0),
        *_any_of(families, (_RETURN, 0, 0, _ALLOW)),
        _refuse(errno.EAFNOSUPPORT),
    ]


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _refuse(error: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)


def _when(jump: int, operand: int, block: list[Instruction]) -> list[Instruction]:
    """The block if the loaded value compares true, else what follows it. The block ends with a return."""
    return [(jump, 0, len(block), operand), *block]


def _any_of(values: Iterable[int], verdict: Instruction) -> list[Instruction]:
    return [instruction for value in values for instruction in _when(_JUMP_EQUAL, value, [verdict])]
