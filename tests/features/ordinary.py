"""Commands as an ordinary user of the lab's machine types them: no privilege, a home and a runtime directory of the user's own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exitway.settings import Settings
from tests.features.conftest import ROOT, Exitway, command

USER = 1000
SEVERAL_USERS = os.geteuid() == 0 and int(Path("/proc/self/uid_map").read_text().split()[2]) > USER
"""Root of a user namespace has only its own uid: there the user is who we are, seen from a user namespace in which that is nobody special."""

_BECOME = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--")
_BE_SEEN_AS = (
    "unshare",
    "--user",
    f"--map-user={USER}",
    f"--map-group={USER}",
    "sh",
    "-c",
    "echo ready; exec sleep infinity",
)
_OPEN_TUN = "mount -t tmpfs -o mode=755 tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200"
"""As udev makes it on a usual machine."""


@dataclass
class Ordinary(Exitway):
    """``setting``: shell commands that change the machine for this user alone (in a mount namespace); ``before``: what each command is an argument of."""

    become: Sequence[str] = _BECOME
    setting: Sequence[str] = ()
    before: Sequence[str] = ()

    @property
    def settings(self):
        return Settings(self.directory / "run/exitway", self.directory / "state/exitway")

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EXITWAY_")}
        own = {name: str(self.directory / name.lower()) for name in ("HOME", "RUN", "STATE")}
        return kept | {"HOME": own["HOME"], "XDG_RUNTIME_DIR": own["RUN"], "XDG_STATE_HOME": own["STATE"]}

    def command(self, *arguments):
        return self.as_user(*command(*arguments))

    def as_user(self, *arguments):
        """Any command as this user."""
        set_up = [*(_reachable() if SEVERAL_USERS else ()), *([_OPEN_TUN] if SEVERAL_USERS else ()), *self.setting]
        script = "\n".join(["set -e", *set_up, 'cd "$0"', 'exec "$@"'])
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            str(self.directory / "home"),
            *self.become,
            *self.before,
            *map(str, arguments),
        ]

    def status(self):
        return json.loads(self("status", "-o", "json"))

    def processes(self):
        """What runs as this user: name by process id."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                ours = str(self.directory).encode() in environment + (entry / "cmdline").read_bytes()
                if ours and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
            except OSError:
                continue
        return found


def _reachable() -> list[str]:
    """Commands that let everybody reach this Python and this working copy, which may lie in root's own directory."""
    script = []
    for needed in {Path(sys.base_prefix), ROOT}:
        closed = [one for one in needed.parents if not one.stat().st_mode & 1]
        if closed:
            script += [
                f"mkdir -p /run/kept && mount --bind {needed} /run/kept",
                f"mount -t tmpfs -o mode=755 tmpfs {closed[-1]}",
                f"mkdir -p {needed} && mount --bind /run/kept {needed} && umount /run/kept",
            ]
    return script


@contextmanager
def ordinary_user() -> Iterator[Ordinary]:
    """A user without a server; the one that is started is stopped at the end."""
    directory = Path(tempfile.mkdtemp(prefix="exitway-"))  # short: a Unix socket's path is limited
    for name in ("home", "run", "state"):
        (directory / name).mkdir(mode=0o700)
    if SEVERAL_USERS:
        subprocess.run(["chown", "-R", f"{USER}:{USER}", directory], check=True)
    try:
        with _becoming() as become:
            user = Ordinary(directory, become)
            yield user
            user.setting, user.before = (), ()
            user.down()
    finally:
        shutil.rmtree(directory)


@contextmanager
def _becoming() -> Iterator[Sequence[str]]:
    if SEVERAL_USERS:
        yield _BECOME
        return
    with subprocess.Popen(_BE_SEEN_AS, stdout=subprocess.PIPE) as held:
        assert held.stdout
        held.stdout.readline()
        yield ["nsenter", "--user", "--preserve-credentials", f"--target={held.pid}", "--"]
        held.kill()
