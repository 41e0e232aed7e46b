"""The containers and volumes that are put into pods. Fields that the API server would fill in are spelled out, so that nothing differs later."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from exitway.capture.pod import PodCapture, route, rules, ruleset
from exitway.envoy.control import ControlPlane
from exitway.envoy.sidecar import Sidecar, bootstrap
from exitway.names.address import CAPTURE_PORT
from exitway.names.cluster import ADDRESS_MARK, AUDIENCE, PROXY_MARK, RESOLVER_PORT, XDS_PORT
from exitway.pods.installation import Installation

Json = dict[str, Any]

CAPTURE, PROXY, GATE = "exitway-capture", "exitway-proxy", "exitway-gate"
TOKEN, RUN = "exitway-token", "exitway-run"
CONTAINERS, VOLUMES = (CAPTURE, PROXY, GATE), (TOKEN, RUN)
"""Names that are ours in a pod."""

_TOKEN_DIRECTORY = "/var/run/secrets/exitway"  # noqa: S105
_TOKEN_SECONDS = 3600
_RUN_DIRECTORY = "/run/exitway"
_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
_FLAGS = (
    *("--disable-hot-restart", "--concurrency", "2", "--log-level", "warn", "--component-log-level", "misc:error"),
    *("--drain-time-s", "1"),
)
"""Envoy warns (misc) of each use of a part of its API that is not yet stable. The drain time is that of what a listener had that is no more."""
_SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}


def capture(installation: Installation) -> Json:
    """Installs the capture, before anything else runs."""
    return _container(CAPTURE, installation, ["/bin/sh", "-ec", script(installation)], _SMALL) | {
        "securityContext": _confined("NET_ADMIN")
    }


def script(installation: Installation) -> str:
    """For ``sh -e``. It may run again in the same namespace. Kubernetes expands ``$(...)`` in arguments, so there is none."""
    made = PodCapture(installation.ranges, installation.resolver, dns_ports=installation.dns_ports, proxied=True)
    return f"""\
nft -f - <<'RULESET'
{ruleset(made, "the sidecar of this pod")}RULESET
{_routing(4)}if ip -6 -o addr show up | read -r _; then
{_routing(6)}fi
"""


def _routing(version: int) -> str:
    return f"""\
while ip -{version} rule del pref 1 2>/dev/null; do :; done
while ip -{version} rule del pref 2 2>/dev/null; do :; done
{{
cat <<'RULES'
{rules()}{route("lo", "1")}RULES
ip -{version} -o addr show up | while IFS=': 	' read -r index link _; do
[ "$link" = lo ] || echo "{route("$link", "1$index").strip()}"
done
}} | ip -{version} -batch -
"""


def proxy(installation: Installation) -> Json:
    """Envoy, and what it starts with."""
    sidecar = Sidecar(
        ControlPlane(
            hosts=installation.control,
            port=XDS_PORT,
            name=installation.name,
            authorities=installation.authorities,
            token=f"{_TOKEN_DIRECTORY}/token",
            mark=PROXY_MARK,
        ),
        resolver=f"{installation.asked}:{RESOLVER_PORT}",
        authorities=_TRUSTED,
        mark=PROXY_MARK,
        address_mark=ADDRESS_MARK,
        admin_socket=f"{_RUN_DIRECTORY}/admin",
    )
    configuration = json.dumps(bootstrap(sidecar), separators=(",", ":"))
    command = ["envoy", *_FLAGS, "--config-yaml", configuration]
    made = _container(PROXY, installation, command, dict(installation.resources)) | {
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("POD_UID", "metadata.uid"),
        ],
        "securityContext": _confined("NET_ADMIN", "NET_BIND_SERVICE"),
        "volumeMounts": [
            {"name": TOKEN, "mountPath": _TOKEN_DIRECTORY, "readOnly": True},
            {"name": RUN, "mountPath": _RUN_DIRECTORY},
        ],
    }
    listening = {"exec": {"command": ["exitway-gate", str(CAPTURE_PORT)]}}
    if not installation.native:
        return made | {"lifecycle": {"postStart": listening}}
    probe = {"failureThreshold": 10, "periodSeconds": 1, "successThreshold": 1, "timeoutSeconds": 60}
    return made | {"restartPolicy": "Always", "startupProbe": listening | probe}


def gate(installation: Installation) -> Json:
    """Waits until the agent of the node has captured the pod. It satisfies the Pod Security Standard ``restricted``."""
    return _container(GATE, installation, ["exitway-gate"], _SMALL) | {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    }


def volumes() -> list[Json]:
    """Those of a sidecar: mounted by the proxy alone."""
    token = {"audience": AUDIENCE, "expirationSeconds": _TOKEN_SECONDS, "path": "token"}
    return [
        {"name": TOKEN, "projected": {"defaultMode": 0o400, "sources": [{"serviceAccountToken": token}]}},
        {"name": RUN, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]


def _container(name: str, installation: Installation, command: Iterable[str], resources: Json) -> Json:
    return {
        "name": name,
        "image": installation.image,
        "imagePullPolicy": installation.image_pull_policy,
        "command": list(command),
        "resources": resources,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _confined(*capabilities: str) -> Json:
    """As root, which is nothing without capabilities: what a pod says of all its containers would otherwise take these away."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": list(capabilities)},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": False,
        "runAsUser": 0,
        "runAsGroup": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
