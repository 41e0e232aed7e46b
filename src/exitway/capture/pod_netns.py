"""The capture of a pod from outside: what ``pod.py`` says, done in its network namespace; and what is found there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from exitway.capture import pod
from exitway.capture.netns import in_netns, pin, unpin
from exitway.capture.pod_processes import Sandbox
from exitway.capture.pod_wall import Outlet
from exitway.capture.tools import ask, feed
from exitway.names.address import CAPTURE_PORT, TCP_PORT
from exitway.names.cluster import NODE_RESOLVER_PORT

_NET = Path("/proc/sys/net")
_LOWEST_PORT = _NET / "ipv4/ip_unprivileged_port_start"


def hold(sandbox: Sandbox, path: Path) -> None:
    """Pin a pod's network namespace, unless it is pinned there already.

    Raises:
        OSError: it is no more, or we may not mount.
    """
    if _inode(path) == sandbox.inode:
        return
    unpin(path)
    pin(sandbox.process.pid, path)
    if _inode(path) != sandbox.inode:  # the process has ended, and its id is another's
        unpin(path)
        raise ProcessLookupError(f"process {sandbox.process.pid} has ended")


def install(netns: Path, capture: pod.PodCapture, owner: str) -> tuple[Outlet, ...]:
    """Capture the pod, or capture it anew; what runs in it goes on. Where its packets come out.

    Raises:
        OSError: what the kernel, ``ip`` or ``nft`` has against it. What was captured before stays so.
    """
    interfaces = in_netns(netns, lambda: _install(capture, owner))
    return tuple(_outlet(one) for one in interfaces if one["ifname"] != "lo")


def ports_taken(netns: Path) -> bool:
    """Whether somebody in the pod, while no proxy is there, has a port that the proxy needs: a program that may bind any port.

    Raises:
        OSError: there is no namespace at the path.
    """
    return in_netns(netns, _ports_taken)


def _install(capture: pod.PodCapture, owner: str) -> list[dict[str, Any]]:
    """The ruleset comes last: where it is, all else is. Returns the interfaces, as ``ip`` shows them."""
    if int(_LOWEST_PORT.read_text()) <= NODE_RESOLVER_PORT:
        _LOWEST_PORT.write_text(str(NODE_RESOLVER_PORT + 1))
    interfaces: list[dict[str, Any]] = json.loads(ask("ip", "-json", "-details", "address", "show"))
    names = sorted((one["ifname"] for one in interfaces), key=lambda name: (name != "lo", name))
    for family in ("-4", "-6") if (_NET / "ipv6").exists() else ("-4",):
        feed("ip", family, "-batch", "-", text="".join(_routes(family, names)))
        try:
            feed("ip", family, "-batch", "-", text=pod.rules())
        except OSError:  # they may be there already
            feed("ip", family, "-batch", "-", text="".join(_missing_rules(family)))
    feed("nft", "-f", "-", text=pod.ruleset(capture, owner))
    return interfaces


def _routes(family: str, interfaces: list[str]) -> Iterator[str]:
    for metric, name in enumerate(interfaces, start=1):
        if family == "-4" or _has_ipv6(name):
            yield pod.route(name, str(metric))


def _missing_rules(family: str) -> Iterator[str]:
    there = [line.split()[1:] for line in ask("ip", family, "rule", "show").splitlines()]
    for line in pod.rules().splitlines():
        if ["from", "all", *line.split()[4:]] not in there:
            yield f"{line}\n"


def _has_ipv6(interface: str) -> bool:
    """Where it is switched off, there is nothing to route."""
    return (_NET / "ipv6/conf" / interface / "disable_ipv6").read_text().strip() == "0"


def _outlet(interface: Mapping[str, Any]) -> Outlet:
    found = [ip_address(one["local"]) for one in interface.get("addr_info", ()) if one.get("scope") == "global"]
    return Outlet(_node_end(interface), tuple(found))


def _node_end(interface: Mapping[str, Any]) -> str:
    """The other end of a veth, if it is where we are: both know each other by number."""
    if interface.get("linkinfo", {}).get("info_kind") != "veth" or "link_index" not in interface:
        return ""
    try:
        name = socket.if_indextoname(interface["link_index"])
        (end,) = json.loads(ask("ip", "-json", "-details", "link", "show", "dev", name))
    except (OSError, ValueError):
        return ""
    is_it = end.get("linkinfo", {}).get("info_kind") == "veth" and end.get("link_index") == interface["ifindex"]
    return name if is_it else ""


def _ports_taken() -> bool:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        for port in (CAPTURE_PORT, TCP_PORT):
            with contextlib.suppress(OSError), socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended do not count
                try:
                    probe.bind((address, port))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        return True
    return False


def _inode(path: Path) -> int:
    """Of the namespace that is pinned there; zero: none is, such as where the mounts of a container are gone."""
    try:
        found, home = path.stat(), os.stat("/proc/self/ns/net")  # noqa: PTH116 - not a path of ours
    except OSError:
        return 0
    return found.st_ino if found.st_dev == home.st_dev else 0
