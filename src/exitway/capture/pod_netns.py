"""The capture of a pod from outside: what ``pod.py`` says, done in its network namespace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exitway.capture import pod
from exitway.capture.netns import in_netns, pin, unpin
from exitway.capture.pod_processes import Sandbox
from exitway.capture.tools import ask, feed
from exitway.names.cluster import NODE_RESOLVER_PORT

_NET = Path("/proc/sys/net")
_LOWEST_PORT = _NET / "ipv4/ip_unprivileged_port_start"
_INTERFACES = Path("/proc/thread-self/net/dev")


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


def install(netns: Path, capture: pod.PodCapture, owner: str) -> None:
    """Capture the pod, or capture it anew; what runs in it goes on.

    Raises:
        OSError: what the kernel, ``ip`` or ``nft`` has against it. What was captured before stays so.
    """
    in_netns(netns, lambda: _install(capture, owner))


def _install(capture: pod.PodCapture, owner: str) -> None:
    """The ruleset comes last: where it is, all else is."""
    if int(_LOWEST_PORT.read_text()) <= NODE_RESOLVER_PORT:
        _LOWEST_PORT.write_text(str(NODE_RESOLVER_PORT + 1))  # nobody takes our ports while no proxy is there
    for family in ("-4", "-6") if (_NET / "ipv6").exists() else ("-4",):
        feed("ip", family, "-batch", "-", text="".join(_routes(family)))
    feed("nft", "-f", "-", text=pod.ruleset(capture, owner))


def _routes(family: str) -> Iterator[str]:
    """What is there already is not added again: rules may stand twice."""
    there = {line.partition(":")[0] for line in ask("ip", family, "rule", "show").splitlines()}
    yield from (f"{line}\n" for line in pod.rules().splitlines() if line.split()[3] not in there)
    names = [line.partition(":")[0].strip() for line in _INTERFACES.read_text().splitlines()[2:]]
    for metric, name in enumerate(sorted(names, key=lambda name: (name != "lo", name)), start=1):
        if family == "-4" or _has_ipv6(name):
            yield pod.route(name, str(metric))


def _has_ipv6(interface: str) -> bool:
    """Where it is switched off, there is nothing to route."""
    return (_NET / "ipv6/conf" / interface / "disable_ipv6").read_text().strip() == "0"


def _inode(path: Path) -> int:
    """Of the namespace that is pinned there; zero: none is, such as where the mounts of a container are gone."""
    try:
        found, home = path.stat(), Path("/proc/self/ns/net").stat()
    except OSError:
        return 0
    return found.st_ino if found.st_dev == home.st_dev else 0
