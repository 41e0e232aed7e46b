"""The chart: what it renders is taken by a real API server, is no more than is needed, and what is rendered beforehand is current."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from exitway.settings import Settings
from tests.cluster.cluster import REPOSITORY, SYSTEM, kubectl, new_namespace, run, until

CHART = REPOSITORY / "deploy/helm/exitway"
OPENSHIFT_API = "github.com/openshift/api@v0.0.0-20240115183315-0793e918179d"
"""OpenShift's published schemas, by the Go module proxy."""
VARIANTS = {
    "usual": [],
    "old": [
        "sidecar.native=false",
        "node.enabled=false",
        "networkPolicy.enabled=false",
        "podDisruptionBudget.enabled=false",
    ],
    "chosen": [
        "cluster.ranges={10.0.0.0/8,fd00::/8}",
        "cluster.dns={10.96.0.10}",
        "image.digest=sha256:" + "a" * 64,
        "image.pullSecrets={registry}",
        "authorities.configMap=ca",
        "controller.replicas=5",
        "node.maxUnavailable=10%",
        "openshift.enabled=true",
        "openshift.sidecarNamespaces={default}",
        "certificates.from=external",
        "metrics.nodePort=9464",
        "traces.collector=collector.monitoring.svc:4317",
    ],
}


def render(
    *values: str, version: str = "1.35.0", name: str = "chart-test", more: Sequence[str | Path] = ()
) -> list[dict[str, Any]]:
    words = [word for value in values for word in ("--set", value)]
    told = run("helm", "template", name, CHART, "-n", SYSTEM, "--kube-version", version, *words, *more)
    return [document for document in yaml.safe_load_all(told) if document]


@pytest.fixture(scope="module")
def openshift(cluster: None) -> Iterator[None]:
    """The cluster knows SecurityContextConstraints, as OpenShift publishes them."""
    directory = json.loads(run("go", "mod", "download", "-json", OPENSHIFT_API, seconds=300))["Dir"]
    definition = Path(directory) / "security/v1/0000_03_security-openshift_01_scc.crd.yaml"
    kubectl("apply", "--server-side", "-f", definition)
    kubectl("wait", "--for=condition=Established", "crd/securitycontextconstraints.security.openshift.io")
    kubectl("create", "namespace", SYSTEM, check=False)
    yield
    kubectl("delete", "crd", "securitycontextconstraints.security.openshift.io")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("apply", [(), ("--server-side", "--field-manager=test")], ids=["client", "server"])
def test_an_api_server_takes_all_of_it_without_a_warning(openshift, variant, apply):
    stdin = "\n---\n".join(map(json.dumps, render(*VARIANTS[variant])))
    told = kubectl("apply", *apply, "--dry-run=server", "--validate=strict", "-f", "-", stdin=stdin)
    assert told.count("dry run") > 15
    assert "arning" not in told


def test_helm_finds_nothing_to_say_and_refuses_what_is_wrong(cluster):
    assert "0 chart(s) failed" in run("helm", "lint", CHART, "--strict", "--kube-version", "1.35.0")
    for wrong, said in {
        "image.tagg=x": "additional properties 'tagg' not allowed",
        "deniedStatus=200": "minimum: got 200, want 400",
        "cluster.ranges={10.0.0.0}": "does not match pattern",
        "certificates.certManager.enabled=true": "value must be 'external'",
        "controller.replicas=0": "minimum: got 0, want 1",
        "node.flows.days=0": "minimum: got 0, want 1",
        "node.flows.megabytes=3": "minimum: got 3, want 4",
    }.items():
        assert said in run("helm", "template", "x", CHART, "--kube-version", "1.35.0", "--set", wrong, check=False)


def test_what_is_rendered_for_those_without_helm_is_current(cluster, tmp_path):
    """By rendering it; make check sees it by a hash."""
    for part in ("deploy", "scripts", "docs"):
        shutil.copytree(REPOSITORY / part, tmp_path / part)
    installs = [tmp_path / "deploy" / name for name in ("install.yaml", "install-openshift.yaml")]
    for path in installs:
        path.unlink()
    run(".venv/bin/python", tmp_path / "scripts/update-docs")
    for path in installs:
        assert path.read_text() == (REPOSITORY / path.relative_to(tmp_path)).read_text()


def test_it_is_installed_where_rules_hold_for_all(cluster):
    told = run("helm", "template", "x", CHART, "-n", "elsewhere", "--kube-version", "1.35.0", check=False)
    assert "is installed in the namespace exitway-system" in told


def test_no_node_has_the_keys_of_the_control_plane(cluster):
    """Who mounts a Secret lets the kubelet of its node read it."""
    for variant in VARIANTS.values():
        for _, spec, _ in containers(render(*variant)):
            assert "chart-test-tls" not in json.dumps(spec.get("volumes", []))


