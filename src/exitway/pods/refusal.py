"""What a pod may not ask for, because it defeats the boundary: its own network, other programs' memory, the node.

What is not known to be harmless is refused. A pod may name what it asks for all the same in the annotation ``exitway.dev/allow-unsafe``,
where the label ``exitway.dev/unsafe-pods`` of its namespace lets it: who may create pods may not, by that alone, let them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from exitway.names.cluster import CAPTURED, UNSAFE, UNSAFE_PODS
from exitway.pods.containers import CONTAINERS, VOLUMES
from exitway.pods.probes import probes
from exitway.pods.unsafe import Unsafe, asks
from exitway.pods.volumes import mounts, readable, volumes
from exitway.resources.problem import MAX_PROBLEMS, Problem, quoted

Json = Mapping[str, Any]

HARMLESS_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "LEASE", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
    "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE", "WAKE_ALARM",
})  # fmt: skip
"""None of these reaches the network, the kernel, or files and processes that a container does not see (capabilities(7))."""

HARMLESS_SYSCTLS = (
    "net.core.", "net.ipv4.tcp_", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range", "net.unix.",
)  # fmt: skip
"""Of those of the network. The others route, forward, and take addresses for one's own."""
MARKING_SYSCTLS = frozenset({"net.ipv4.tcp_fwmark_accept", "net.ipv4.tcp_l3mdev_accept"})
"""Among these: a socket takes the mark of the packet that opened it, and may go elsewhere with it."""

ALLOWABLE = (
    "hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "privileged", "capabilities", "procMount", "hostPath", "sysctls", "token",
    "seccomp", "probes",
)  # fmt: skip
"""What the annotation may name."""


def refused(pod: Json, namespace: Mapping[str, str]) -> tuple[list[Problem], tuple[str, ...]]:
    """All that stands against a pod (or the pod of a template), or the first of very much, and, in words, what is allowed although it does.

    ``namespace``: its labels.
    """
    annotated, problems = _annotated((pod.get("metadata") or {}).get("annotations") or {})
    used, against = dict[str, None](), list[Problem]()
    for one in unsafe(pod):
        if one.word in annotated:
            used[one.word] = None
        elif len(against) < MAX_PROBLEMS:
            against.append(one.problem)
        else:
            break
    if used and namespace.get(UNSAFE_PODS) != "allowed":
        problems.append(_not_let(tuple(used)))
    return [*problems, *against], tuple(used)


def asked(pod: Json) -> tuple[str, ...] | None:
    """Of a pod that is there: what an annotation allows it although it defeats the boundary, in words; None: it has no such annotation."""
    if UNSAFE not in ((pod.get("metadata") or {}).get("annotations") or {}):
        return None
    return refused(pod, {UNSAFE_PODS: "allowed"})[1]


def _not_let(words: Sequence[str]) -> Problem:
    message = f"the annotation {UNSAFE} says {', '.join(words)}, and the namespace does not let its pods say that"
    hint = f"do without, or label the namespace {UNSAFE_PODS}=allowed, if programs in it may get round their rules"
    return Problem("EXW1129", message, hint, "metadata.annotations")


def _annotated(annotations: Mapping[str, str]) -> tuple[set[str], list[Problem]]:
    words = {word.strip() for word in annotations.get(UNSAFE, "").split(",")} - {""}
    unknown = sorted(words - set(ALLOWABLE))
    hint = f"it may name {', '.join(ALLOWABLE)}"
    return words, [
        Problem(
            "EXW1112",
            f"the annotation {UNSAFE} names {quoted(word)}, which is nothing that could be allowed",
            hint,
            "metadata.annotations",
        )
        for word in unknown[:MAX_PROBLEMS]
    ]


def unsafe(pod: Json) -> Iterator[Unsafe]:
    """All of it, in the order of the fields."""
    spec = pod.get("spec") or {}
    yield from _namespaces(spec)
    security = spec.get("securityContext") or {}
    yield from _sysctls(security.get("sysctls") or [])
    yield from _unfiltered(security, "the pod", "spec.securityContext")
    if (spec.get("os") or {}).get("name") == "windows" or "windowsOptions" in security:
        yield Unsafe(
            "",
            Problem(
                "EXW1122", "a pod of Windows cannot be captured", "leave its namespace without a placement", "spec.os"
            ),
        )
    yield from volumes(spec.get("volumes") or [])
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        listed = spec.get(kind) or []
        yield from containers(listed, f"spec.{kind}")
        yield from mounts(listed, f"spec.{kind}", readable(spec.get("volumes") or []))
    if CAPTURED not in ((pod.get("metadata") or {}).get("labels") or {}):
        yield from _names(spec)


