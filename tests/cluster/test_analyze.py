"""What is in force in a cluster is analyzed with its pods: those that no rule holds, or not for sure."""

from __future__ import annotations

import json
import subprocess
import sys

from exitway.names.cluster import OPT_OUT, PLACEMENT, UNSAFE, UNSAFE_PODS, Placement
from tests.cluster.cluster import REPOSITORY, STATE, TLS, environment, kubectl, new_namespace


def analyze(*options: str) -> tuple[int, dict[tuple[str, str], str]]:
    """The exit code, and the messages by code and name."""
    command = [
        sys.executable,
        "-m",
        "exitway",
        "analyze",
        "--kubeconfig",
        str(STATE / "kubeconfig"),
        "-o",
        "json",
        *options,
    ]
    done = subprocess.run(command, env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    return done.returncode, {(one["code"], one["about"].rpartition("/")[2]): one["message"] for one in found}


def test_pods_that_rules_do_not_hold_are_found(installed, client):
    with new_namespace({}) as shop:
        shop.pod("old")
        labels = {PLACEMENT: Placement.SIDECAR, OPT_OUT: "allowed", UNSAFE_PODS: "allowed"}
        kubectl("label", "namespace", shop.name, *(f"{name}={value}" for name, value in labels.items()))
        shop.pod("well")
        shop.pod("out", metadata={"annotations": {PLACEMENT: Placement.NONE}})
        asking = {"annotations": {UNSAFE: "capabilities, shareProcessNamespace"}}
        shop.pod("unsafe", metadata=asking, shareProcessNamespace=True)
        shop.rule(
            "nobody", to={"hosts": ["a.lab.test"], "ports": TLS}, workloadSelector={"matchLabels": {"app": "nobody"}}
        )
        code, found = analyze("-n", shop.name)
        assert code == 0
        assert set(found) == {
            ("EXW2033", "nobody"),
            ("EXW2060", "unsafe"),
            ("EXW2061", shop.name),
            ("EXW2062", "old"),
            ("EXW2062", "out"),
            ("EXW2063", shop.name),
        }
        assert (
            "allows it shareProcessNamespace, so its programs may get round their rules" in found["EXW2060", "unsafe"]
        )
        assert "1 of 4 do: out" in found["EXW2061", shop.name]
        assert "1 of 4 do: unsafe" in found["EXW2063", shop.name]
        assert "none of the 2 running workloads" in found["EXW2033", "nobody"]
        assert analyze("-n", shop.name, "--fail-on", "warning")[0] == 1
        assert set(found) <= set(analyze()[1])
