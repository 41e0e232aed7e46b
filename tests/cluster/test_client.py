"""Ways into a cluster: a program that gives a token, and several kubeconfigs."""

import asyncio
import base64
import json
import os
import uuid

import pytest
import yaml

from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from tests.cluster.cluster import STATE, kubectl


@pytest.fixture
def account(cluster):
    """A service account that may read namespaces."""
    name = f"client-{uuid.uuid4().hex[:8]}"
    kubectl("create", "serviceaccount", name)
    kubectl("create", "clusterrole", name, "--verb=list", "--resource=namespaces")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount=default:{name}")
    yield name
    kubectl("delete", f"clusterrolebinding/{name}", f"clusterrole/{name}", f"serviceaccount/{name}")


def test_a_program_gives_a_token_and_is_asked_again_when_it_is_refused(account, tmp_path):
    token = kubectl("create", "token", account).strip()
    program = tmp_path / "give"
    program.write_text(
        f"""#!/bin/sh
        echo "$KUBERNETES_EXEC_INFO" >>{tmp_path}/asked
        version=client.authentication.k8s.io/v1
        if [ $(wc -l <{tmp_path}/asked) = 1 ]; then token=stale; else token={token}; fi
        echo '{{"apiVersion":"'$version'","kind":"ExecCredential","status":{{"token":"'$token'"}}}}'
        """
    )
    program.chmod(0o700)
    config = yaml.safe_load((STATE / "kubeconfig").read_text())
    version = "client.authentication.k8s.io/v1"
    config["users"] = [{"name": "admin", "user": {"exec": {"apiVersion": version, "command": "./give"}}}]
    (tmp_path / "config").write_text(yaml.safe_dump(config))

    async def main():
        async with Kube.connect(tmp_path / "config") as kube:
            with pytest.raises(KubeError, match="Unauthorized"):
                await kube.request("GET", "/api/v1/namespaces")
            assert (await kube.request("GET", "/api/v1/namespaces"))["items"]
            with pytest.raises(KubeError, match="secrets is forbidden") as refused:
                await kube.request("GET", "/api/v1/secrets")
            assert (refused.value.code, refused.value.reason) == (403, "Forbidden")

    asyncio.run(main())
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert [(one["apiVersion"], one["spec"]) for one in asked] == [(version, {"interactive": False})] * 2


def test_kubeconfigs_are_merged_and_their_paths_are_their_own(cluster, tmp_path, monkeypatch):
    """The first that says something is heard."""
    whole = yaml.safe_load((STATE / "kubeconfig").read_text())
    cluster_of, user = whole["clusters"][0]["cluster"], whole["users"][0]["user"]
    for name, text in (("ca.crt", cluster_of["certificate-authority-data"]), ("me.crt", user["client-certificate-data"]), ("me.key", user["client-key-data"])):  # fmt: skip
        (tmp_path / "one").mkdir(exist_ok=True)
        (tmp_path / "one" / name).write_bytes(base64.b64decode(text))
    parts = {
        "one/a": {
            "clusters": [
                {"name": "kube", "cluster": {"server": cluster_of["server"], "certificate-authority": "ca.crt"}}
            ],
            "users": [{"name": "admin", "user": {"client-certificate": "me.crt", "client-key": "me.key"}}],
        },
        "b": {
            "current-context": "mine",
            "contexts": [{"name": "mine", "context": {"cluster": "kube", "user": "admin", "namespace": "shop"}}],
            "clusters": [{"name": "kube", "cluster": {"server": "https://203.0.113.1"}}],
        },
    }
    for name, part in parts.items():
        (tmp_path / name).write_text(yaml.safe_dump(part))
    names = [tmp_path / "absent", *(tmp_path / name for name in parts)]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, names)))
    monkeypatch.chdir("/")

    async def main():
        async with Kube.connect() as kube:
            assert (kube.context, kube.namespace) == ("mine", "shop")
            assert (await kube.request("GET", "/version"))["major"] == "1"

    asyncio.run(main())
