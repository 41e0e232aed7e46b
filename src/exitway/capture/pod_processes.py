"""Which processes are a pod's, without asking a container runtime: the kubelet gives each pod a cgroup that has the pod's uid in its name.

    cgroupfs                     /kubepods/burstable/pod3a9e.../8e5c...
    systemd                      /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3a9e_....slice/cri-containerd-8e5c....scope
    systemd, CRI-O               the same, ending in crio-8e5c....scope; conmon, which is outside of the pod's namespaces, is there as well
    containerd against systemd   /system.slice/containerd.service/kubepods-besteffort-pod3a9e_....slice:cri-containerd:8e5c...

Version 1 has a line for each hierarchy. The path is relative to the reader's cgroup namespace, so it may begin with ``/../..``; in a cluster within a
cluster, the outer pod's uid stands before the inner one's.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from exitway.processes import Process

_POD = re.compile(r"[/-]pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?=[./:]|$)", re.MULTILINE)
_STRANGER_SECONDS = 1.0
"""How long a process is looked at anew: it enters its cgroup, and its namespaces, just after its birth."""


def pod_uids(cgroup: str) -> list[str]:
    """The uids of pods in the content of ``/proc/PID/cgroup``, the outermost first."""
    return [uid.replace("_", "-") for uid in dict.fromkeys(_POD.findall(cgroup))]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A network namespace of a pod, by its inode, and a process in it."""

    process: Process
    inode: int


class PodProcesses:
    """Looks for the network namespaces of pods. A look reads little of processes that were strangers before."""

    def __init__(self) -> None:
        self._home = Path("/proc/self/ns/net").stat().st_ino
        self._strangers: dict[str, float] = {}

    def sandboxes(self, wanted: Collection[str]) -> dict[str, Sandbox]:
        """By uid. Of several namespaces of one pod it is that of the oldest process: one that the pod has made itself comes later."""
        found: dict[str, list[Sandbox]] = {}
        now, seen = time.monotonic(), dict[str, float]()
        for pid in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208 - as fast as it can be
            first = self._strangers.get(pid, now)
            if now - first > _STRANGER_SECONDS:
                seen[pid] = first
                continue
            uid = _pod_of(pid, wanted)
            if uid is None:
                seen[pid] = first
            elif sandbox := self._sandbox(pid):
                found.setdefault(uid, []).append(sandbox)
        self._strangers = seen
        return {uid: min(some, key=lambda one: one.process.start_time) for uid, some in found.items()}

    def forget(self) -> None:
        """Look at every process again: others are wanted now."""
        self._strangers = {}

    def _sandbox(self, pid: str) -> Sandbox | None:
        process = Process.of(int(pid))
        try:
            inode = Path(f"/proc/{pid}/ns/net").stat().st_ino
        except OSError:  # it has ended
            return None
        return Sandbox(process, inode) if process and inode != self._home else None


def _pod_of(pid: str, wanted: Collection[str]) -> str | None:
    try:
        descriptor = os.open(f"/proc/{pid}/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, 1 << 14).decode(errors="replace")
        finally:
            os.close(descriptor)
    except OSError:  # it has ended
        return None
    return next((uid for uid in pod_uids(text) if uid in wanted), None)
