"""Builds a lab round a command: ``launch(["curl", "http://httpbin.org/headers"])``.

    this process              waits, passes signals on
      first process (pid 1)   new mount and network namespace: the host side; reaps, dies with its parent, and everything with it
        world                 a network namespace of its own; see world.py
        COMMAND

Root gets new network, mount and PID namespaces; an ordinary user a user namespace as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from exitway.capture import kernel
from exitway.lab import world, zone
from exitway.lab.lab import VARIABLE
from exitway.resources.problem import Problem, Problems

DIRECTORY = Path("/run/exitway-lab")
_CA_BUNDLES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)
"""Where programs that do not ask the machine's bundle look for authorities."""
_TOOLS = {"ip": "iproute2", "openssl": "openssl"}
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends these to the command itself; nobody else in its process group may end by them."""

_CABLE = f"""
link set lo up
link add lab0 address {world.HOST_END} type veth peer name {world.INTERFACE} address {world.WORLD_END} netns {{world}}
addr add {zone.HOST_IPV4}/30 dev lab0
addr add {zone.HOST_IPV6}/126 dev lab0 nodad
link set lab0 addrgenmode none up
neigh replace {zone.WORLD_IPV4} lladdr {world.WORLD_END} dev lab0 nud permanent
neigh replace {zone.WORLD_IPV6} lladdr {world.WORLD_END} dev lab0 nud permanent
route add default via {zone.WORLD_IPV4}
route add default via {zone.WORLD_IPV6}
"""


def launch(command: Sequence[str]) -> int:
    """Run a command in a new lab. Its exit code, or 128 + n when signal n ended it, as shells say it; 127: there is no such command.

    Raises:
        Problems: a tool is missing, or the kernel gives this user no namespaces.
    """
    _need_tools()
    try:
        if os.geteuid() != 0:
            kernel.enter_user_namespace()
        kernel.unshare(kernel.CLONE_NEWPID)
    except OSError as error:
        raise _refused(error) from error
    end, kept = os.pipe()  # its other end closes with this process
    first = os.fork()
    if first == 0:
        os.close(kept)
        raise SystemExit(_be_first_process(command, parent=end))
    _pass_signals_to(first)
    return _exit_code(os.waitpid(first, 0)[1])


def _need_tools() -> None:
    missing = [(tool, package) for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise Problems(
            [Problem("EXW1001", f"the lab needs `{tool}`", f"install {package}") for tool, package in missing]
        )


def _refused(error: Exception) -> Problems:
    hint = "run it as root, or allow user namespaces (user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
    return Problems([Problem("EXW1002", f"the lab cannot be built: {error}", hint)])


def _be_first_process(command: Sequence[str], parent: int) -> int:
    kernel.die_with_parent()
    if select.select([parent], [], [], 0)[0]:
        return 1  # it had ended already
    try:
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET)
        _mount_host()
        _start_world()
        _trust_authority()
    except (OSError, subprocess.CalledProcessError) as error:
        raise _refused(error) from error
    return _run(command)


def _run(command: Sequence[str]) -> int:
    try:
        child = subprocess.Popen(command, env=_environment(), preexec_fn=_listen_to_signals)  # noqa: PLW1509  one thread
    except OSError as error:
        click.echo(f"exitway: {command[0]}: {error.strerror}", err=True)
        return 127 if isinstance(error, FileNotFoundError) else 126
    _pass_signals_to(child.pid)
    while True:  # the first process of a PID namespace buries everybody's children
        pid, status = os.wait()
        if pid == child.pid:
            return _exit_code(status)


def _mount_host() -> None:
    """Everything private from here on. A fresh ``/run``: no name service cache, no sockets, no state of the machine's own Exitway."""
    resolv_conf = Path("/etc/resolv.conf").resolve()
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc")
    kernel.mount("tmpfs", "/run", "tmpfs", data="mode=0755")
    DIRECTORY.mkdir()
    (DIRECTORY / world.WITNESS).touch()
    _put(resolv_conf, f"nameserver {zone.DNS_SERVER}\n")


def _put(path: Path, text: str) -> None:
    """Give a file of the machine another content, in here."""
    if path.is_relative_to("/run"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return
    content = DIRECTORY / path.name
    content.write_text(text)
    kernel.mount(str(content), str(path), flags=kernel.MS_BIND)


def _start_world() -> None:
    with (DIRECTORY / "world.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", world.__name__, DIRECTORY],  # -P: no module comes from where the user is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=lambda: kernel.unshare(kernel.CLONE_NEWNET),  # noqa: PLW1509  one thread
        )
    subprocess.run(["ip", "-batch", "-"], input=_CABLE.format(world=process.pid), text=True, check=True)
    assert process.stdin
    assert process.stdout
    process.stdin.write("connected\n")
    process.stdin.flush()
    if process.stdout.readline() != "ready\n":
        raise OSError((DIRECTORY / "world.log").read_text())


def _trust_authority() -> None:
    """Whoever uses the machine's bundle of certificate authorities trusts the world's as well."""
    bundle, ours = _bundle(), DIRECTORY / "ca-bundle.pem"
    trusted = (bundle.read_text() if bundle.exists() else "") + (DIRECTORY / "ca.pem").read_text()
    ours.write_text(trusted)
    if bundle != ours:
        kernel.mount(str(ours), str(bundle), flags=kernel.MS_BIND)


def _bundle() -> Path:
    """The machine's file of authorities: a sealed program sees it too, and not /run. Ours, if the machine has none."""
    return next((path.resolve() for path in _CA_BUNDLES if path.exists()), DIRECTORY / "ca-bundle.pem")


def _environment() -> dict[str, str]:
    """The caller's, without what leads elsewhere."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.lower().endswith("_proxy") and key != "XDG_RUNTIME_DIR"
    }
    return kept | {
        VARIABLE: str(DIRECTORY),
        **dict.fromkeys(_CA_VARIABLES, str(_bundle())),
        "EXITWAY_RUNTIME_DIR": "/run/exitway",
        "EXITWAY_STATE_DIR": "/run/exitway-state",
    }


def _pass_signals_to(pid: int) -> None:
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _: _send(received, pid))
    for number in _FROM_TERMINAL:
        signal.signal(number, signal.SIG_IGN)


def _send(number: int, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, number)


def _listen_to_signals() -> None:
    for number in _FROM_TERMINAL:
        signal.signal(number, signal.SIG_DFL)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