def containers(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for document in documents:
        spec = document.get("spec", {}).get("template", {}).get("spec")
        for container in spec["containers"] if spec else ():
            yield document["metadata"]["name"], spec, container


@pytest.mark.parametrize(("days", "megabytes"), [(30, 256), (1, 4), (36500, 2**20)])
def test_an_agent_keeps_as_many_flows_as_was_chosen(cluster, tmp_path, days, megabytes):
    """By a file: helm takes its numbers for others than those of --set."""
    (tmp_path / "values.yaml").write_text(json.dumps({"node": {"flows": {"days": days, "megabytes": megabytes}}}))
    (agent,) = (
        one for name, _, one in containers(render(more=["-f", tmp_path / "values.yaml"])) if name.endswith("-node")
    )
    settings = Settings.from_environment({one["name"]: one["value"] for one in agent["env"] if "value" in one})
    assert (settings.flows_days, settings.flows_megabytes) == (days, megabytes)


def test_containers_may_do_nothing_but_the_agent(cluster):
    for name, spec, container in containers(render()):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]
        if name.endswith("-node"):
            assert (context["privileged"], spec["hostNetwork"], spec["hostPID"]) == (True, True, True)
            continue
        assert context["runAsNonRoot"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "runAsUser" not in context | spec["securityContext"], "OpenShift chooses it"
        assert not spec.get("hostNetwork")
        assert "hostPath" not in json.dumps(spec)


def test_the_parts_that_are_not_privileged_satisfy_the_restricted_standard(cluster):
    with new_namespace({"pod-security.kubernetes.io/enforce": "restricted"}) as made:
        for name, spec, _ in containers(render()):
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "probe"},
                "spec": {**spec, "serviceAccountName": "default"},
            }
            told = made.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
            assert ("violates PodSecurity" in told) == name.endswith("-node"), told


def test_accounts_may_do_no_more_than_they_need(cluster):
    writes = {
        (document["metadata"]["name"], resource, verb)
        for document in render()
        if document["kind"] in ("ClusterRole", "Role") and not document["metadata"]["name"].endswith("-rules-edit")
        for rule in document["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if verb not in ("get", "list", "watch")
    }
    name = "chart-test"
    assert writes == {
        (name, "egressrules/status", "patch"),
        (name, "tokenreviews", "create"),
        *(
            (name, f"{sort}webhookconfigurations", verb)
            for sort in ("mutating", "validating")
            for verb in ("patch", "delete")
        ),
        (name, "secrets", "update"),
        (name, "configmaps", "patch"),
    }
    named = [rule for document in render() if document["kind"] in ("ClusterRole", "Role") for rule in document["rules"]]
    for rule in named:
        if {"secrets", "mutatingwebhookconfigurations"} & set(rule["resources"]):
            assert rule["resourceNames"] in ([name], [f"{name}-tls"])
        assert "*" not in json.dumps(rule)


def test_only_those_may_write_rules_who_were_told_so(cluster):
    with new_namespace({}) as made:
        roles = [document for document in render() if "-rules-" in document["metadata"]["name"]]
        kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, roles)))
        try:
            for user, role in {"reader": "view", "editor": "edit", "keeper": "chart-test-rules-edit"}.items():
                made.kubectl("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}")

            def may(user: str, verb: str) -> bool:
                # not `kubectl auth can-i`: it goes by the kinds that it knew of ten minutes ago
                asked = {"namespace": made.name, "verb": verb, "group": "exitway.dev", "resource": "egressrules"}
                kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
                review = json.dumps(kind | {"spec": {"user": user, "resourceAttributes": asked}})
                told = kubectl("create", "-f", "-", "-o", "jsonpath={.status.allowed}", stdin=review)
                return told == "true"

            until(lambda: may("reader", "list"))
            assert [may(user, "create") for user in ("reader", "editor", "keeper")] == [False, False, True]
        finally:
            for made_role in roles:
                kubectl("delete", "clusterrole", made_role["metadata"]["name"])


def test_webhooks_ask_only_where_a_namespace_says_so_and_fail_closed(cluster):
    hooks = {
        (document["kind"], hook["name"]): hook
        for document in render()
        if document["kind"].endswith("WebhookConfiguration")
        for hook in document["webhooks"]
    }
    assert len(hooks) == 4
    for (_, name), hook in hooks.items():
        assert hook["failurePolicy"] == "Fail"
        assert hook["sideEffects"] == "None"
        if name == "pods.exitway.dev":
            keys = {one["key"]: one["operator"] for one in hook["namespaceSelector"]["matchExpressions"]}
            assert keys == {"exitway.dev/placement": "Exists", "kubernetes.io/metadata.name": "NotIn"}
    assert hooks["MutatingWebhookConfiguration", "pods.exitway.dev"]["reinvocationPolicy"] == "IfNeeded"
    assert "matchConditions" not in json.dumps(render(version="1.27.0"))
