"""The real kubectl, as people use it."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.rules import rule

ISTIO_RULE = """
apiVersion: config.istio.io/v1alpha2
kind: EgressRule
metadata: {name: httpbin-egress-rule}
spec:
  destination: {service: httpbin.org}
  ports: [{port: 80, protocol: http}]
"""
RULE = """
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: stripe, labels: {team: pay}}
spec:
  to:
    - hosts: [api.stripe.com, "*.stripe.network"]
      ports: [{number: 443, protocol: TLS}]
"""
ISTIO_RULES, RULES = "egressrules.config.istio.io", "egressrules.exitway.dev"
IN_NAMESPACE = " from shop namespace"
"""kubectl 1.33 and newer say it when they delete."""


class Kubectl:
    def __init__(self, api, home):
        program = shutil.which("kubectl")
        assert program, "this test needs kubectl on the PATH: `make test` provides it"
        self._command = [program, f"--server=http://exitway:{api.token}@127.0.0.1:{api.port}", "--namespace=shop"]
        self._environment = {**os.environ, "HOME": str(home), "KUBECONFIG": "", "KUBECTL_KUBERC": "false"}

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [*self._command, *arguments], stdout=subprocess.PIPE, text=True, env=self._environment, **options
        )

    def __call__(self, *arguments, stdin=""):
        """What it prints; it must succeed, and must not complain."""
        done = self._run(arguments, stdin)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, *arguments, stdin=""):
        """What it complains of; it must fail."""
        done = self._run(arguments, stdin)
        assert done.returncode == 1, done
        return done.stderr

    def _run(self, arguments, stdin):
        command = [*self._command, *arguments]
        return subprocess.run(
            command, check=False, input=stdin, capture_output=True, text=True, timeout=60, env=self._environment
        )


@pytest.fixture
def kubectl(api, tmp_path):
    return Kubectl(api, tmp_path)


def test_both_kinds_are_applied_listed_read_and_deleted(kubectl):
    both = f"{ISTIO_RULE}---{RULE}"
    created = kubectl("apply", "-f", "-", stdin=both)
    assert created == "egressrule.config.istio.io/httpbin-egress-rule created\negressrule.exitway.dev/stripe created\n"
    assert kubectl("apply", "-f", "-", stdin=both).count("unchanged") == 2
    assert kubectl("apply", "-f", "-", stdin=both.replace("443", "8443")).count("configured") == 1
    table = [line.split() for line in kubectl("get", ISTIO_RULES).splitlines()]
    assert [row[:3] for row in table] == [
        ["NAME", "DESTINATIONS", "PORTS"],
        ["httpbin-egress-rule", "httpbin.org", "80/HTTP"],
    ]
    wide = [line.split()[:7] for line in kubectl("get", RULES, "-A", "-o", "wide").splitlines()]
    assert wide[1][:4] + wide[1][5:] == [
        "shop",
        "stripe",
        "api.stripe.com,*.stripe.network",
        "8443/TLS",
        "ALLOW",
        "<none>",
    ]
    assert "stripe" in kubectl("get", "exitway", "-A")
    yaml = kubectl("get", RULES, "stripe", "-o", "yaml")
    assert all(
        text in yaml
        for text in ("apiVersion: exitway.dev/v1", "- '*.stripe.network'", "team: pay", "uid: ", 'resourceVersion: "')
    )
    assert kubectl("get", RULES, "-o", "name") == "egressrule.exitway.dev/stripe\n"
    assert "Api Version" in (described := kubectl("describe", RULES, "stripe")).title()
    assert "api.stripe.com" in described
    deleted = kubectl("delete", "-f", "-", stdin=both).replace(IN_NAMESPACE, "")
    assert (
        deleted == 'egressrule.config.istio.io "httpbin-egress-rule" deleted\negressrule.exitway.dev "stripe" deleted\n'
    )
    assert "not found" in kubectl.refused("get", RULES, "stripe")


def test_a_rule_is_created_labelled_patched_replaced_and_applied_by_the_server(kubectl):
    assert kubectl("create", "-f", "-", stdin=RULE) == "egressrule.exitway.dev/stripe created\n"
    assert "(AlreadyExists)" in kubectl.refused("create", "-f", "-", stdin=RULE)
    assert kubectl("label", RULES, "stripe", "tier=1").endswith("labeled\n")
    assert kubectl("annotate", RULES, "stripe", "owner=me").endswith("annotated\n")
    assert kubectl("get", RULES, "-l", "tier=1,team!=web", "-o", "name") == "egressrule.exitway.dev/stripe\n"
    assert kubectl("patch", RULES, "stripe", "--type=merge", "-p", '{"spec":{"action":"DENY"}}').endswith("patched\n")
    assert "application/merge-patch+json" in kubectl.refused(
        "patch", RULES, "stripe", "-p", '{"spec":{"action":"DENY"}}'
    )
    assert json.loads(kubectl("get", RULES, "stripe", "-o", "json"))["spec"]["action"] == "DENY"
    assert kubectl("replace", "-f", "-", stdin=RULE).endswith("replaced\n")
    assert kubectl("apply", "--server-side", "-f", "-", stdin=RULE.replace("443", "8443")).endswith(
        "serverside-applied\n"
    )
    assert "+    - number: 443" in kubectl._run(["diff", "-f", "-"], RULE.replace("8443", "443")).stdout
    deleted = kubectl("delete", RULES, "--all").replace(IN_NAMESPACE, "")
    assert deleted == 'egressrule.exitway.dev "stripe" deleted\n'


def test_every_problem_of_a_bad_file_is_shown_and_nothing_of_it_is_there(kubectl):
    bad = RULE.replace("443", "99999").replace("api.stripe.com", "a..b").replace("labels", "label")
    for verb in ("create", "apply"):
        complaint = kubectl.refused(verb, "-f", "-", stdin=bad)
        assert all(
            text in complaint for text in ("metadata.label:", "spec.to[0].hosts[0]:", "spec.to[0].ports[0].number:")
        ), complaint
    assert kubectl("get", RULES, "-o", "name") == ""


def test_a_rule_that_changed_in_between_is_not_overwritten(kubectl):
    kubectl("create", "-f", "-", stdin=RULE)
    read = kubectl("get", RULES, "stripe", "-o", "yaml")
    kubectl("label", RULES, "stripe", "tier=1")
    assert "(Conflict)" in kubectl.refused("replace", "-f", "-", stdin=read)
    assert 'tier: "1"' in kubectl("get", RULES, "stripe", "-o", "yaml")


def test_a_dry_run_shows_what_would_be(kubectl):
    assert (
        kubectl("create", "--dry-run=server", "-f", "-", stdin=RULE)
        == "egressrule.exitway.dev/stripe created (server dry run)\n"
    )
    assert kubectl("get", RULES, "-o", "name") == ""


def test_a_silent_proxy_is_a_warning(api, kubectl):
    api.silent = ["the proxy has not acknowledged revision 1"]
    done = kubectl._run(["create", "-f", "-"], RULE)
    assert (done.returncode, done.stderr) == (0, "Warning: the proxy has not acknowledged revision 1\n")


def test_a_watch_shows_changes_as_they_happen(api, kubectl):
    api.change("create", rule("first", namespace="shop"))
    with kubectl.start("get", RULES, "--watch", "--output-watch-events") as watch:
        assert watch.stdout
        assert watch.stdout.readline().split()[:2] == ["EVENT", "NAME"]
        assert watch.stdout.readline().split()[:2] == ["ADDED", "first"]
        api.change("create", rule("second", namespace="shop"))
        api.change("apply", rule("first", "new.example", namespace="shop"))
        api.change("delete", rule("second", namespace="shop"))
        events = [watch.stdout.readline().split()[:3] for _ in range(3)]
        watch.terminate()
    assert events == [
        ["ADDED", "second", "api.example"],
        ["MODIFIED", "first", "new.example"],
        ["DELETED", "second", "api.example"],
    ]


def test_kubectl_waits_for_a_deletion_and_for_a_field(api, kubectl):
    api.change("create", rule("a", namespace="shop"))
    with kubectl.start("wait", "--for=delete", f"{RULES}/a", "--timeout=20s") as waiting:
        time.sleep(0.5)
        api.change("delete", rule("a", namespace="shop"))
        assert waiting.wait(10) == 0


def test_it_finds_its_way_about(kubectl):
    assert "exitway" in kubectl("get", "--raw", "/version")
    assert kubectl("api-resources", "--api-group=exitway.dev", "-o", "name") == f"{RULES}\n"
    assert "default" in kubectl("get", "namespaces")
    assert "KIND:       EgressRule" in kubectl("explain", RULES)


def test_without_the_token_nothing_is_to_be_had(api, kubectl, tmp_path):
    api.token = "wrong"
    complaint = Kubectl(api, tmp_path).refused("get", RULES)
    assert "the server has asked for the client to provide credentials" in complaint or "Unauthorized" in complaint


def test_the_tutorials_file_is_accepted(kubectl):
    kubectl("apply", "-f", str(Path(__file__).parents[2] / "examples" / "egress_httpbin.yml"))
