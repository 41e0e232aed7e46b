"""What layers are made of: Debian packages, fetched by apt-get and unpacked without their scripts, and wheels, installed by uv."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.kube.layer import MERGED, Layer

TOOLING = {"debconf", "dpkg", "tar", "libc-bin", "perl-base", "media-types"}
"""What packages need to be configured, and a finished image does not."""

SITE = "/usr/local/lib/python{}/dist-packages"
"""Where Debian's Python looks for what it does not bring itself."""

FOLDERS = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "run": 0o755, "proc": 0o755, "sys": 0o755, "dev": 0o755}
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def debs(packages: Sequence[str], out: Path) -> None:
    """The packages and all that they depend on."""
    authorities: list[bytes] = []
    with Layer(out) as layer, tempfile.TemporaryDirectory() as tmp:
        for name in MERGED:
            layer.link(name, f"usr/{name}")
        for name, mode in FOLDERS.items():
            layer.folder(name, mode)
        for deb in _download(packages, Path(tmp)):
            authorities += _unpack(deb, layer)
        for name, text in FILES.items():
            layer.text(name, text)
        # what the script of ca-certificates would write
        layer.text("etc/ssl/certs/ca-certificates.crt", b"".join(authorities).decode())


def _download(packages: Sequence[str], folder: Path) -> list[Path]:
    (folder / "partial").mkdir()
    (folder / "status").touch()  # an empty machine, so that the whole closure is fetched
    options = {
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder,
        "Debug::NoLocking": 1,
        "APT::Install-Recommends": 0,
        "APT::Sandbox::User": "root",
    }
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    _run("apt-get", "-qq", "-y", *flags, "--download-only", "install", *packages)
    return sorted(path for path in folder.glob("*.deb") if path.name.split("_")[0] not in TOOLING - set(packages))


def _unpack(deb: Path, layer: Layer) -> list[bytes]:
    """Put a package into the layer, but for the certificates of authorities (PEM), which are returned."""
    authorities = []
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, check=True).stdout
    with tempfile.TemporaryFile() as file:
        file.write(unpacked)
        file.seek(0)
        with tarfile.open(fileobj=file) as source:
            for info in source:
                body = source.extractfile(info) if info.isfile() else None
                if body and "share/ca-certificates/" in info.name:
                    authorities.append(body.read())
                else:
                    layer.add(info, body)
    return authorities


def wheels(words: Sequence[str], python: str, out: Path) -> None:
    """What ``uv pip install WORDS`` installs for this version of Python, compiled if it is our own."""
    with Layer(out) as layer, tempfile.TemporaryDirectory() as tmp:
        install = ("uv", "pip", "install", "-q", "--no-config", "--link-mode=copy", "--target", tmp)
        _run(*install, "--python-version", python, "--only-binary", ":all:", *words)
        if python == f"{sys.version_info.major}.{sys.version_info.minor}":
            # by content: every file of a layer is as old as 1970
            compile_all = (sys.executable, "-m", "compileall", "-q", "-j0", "--invalidation-mode=unchecked-hash")
            _run(*compile_all, "-s", tmp, "-p", "/", tmp)
        for path in sorted(Path(tmp).iterdir()):
            if path.name != "bin":
                layer.copy(path, f"{SITE.format(python)}/{path.name}")
        for path in sorted(Path(tmp, "bin").glob("*")):
            script = path.read_bytes()
            if script.startswith(b"#!"):
                layer.text(f"usr/local/bin/{path.name}", f"#!/usr/bin/python3\n{_body(script)}", 0o755)


def _body(script: bytes) -> str:
    return script.split(b"\n", 1)[1].decode()


def python_of(layer: Path) -> str:
    """The version of the Python in a layer of packages, such as 3.11; empty: there is none."""
    with tarfile.open(layer) as tar:
        try:
            return tar.getmember("usr/bin/python3").linkname.removeprefix("python")
        except KeyError:
            return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