def containers(listed: Sequence[Json], field: str) -> Iterator[Unsafe]:
    """What containers ask for; ours ask for what they need, and none of them comes later."""
    for index, container in enumerate(listed):
        if container.get("name") not in CONTAINERS or field == "spec.ephemeralContainers":
            yield from _container(container, f"{field}[{index}]")


def _namespaces(spec: Json) -> Iterator[Unsafe]:
    for word, code, what in (
        ("hostNetwork", "EXW1113", "its network is the node's, so nothing of it can be captured"),
        ("hostPID", "EXW1114", "it sees every process of the node, and through them their networks and tokens"),
        ("hostIPC", "EXW1115", "it shares memory with the processes of the node"),
        (
            "shareProcessNamespace",
            "EXW1116",
            "its containers see the proxy's process, and through it the proxy's token",
        ),
    ):
        if spec.get(word) is True:
            yield asks(word, code, f"{word}: {what}", f"spec.{word}")


def _sysctls(listed: Sequence[Json]) -> Iterator[Unsafe]:
    for index, one in enumerate(listed):
        name = str(one.get("name", "")).replace("/", ".")
        if name in MARKING_SYSCTLS or (name.startswith("net.") and not name.startswith(HARMLESS_SYSCTLS)):
            message = f"the sysctl {quoted(name)} could change where packets go"
            yield asks("sysctls", "EXW1117", message, f"spec.securityContext.sysctls[{index}]")


def _container(container: Json, field: str) -> Iterator[Unsafe]:
    name = quoted(str(container.get("name")))
    security = container.get("securityContext") or {}
    at = f"{field}.securityContext"
    if security.get("privileged") is True:
        yield asks(
            "privileged", "EXW1120", f"container {name} is privileged: it could undo the capture", f"{at}.privileged"
        )
    for capability in (security.get("capabilities") or {}).get("add") or []:
        if bare(capability) not in HARMLESS_CAPABILITIES:
            message = f"container {name} adds the capability {quoted(str(capability))}, which could undo the capture or go round it"
            yield asks("capabilities", "EXW1121", message, f"{at}.capabilities.add")
    if security.get("procMount") not in (None, "Default"):
        yield asks(
            "procMount", "EXW1123", f"container {name} has all of /proc, by which the kernel is set", f"{at}.procMount"
        )
    if security.get("privileged") is not True:  # runtimes give that one no filter, whatever it says
        yield from _unfiltered(security, f"container {name}", at)
    if (security.get("windowsOptions") or {}).get("hostProcess"):
        yield Unsafe(
            "",
            Problem(
                "EXW1122",
                f"container {name} is a process of the node, which cannot be captured",
                field=f"{at}.windowsOptions",
            ),
        )
    yield from probes(container, field)
    mounted = {mount.get("name") for mount in container.get("volumeMounts") or []}
    if mounted & set(VOLUMES):
        message = f"container {name} mounts a volume of the proxy"
        yield asks("token", "EXW1119", message, f"{field}.volumeMounts")
    if container.get("targetContainerName") in CONTAINERS:
        message = f"container {name} would share the processes of {quoted(container['targetContainerName'])}"
        yield Unsafe(
            "", Problem("EXW1116", message, "choose a container of the application", f"{field}.targetContainerName")
        )


def _unfiltered(security: Json, who: str, at: str) -> Iterator[Unsafe]:
    """``Localhost`` is a file on the node, which whoever looks after nodes has written."""
    if (security.get("seccompProfile") or {}).get("type") not in (None, "RuntimeDefault", "Localhost"):
        message = f"{who} has no filter of system calls, and by some of them the node asks name servers"
        yield asks("seccomp", "EXW1130", message, f"{at}.seccompProfile")


def _names(spec: Json) -> Iterator[Unsafe]:
    for kind in ("initContainers", "containers", "volumes"):
        for index, one in enumerate(spec.get(kind) or []):
            if one.get("name") in (VOLUMES if kind == "volumes" else CONTAINERS):
                message = f"the name {quoted(one['name'])} is kept for what is put into the pod"
                yield Unsafe("", Problem("EXW1124", message, "choose another", f"spec.{kind}[{index}].name"))


def bare(capability: object) -> str:
    """As runtimes read it: in any case, with ``CAP_`` or without."""
    return str(capability).upper().removeprefix("CAP_")


def described(allowed: Iterable[str]) -> str:
    """A warning."""
    return f"Exitway cannot hold this pod to its rules: {UNSAFE} allows {', '.join(allowed)}"
