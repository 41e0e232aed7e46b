"""The commands say the same of a cluster as of one machine."""

import asyncio
import json
import re
import threading
import time
import uuid

import pytest

from tests.cli.conftest import proxies, run, server, settings  # noqa: F401 - fixtures
from tests.cli.rules import HTTPBIN, STRIPE
from tests.cluster.cluster import STATE, kubectl
from tests.cluster.following import replica

GITHUB = HTTPBIN.replace("httpbin", "github")
WRONG = HTTPBIN.replace("httpbin-", "other-").replace("80", "99999").replace("http\n", "gopher\n")

STORY = [
    ("get egressrules -n NS", ""),
    ("create -f rules.yml -n NS", ""),
    ("create -f rules.yml -n NS", ""),
    ("create -f other.yml -f rules.yml -n NS --dry-run", ""),
    ("get egressrules -n NS", ""),
    ("get egressrules -n NS -o wide", ""),
    ("get egressrules -n NS -o name", ""),
    ("get egressrule stripe -n NS -o wide", ""),
    ("get egressrule nobody -n NS", ""),
    ("describe egressrules -n NS", ""),
    ("apply -f rules.yml -n NS", ""),
    ("diff in-force - -n NS", "RULES*"),
    ("diff -f other.yml -n NS --exit-code", ""),
    ("test tests.yml --in-force -n NS -l app=checkout", ""),
    ("apply -f - -n NS", "RULES*"),
    ("test tests.yml --in-force -n NS -l app=checkout", ""),
    ("describe egressrule stripe -n NS", ""),
    ("replace -f other.yml -n NS", ""),
    ("create -f wrong.yml -f other.yml -n NS", ""),
    ("create -f clash.yml -n NS", ""),
    ("get egressrules -n NS", ""),
    ("create -f other.yml -n NS --dry-run", ""),
    ("apply -f other.yml -n NS", ""),
    ("replace -f rules.yml -n NS", ""),
    ("delete egressrule nobody stripe -n NS", ""),
    ("delete egressrule stripe -n NS --dry-run", ""),
    ("delete egressrule stripe -n NS", ""),
    ("delete -f rules.yml -f other.yml -n NS", ""),
    ("delete egressrule httpbin-egress-rule github-egress-rule -n NS", ""),
    ("get egressrules -n NS -o json", ""),
]


@pytest.fixture
def namespace(definitions):
    name = f"commands-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def control(namespace):
    """The proxies of a replica of the control plane: there is one."""
    loop, ready, over, found = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), []

    async def main():
        async with replica(namespace, "replica") as its:
            its.set(1, 1)
            found.append(its)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert ready.wait(20)
    yield found[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(20)
    loop.close()


def test_the_same_lines_have_the_same_outcome(run, server, namespace, control, tmp_path):  # noqa: F811
    rules = HTTPBIN + "---\n" + STRIPE.replace("shop", namespace)
    (tmp_path / "rules.yml").write_text(rules)
    (tmp_path / "other.yml").write_text(GITHUB)
    (tmp_path / "wrong.yml").write_text(WRONG)
    (tmp_path / "tests.yml").write_text(
        f"rules: nowhere.yml\nnamespace: {namespace}\nallow: [https://api.stripe.com/]\n"
    )
    (tmp_path / "clash.yml").write_text(HTTPBIN.replace("httpbin-", "clashing-"))
    changed = rules.replace("api.stripe.com", "api2.stripe.com").replace("team: money", "team: gold")
    for pattern, stdin in STORY:
        line, text = pattern.replace("NS", namespace), stdin.replace("RULES*", changed)
        here, there = (
            _told(run(f"{target} {line}".strip(), text)) for target in ("", f"--kubeconfig {STATE}/kubeconfig")
        )
        assert (line, there) == (line, here)


def _told(result):
    """Exit code, stdout and stderr, without what has to differ: revisions and times, and how many proxies there are."""
    return (result.exit_code, _masked(result.stdout), _masked(result.stderr))


def _masked(text):
    text = re.sub(r"([Rr]evision:?) +\d+", r"\1 N", text)
    text = re.sub(r"\d+s( +\(since .*\))?$", "T", text, flags=re.MULTILINE)
    return re.sub(r"(Status:) .*", r"\1 accepted", text)


def test_a_deletion_waits_for_the_proxies_and_leaves_nothing_behind(run, namespace, control):  # noqa: F811
    cluster = f"--kubeconfig {STATE}/kubeconfig"
    listed = ["get", "egressrules.config.istio.io", "-n", namespace, "-o", "name"]
    assert run(f"{cluster} create -n {namespace} -f -", HTTPBIN).exit_code == 0
    control.set(2, 1)
    late = run(f"{cluster} delete -n {namespace} egressrule httpbin-egress-rule")
    assert (late.exit_code, late.stdout) == (1, "Deleted config: egressrule httpbin-egress-rule\n")
    assert "1 of 2 proxies has it in force no more" in late.stderr
    assert kubectl(*listed) == ""
    control.set(2, 2)
    assert run(f"{cluster} create -n {namespace} -f -", HTTPBIN).exit_code == 0
    began = time.monotonic()
    assert run(f"{cluster} delete -n {namespace} -f -", HTTPBIN).exit_code == 0
    assert time.monotonic() - began < 5
    assert kubectl(*listed) == ""


def test_who_cannot_wait_long_is_told_that_nobody_takes_note(run, namespace):  # noqa: F811
    """Or that somebody has, where Exitway runs in the cluster."""
    made = run(f"--kubeconfig {STATE}/kubeconfig create -n {namespace} -f -", HTTPBIN)
    assert made.stdout.startswith(f"Created config egress-rule/{namespace}/httpbin-egress-rule at revision ")
    assert (made.exit_code, made.stderr) in [
        (0, ""),
        (1, "warning: nothing in the cluster has taken note of the change within 10 s; is Exitway running in it?\n"),
    ]


def test_who_may_not_see_a_rule_is_not_told_that_there_is_none(run, namespace, tmp_path):  # noqa: F811
    kubectl("create", "-f", "-", "-n", namespace, stdin=HTTPBIN)
    kubectl("create", "serviceaccount", "stranger", "-n", namespace)
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": kubectl("create", "token", "stranger", "-n", namespace).strip()}
    (tmp_path / "stranger.json").write_text(json.dumps(config))
    for line in ("delete egressrule httpbin-egress-rule", "delete -f -", "replace -f -"):
        result = run(f"--kubeconfig stranger.json {line} -n {namespace}", HTTPBIN)
        assert (result.exit_code, result.stdout) == (1, ""), line
        assert "forbidden" in result.stderr
        assert "does not exist" not in result.stderr


def test_a_namespace_or_a_cluster_that_is_not_there_is_a_problem(run, definitions, tmp_path):  # noqa: F811
    (tmp_path / "nobody.yaml").write_text(
        (STATE / "kubeconfig").read_text().replace(":6443", ":1").replace(":16443", ":1")
    )
    for line, code in [
        (
            f"--kubeconfig {STATE}/kubeconfig create -n not-there -f -",
            "EXW1405 there is no namespace not-there in the cluster",
        ),
        (f"--kubeconfig {STATE}/kubeconfig --context nope get egressrules", "EXW1401 no cluster can be told from"),
        ("--kubeconfig nowhere get egressrules", "nowhere: EXW1401 the kubeconfig cannot be read: no such file"),
        ("--kubeconfig nobody.yaml get egressrules", "EXW1402 the API server at https://"),
    ]:
        result = run(line, HTTPBIN)
        assert (result.exit_code, result.stdout) == (1, ""), line
        assert code in result.stderr
