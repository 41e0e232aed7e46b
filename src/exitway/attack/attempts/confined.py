"""Leaving the namespaces, or changing them from within."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from exitway.attack.attempts.http import request
from exitway.attack.attempts.inward import sockets
from exitway.attack.attempts.sockets import send_raw
from exitway.attack.probe import Reached, Tries, Try, all_at_once, c_call, exchange, system_call, talk
from exitway.attack.target import Target

_PIDFD_OPEN = 434
_NEW_USER, _NEW_NET, _NEW_MOUNTS = 0x10000000, 0x40000000, 0x00020000
_TUNSETIFF, _IFF_TUN = 0x400454CA, 1
_REACHED = "reached: "


def other_namespaces(target: Target) -> Tries:
    """A14."""
    own = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - it is a link
    paths = [f"/proc/{pid}/ns/net" for pid in os.listdir("/proc") if pid.isdecimal()]  # noqa: PTH208
    paths += [
        str(path) for directory in (*target.directories, "/run/netns", "/var/run/netns") for path in _files(directory)
    ]
    refused = 0
    for path in paths:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if os.fstat(descriptor).st_ino != own:
                    c_call("setns", ctypes.c_int(descriptor), ctypes.c_int(_NEW_NET))
                    raise Reached(f"the network namespace of {path} can be entered")
            finally:
                os.close(descriptor)
                refused += 1
    for pid in (1, os.getppid()):
        with contextlib.suppress(OSError):
            descriptor = system_call(_PIDFD_OPEN, pid, 0)
            c_call("setns", ctypes.c_int(descriptor), ctypes.c_int(_NEW_MOUNTS))
            raise Reached(f"the mounts of process {pid} can be entered")
    return [f"{refused} namespaces, none to be entered"]


def _files(directory: str) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (path for path in Path(directory).rglob("*") if path.is_file())


def own_namespaces(target: Target) -> Tries:
    """A15. In a user namespace of its own a program has every capability, over nothing that leads out."""
    return [*_in_child(_new_network, target), *_in_child(_new_mounts, target), *_in_child(_new_user, target)]


def _in_child(action: Callable[[Target], Tries], target: Target) -> list[str]:
    """In a process that ends with it: neither namespaces nor users can be gone back to."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "it broke"
        try:
            said = "\n".join(all_at_once(action(target)))
        except Reached as reached:
            said = f"{_REACHED}{reached}"
        except OSError as error:
            said = str(error.strerror)
        finally:
            os.write(writing, said.encode()[:60_000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    if said.startswith(_REACHED):
        raise Reached(said.removeprefix(_REACHED))
    return said.splitlines()


def _become_root_of(flags: int) -> None:
    maps = {"setgroups": "deny", "uid_map": f"0 {os.getuid()} 1", "gid_map": f"0 {os.getgid()} 1"}
    c_call("unshare", ctypes.c_int(_NEW_USER | flags))
    for file, text in maps.items():
        with contextlib.suppress(OSError):  # nobody, but with every capability there
            Path(f"/proc/self/{file}").write_text(text)


def _new_network(target: Target) -> Tries:
    parent = os.getppid()
    _become_root_of(_NEW_NET)
    said: Tries = [f"a network namespace with {[name for _, name in socket.if_nameindex()]}"]
    if ip := shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        commands = (
            "link set lo up",
            f"link add v0 type veth peer name v1 netns {parent}",
            "link add d0 type dummy",
            "link set d0 up",
            "route add default dev d0",
        )
        said += [f"ip {command}: {_outcome([ip, *command.split()])}" for command in commands]
        if _outcome([ip, "link", "show", "v0"]) == "done":
            raise Reached("a new namespace can be joined to that of the workload")
    return [*said, Try("TCP", talk, target.ipv4, 80, b"x\r\n"), Try("raw IP", send_raw, bytes(28), target.ipv4)]


def _new_mounts(target: Target) -> Tries:
    _become_root_of(_NEW_MOUNTS)
    paths = ("/run", "/etc/resolv.conf", "/etc", "/proc/sys", *target.directories)
    said = [Try(f"umount {path}", c_call, "umount2", path.encode(), ctypes.c_int(2))() for path in paths]
    return [*said, *sockets(target)]


def _new_user(target: Target) -> Tries:
    _become_root_of(0)
    return rules(target)


def _outcome(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return "done" if ended.returncode == 0 else (ended.stderr.strip().splitlines() or [str(ended.returncode)])[0][:60]


def rules(target: Target) -> Tries:
    """A16."""
    where = "/usr/sbin:/sbin:/usr/bin:/bin"
    commands = (
        "nft flush ruleset",
        "nft delete table inet exitway",
        "iptables -F",
        "iptables -t mangle -F",
        "ip6tables -F",
        "ip link add d1 type dummy",
        "ip route del local default table local",
        "ip rule add from all lookup main",
        "ip link set lo down",
    )
    found = [(command, shutil.which(command.split()[0], path=where)) for command in commands]
    outcomes = {command: _outcome([program, *command.split()[1:]]) for command, program in found if program}
    if done := [command for command, outcome in outcomes.items() if outcome == "done"]:
        raise Reached(f"`{done[0]}` works")
    said: Tries = [f"{command}: {outcome}" for command, outcome in outcomes.items()]
    return [*said, Try("TCP", talk, target.ipv4, 80, request(target.ipv4))]


def other_users(target: Target) -> Tries:
    """A17."""
    return [line for uid in (1337, 0, 65534, 100, 101) for line in _in_child(partial(_as_user, uid), target)]


def _as_user(uid: int, target: Target) -> Tries:
    changed = [Try(f"become {uid}", change, uid, uid, uid)() for change in (os.setresgid, os.setresuid)]
    return [*changed, Try("TCP", talk, target.ipv4, 80, request(target.ipv4))]


def marks(target: Target) -> Tries:
    """A18."""
    return [
        Try(f"mark {mark:#x}", _marked, mark, target) for mark in (1, 0x539, 0x1112, 0x200, 0xB00, 0x80000, 0xFFFFFFFF)
    ]


def _marked(mark: int, target: Target) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark.to_bytes(4, sys.byteorder))
        connection.settimeout(1)
        connection.connect((target.ipv4, 80))
        return exchange(connection, request(target.ipv4))


def further_interfaces(target: Target) -> Tries:
    """A22."""
    said: Tries = [Try("bind to a device", _bound_to_device, target)]
    with contextlib.suppress(OSError), open("/dev/net/tun", "r+b", buffering=0) as tun:  # noqa: PTH123 - as everybody does it
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"tun%d", _IFF_TUN))
        raise Reached("a tunnel interface can be made")
    if ip := shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        for kind in ("dummy", "bridge", "ipvlan", "wireguard"):
            outcome = _outcome(
                [ip, "link", "add", *(["link", "lo"] if kind == "ipvlan" else []), "name", "d2", "type", kind]
            )
            if outcome == "done":
                _outcome([ip, "link", "del", "d2"])
                raise Reached(f"an interface of type {kind} can be made")
            said.append(f"{kind}: {outcome}")
    return said


def _bound_to_device(target: Target) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        connection.connect((target.ipv4, 80))
        return b"connected"
