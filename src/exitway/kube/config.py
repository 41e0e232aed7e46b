"""Which cluster, and as whom: kubeconfig files as kubectl finds them, else the service account of the pod that we run in.

Lightkube reads one file. Here several are merged as kubectl does (the first that says something is heard), and paths in them are made absolute.
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from exitway.resources.problem import Place, Problem, Problems, quoted

_PATHS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
    "contexts": ("context", ()),
}
"""The lists of a kubeconfig: what an entry holds, and which of its fields are paths, relative to the file."""


def find_config(
    kubeconfig: Path | None = None, context: str | None = None, environment: Mapping[str, str] = os.environ
) -> SingleConfig:
    """The cluster and the user of ``context`` (by default the current one).

    ``kubeconfig``: this file alone; else those of ``KUBECONFIG``; else ``~/.kube/config``; else, in a pod, its service account.

    Raises:
        Problems: there is none, or it cannot be used; the sentence says why.
    """
    files = [kubeconfig] if kubeconfig else _files(environment)
    try:
        if not files and context is None and "KUBERNETES_SERVICE_HOST" in environment:
            found = KubeConfig.from_service_account().get()
        else:
            found = KubeConfig.from_dict(_merged(files)).get(context)
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError, msgspec.ValidationError) as error:
        raise _unusable(files, str(error)) from error
    if found is None:
        raise _unusable(files, "no context is current")
    return found


def _files(environment: Mapping[str, str]) -> list[Path]:
    named = [Path(name) for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    usual = Path(environment.get("HOME") or Path.home()) / ".kube/config"
    return [path for path in named or [usual] if path.exists() or len(named) == 1]


def _merged(files: list[Path]) -> dict[str, Any]:
    if not files:
        raise ConfigError("there is no kubeconfig")
    merged: dict[str, Any] = {}
    entries: dict[str, dict[str, Any]] = {name: {} for name in _PATHS}
    for path in files:
        read = _read(path)
        merged["current-context"] = merged.get("current-context") or read.get("current-context") or None
        for name, (holds, fields) in _PATHS.items():
            for entry in read.get(name) or []:
                entries[name].setdefault(
                    entry["name"], {"name": entry["name"], holds: _absolute(path, entry.get(holds), fields)}
                )
    return {**merged, **{name: list(found.values()) for name, found in entries.items()}}


def _absolute(path: Path, held: Mapping[str, Any] | None, fields: tuple[str, ...]) -> dict[str, Any]:
    """What an entry holds, with paths that are right wherever we work."""
    inner = dict(held or {})
    inner.update({name: str(path.parent / inner[name]) for name in fields if inner.get(name)})
    command = (inner.get("exec") or {}).get("command", "")
    if "/" in command:
        inner["exec"] = {**inner["exec"], "command": str(path.parent / command)}
    return inner


def _read(path: Path) -> Mapping[str, Any]:
    try:
        read = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (OSError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "it is not YAML"
        raise Problems(
            [Problem("EXW1401", f"the kubeconfig cannot be read: {reason.lower()}", place=Place(str(path)))]
        ) from error
    if not isinstance(read, dict):
        raise ConfigError(f"{path} holds no kubeconfig")
    return read


def _unusable(files: list[Path], why: str) -> Problems:
    where = ", ".join(map(str, files)) or "no kubeconfig"
    hint = "`kubectl config view` shows what there is; --kubeconfig and --context choose"
    return Problems([Problem("EXW1401", f"no cluster can be told from {quoted(where)}: {why}", hint)])
