"""Each row: what is typed, and what comes of it: exit code, stdout, stderr. The rows of one test are one story."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.cli.rules import HTTPBIN, STRIPE

HEADER = "NAME                  KIND                                      NAMESPACE"


def test_the_seeds_story_in_its_words(run, server, tmp_path):
    (tmp_path / "egress_httpbin.yml").write_text(HTTPBIN)
    for line, code, stdout in [
        ("get egressrules", 0, "No resources found.\n"),
        (
            "create -f egress_httpbin.yml -n istioegress",
            0,
            "Created config egress-rule/istioegress/httpbin-egress-rule at revision 1\n",
        ),
        (
            "get egressrules",
            0,
            f"{HEADER}\nhttpbin-egress-rule   EgressRule.v1alpha2.config.istio.io       istioegress\n",
        ),
        (
            "replace -f egress_httpbin.yml -n istioegress",
            0,
            "Updated config egress-rule/istioegress/httpbin-egress-rule to revision 1\n",
        ),
        ("delete egressrule httpbin-egress-rule -n istioegress", 0, "Deleted config: egressrule httpbin-egress-rule\n"),
        ("get egressrule httpbin-egress-rule -n istioegress", 1, "No resources found.\n"),
        ("apply -f egress_httpbin.yml", 0, "Created config egress-rule/default/httpbin-egress-rule at revision 3\n"),
        ("apply -f egress_httpbin.yml", 0, "Unchanged config egress-rule/default/httpbin-egress-rule at revision 3\n"),
        ("delete -f egress_httpbin.yml", 0, "Deleted config: egress-rule/default/httpbin-egress-rule\n"),
    ]:
        result = run(line)
        assert (line, result.exit_code, result.stdout) == (line, code, stdout), result.stderr


@pytest.mark.parametrize(
    ("line", "stdin", "code", "stderr"),
    [
        ("create rules.yml", "", 2, "create takes no arguments"),
        ("create", "", 2, "filename not specified (see --filename or -f)"),
        ("create -f -", "# nothing\n", 1, "EXW0914 nothing to create"),
        ("delete", "", 2, "provide configuration type and name or -f option"),
        ("delete egressrule", "", 2, "provide configuration type and name or -f option"),
        ("delete -f - egressrule x", "", 2, "delete takes no arguments when the file option is used"),
        ("delete egressrule x y", "", 1, "cannot delete y: egress-rule/default/y does not exist"),
        ("get", "", 2, "specify the type of resource to get. Types are egressrules"),
        ("get egressrules -o xml", "", 2, "unknown output format xml. Types are short|wide|yaml|json|name"),
        (
            "get egress-rules",
            "",
            2,
            '"egress-rules" not recognized. Please use non-hyphenated resource name "egressrules"',
        ),
        ("get pods", "", 2, "configuration type pods not found, the types are egressrules"),
        ("get egressrule nobody -n shop", "", 1, "EXW0913 there is no egressrule nobody in namespace shop"),
        ("-n istioegress create -f -", STRIPE, 1, "You must pass '--namespace=shop' to perform this operation"),
        ("create -f nowhere.yml", "", 1, "nowhere.yml: EXW0911 the file cannot be read: no such file or directory"),
        (f"create -f {'x' * 300}", "", 1, "xxx: EXW0911 the file cannot be read: file name too long"),
        ("replace -f -", HTTPBIN, 1, "<stdin>:4:9: EXW0612 egress-rule/default/httpbin-egress-rule does not exist"),
        ("craete", "", 2, "there is no command 'craete'; did you mean 'create'?"),
        ("--server nowhere.sock get egressrules", "", 1, "EXW0901 no server is running at nowhere.sock"),
        ("--server nowhere.sock status", "", 1, "EXW0901 no server is running at nowhere.sock"),
        ("--server nowhere.sock down", "", 1, "EXW0901 no server is running at nowhere.sock"),
        ("up --tcp 127.0.0.1:8001", "", 1, "EXW0602 a server is already running, and --tcp needs a new one"),
    ],
)
def test_what_is_wrong_is_said_on_stderr(run, server, line, stdin, code, stderr):
    result = run(line, stdin)
    assert stderr in result.stderr
    assert (result.exit_code, result.stdout.replace("No resources found.\n", "")) == (code, "")


def test_the_problems_of_all_files_are_shown_at_once_and_nothing_is_created(run, server, tmp_path):
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.yaml").write_text(HTTPBIN)
    (rules / "b.yml").write_text(
        HTTPBIN.replace("httpbin-", "other-").replace("80", "99999").replace("http\n", "gopher\n")
    )
    (rules / "c.json").write_text('{"apiVersion": "exitway.dev/v1",\n "apiVersion": "exitway.dev/v1"}')
    (rules / ".yml").write_text("kubectl reads it, too")
    (rules / "notes.txt").write_text("not a rule")
    result = run("create -f rules")
    places = [line.split(": ")[0] for line in result.stderr.splitlines() if not line.startswith("  hint:")]
    assert places == ["rules/.yml:1:1", "rules/b.yml:9:11", "rules/b.yml:10:15", "rules/c.json:2:2"], result.stderr
    assert result.exit_code == 1
    assert not list(server.registry)


def test_no_control_sequence_reaches_the_terminal(run, server, tmp_path):
    (tmp_path / "\x1b[2J\u202e.yml").write_text(HTTPBIN.replace("httpbin.org", r'"\e[2Jevil\u202egro"'))
    for line in (
        "create -f .",
        "create -f \x1b[2J\u202e.yaml",
        "get \x1b[2J\u202e",
        "get egressrules -o \x1b[2J\u202e",
    ):
        result = run(line)
        assert result.exit_code in (1, 2)
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", result.stderr) is None
        assert r"\x1b[2J\u202e" in result.stderr


def test_a_dry_run_changes_nothing(run, server):
    result = run("create -f - --dry-run", HTTPBIN)
    assert result.stdout == "Created config egress-rule/default/httpbin-egress-rule (dry run)\n"
    assert not list(server.registry)


def test_a_change_that_a_proxy_has_not_acknowledged_is_a_warning_and_exit_code_1(run, server, proxies):
    proxies.silent = ["shop/web refuses it: bad"]
    waiting = run("create -f -", HTTPBIN)
    assert (waiting.exit_code, waiting.stderr) == (1, "warning: shop/web refuses it: bad\n")
    assert waiting.stdout == "Created config egress-rule/default/httpbin-egress-rule at revision 1\n"
    hasty = run("delete --no-wait egressrule httpbin-egress-rule")
    assert (hasty.exit_code, hasty.stderr) == (0, "")


def test_get_prints_in_every_format(run, server):
    assert run("create -f - -f -", HTTPBIN + "---\n" + STRIPE).exit_code == 1, "stdin is empty the second time"
    assert run("create -f -", HTTPBIN + "---\n" + STRIPE).exit_code == 0
    wide = run("get egressrules -o wide").stdout.splitlines()
    assert wide[0].split() == ["NAME", "KIND", "NAMESPACE", "ACTION", "DESTINATIONS", "PORTS", "AGE"]
    assert wide[2].split()[3:6] == ["ALLOW", "api.stripe.com,*.stripe.network,legacy.example", "443/TLS,80/HTTP"]
    assert run("get egressrules -n shop -o name").stdout == "egressrule.exitway.dev/stripe\n"
    documents = run("get egressrules -o yaml").stdout
    assert documents.count("\n---\n") == 2
    assert [rule["metadata"]["name"] for rule in yaml.safe_load_all(documents) if rule] == [
        "httpbin-egress-rule",
        "stripe",
    ]
    assert json.loads(run("get egressrule stripe -o json").stdout)["spec"]["to"][0]["hosts"] == [
        "api.stripe.com",
        "*.stripe.network",
    ]
    assert len(json.loads(run("-o json get egressrules").stdout)["items"]) == 2
    assert run("get egressrules.exitway.dev/stripe -n shop -o name").exit_code == 0


def test_what_get_prints_can_be_applied_again(run, server):
    run("create -f -", HTTPBIN + "---\n" + STRIPE)
    for output in ("yaml", "json"):
        again = run("apply -f -", run(f"get egressrules -o {output}").stdout)
        assert [line.split()[0] for line in again.stdout.splitlines()] == ["Unchanged", "Unchanged"], again.stderr


def test_names_are_piped_into_delete(run, server):
    run("create -f -", HTTPBIN)
    names = run("get egressrules -n default -o name").stdout
    assert run(f"delete {names} -n default").stdout == "Deleted config: egressrule httpbin-egress-rule\n"


def test_describe_says_what_is_let_out_and_for_whom(run, server, proxies):
    run("create -f -", HTTPBIN + "---\n" + STRIPE)
    result = run("describe egressrule stripe")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in [
        "Name: stripe",
        "Namespace: shop",
        "Kind: EgressRule.v1.exitway.dev",
        "Labels: team=money",
        "For: workloads of namespace shop with app=checkout",
        "To: api.stripe.com, *.stripe.network on port 443/TLS",
        "legacy.example on port 80/HTTP",
        "programs speak HTTP, Exitway verified TLS",
        "Status: accepted; the proxy has refused nothing",
    ]:
        assert line in lines, result.stdout
    assert "For: every workload of namespace default" in " ".join(run("describe egressrules -n default").stdout.split())
    proxies.refused = ["bad listener"]
    assert "keeps the former: bad listener" in run("describe egressrule stripe").stdout
    assert run("describe egressrule nobody").exit_code == 1


def test_no_server_is_a_problem_that_says_what_to_do(run, settings):
    result = run("get egressrules")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"EXW0901 no server is running at {settings.socket}\n  hint: `exitway up` starts one; `exitway run` brings its own\n"
    )
