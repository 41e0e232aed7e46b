import errno
import struct

import pytest

from exitway.capture.seccomp import MACHINES, program

ALLOW, EPERM, FAMILY, PROTOCOL = 0, errno.EPERM, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT

NUMBERS = {
    "x86_64": {
        "read": 0,
        "socket": 41,
        "ioctl": 16,
        "connect": 42,
        "bpf": 321,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
    },
    "aarch64": {
        "read": 63,
        "socket": 198,
        "ioctl": 29,
        "connect": 203,
        "bpf": 280,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
    },
}
IO_URING = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}

CALLS = [
    ("read", (), ALLOW),
    ("connect", (), ALLOW),
    ("bpf", (), EPERM),
    ("add_key", (), EPERM),
    ("request_key", (), EPERM),
    ("keyctl", (), EPERM),
    *((name, (), EPERM) for name in IO_URING),
    ("ioctl", (0, 0x5401), ALLOW),  # TCGETS
    ("ioctl", (0, 0x5412), EPERM),  # TIOCSTI
    ("ioctl", (0, 0x541C), EPERM),  # TIOCLINUX
    ("ioctl", (0, 0xFFFFFFFF00005412), EPERM),  # the kernel looks at the low half only (CVE-2019-10063)
    ("socket", (1, 1, 0), ALLOW),  # AF_UNIX
    ("socket", (2, 1, 6), ALLOW),
    ("socket", (10, 2, 17), ALLOW),
    ("socket", (16, 3, 0), ALLOW),  # AF_NETLINK
    ("socket", (0xFFFFFFFF00000002, 1, 0), ALLOW),
    ("socket", (2, 1, 262), PROTOCOL),  # MPTCP
    ("socket", (10, 1, 262), PROTOCOL),
    *(("socket", (family, 1, 0), FAMILY) for family in (0, 3, 15, 17, 21, 29, 30, 31, 33, 37, 38, 40, 41, 44, 45)),
]


def verdict(instructions, audit, number, arguments):
    """What the kernel's interpreter would return: the errno, 0 to allow."""
    data = struct.pack("<iIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
    at, loaded = 0, 0
    while True:
        code, true, false, operand = struct.unpack_from("<HBBI", instructions, 8 * at)
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, operand)
        elif code == 0x15:
            at += true if loaded == operand else false
        elif code == 0x35:
            at += true if loaded >= operand else false
        else:
            assert code == 0x06
            assert operand == 0x7FFF0000 or operand >> 16 == 5
            return 0 if operand == 0x7FFF0000 else operand & 0xFFFF


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "arguments", "expected"), CALLS)
def test_a_call_gets_its_verdict(machine, name, arguments, expected):
    instructions = program(MACHINES[machine])
    number = (NUMBERS[machine] | IO_URING)[name]
    assert verdict(instructions, MACHINES[machine].audit, number, arguments) == expected


def test_calls_of_another_abi_are_refused():
    x86 = program(MACHINES["x86_64"])
    assert verdict(x86, 0x40000003, 0, ()) == EPERM  # i386
    assert verdict(x86, MACHINES["x86_64"].audit, 0x40000000 | 41, (1, 1, 0)) == EPERM  # x32
    assert verdict(program(MACHINES["aarch64"]), 0x40000028, 0, ()) == EPERM  # arm
