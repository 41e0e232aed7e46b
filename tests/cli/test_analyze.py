"""``exitway analyze`` of files; of what is in force: tests/features/test_analyze.py."""

import json
from contextlib import closing
from dataclasses import replace

import pytest

from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key
from tests.cli.reports import Sarif

BUCKETS = """\
apiVersion: exitway.dev/v1
kind: EgressRule
metadata:
  name: buckets
spec:
  to:
    - hosts: ["*.s3.amazonaws.com", api.example.com]
      ports: [{number: 443, protocol: TLS}]
"""
API = """\
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: api}
spec:
  to:
    - hosts: [api.example.com]
      ports: [{number: 443, protocol: TLS}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
"""
SUFFIX = BUCKETS.replace("*.s3.amazonaws.com", "*.co.uk").replace("buckets", "britain")


@pytest.fixture
def rules(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/api.yml").write_text(API)
    (tmp_path / "rules/buckets.yml").write_text(BUCKETS)
    return tmp_path / "rules"


SAID = """\
rules/api.yml:3:18: warning EXW2002 egress-rule/default/api: egress-rule/default/buckets says all of it already
  hint: take it away: nothing is decided otherwise without it
rules/buckets.yml:7:15: warning EXW2012 egress-rule/default/buckets: *.s3.amazonaws.com holds names of strangers: those below s3.amazonaws.com are given to whoever asks
  hint: name the hosts that are meant, as in my-own.s3.amazonaws.com
"""


def test_findings_stand_where_the_rules_do(run, rules):
    said = run("analyze rules")
    assert said.exit_code == 0
    assert said.stdout == SAID
    assert said.stderr.splitlines() == ["warning: 1 object of other kinds is not looked at", "2 rules: 2 warnings"]


@pytest.mark.parametrize(
    ("line", "stdin", "code"),
    [
        ("analyze rules --fail-on warning", "", 1),
        ("analyze rules --fail-on info", "", 1),
        ("analyze -", SUFFIX, 1),
        ("analyze - --fail-on never", SUFFIX, 0),
        ("analyze -", API, 0),
        ("analyze - --fail-on info", API, 0),
        ("analyze nowhere.yml", "", 1),
        ("analyze rules --server /run/x.sock", "", 2),
        ("analyze rules --fail-on fatal", "", 2),
        ("analyze rules --expires-within soon", "", 2),
        ("analyze rules --unused-for 30", "", 2),
    ],
)
def test_the_exit_code_says_how_it_went(run, rules, line, stdin, code):
    assert run(line, stdin).exit_code == code


def test_rules_of_two_files_that_conflict_are_found(run, tmp_path):
    for name, port in (("one", 80), ("two", 8080)):
        (tmp_path / f"{name}.yml").write_text(
            "apiVersion: config.istio.io/v1alpha2\nkind: EgressRule\n"
            f"metadata: {{name: {name}}}\nspec:\n  destination: {{service: httpbin.org}}\n"
            f"  ports: [{{port: {port}, protocol: http}}]\n"
        )
    said = run("analyze one.yml two.yml")
    assert said.exit_code == 1
    assert (
        'two.yml:5:26: error EXW2001 egress-rule/default/two: rule "egress-rule/default/two" conflicts' in said.stdout
    )
    assert "(EXW0401)" in said.stdout
    assert len(said.stdout.splitlines()) == 2


def test_what_cannot_be_read_is_a_problem(run, tmp_path):
    (tmp_path / "bad.yml").write_text(BUCKETS.replace("TLS", "SSL"))
    said = run("analyze bad.yml")
    assert said.exit_code == 1
    assert "bad.yml:8:39: EXW0109" in said.stderr
    assert not said.stdout


def test_what_is_ignored_is_counted_and_shown_if_asked_for(run):
    ignoring = SUFFIX.replace("name: britain", "name: britain\n  annotations: {exitway.dev/ignore-findings: EXW2011}")
    assert run("analyze -", ignoring).stderr == "1 rule: nothing found; 1 ignored\n"
    shown = run("analyze - --show-ignored", ignoring)
    assert "error EXW2011 (ignored) egress-rule/default/britain" in shown.stdout
    assert shown.exit_code == 0


def test_findings_can_be_read_by_programs(run, rules):
    (first, second) = json.loads(run("analyze rules -o json").stdout)
    assert first["code"], second["code"] == ("EXW2002", "EXW2012")
    assert (second["file"], second["line"], second["column"], second["field"]) == (
        "rules/buckets.yml",
        7,
        15,
        "spec.to[0].hosts[0]",
    )


def test_code_scanning_gets_sarif(run, rules):
    log = json.loads(run("analyze rules -o sarif").stdout)
    (of,) = log["runs"]
    codes = [rule["id"] for rule in of["tool"]["driver"]["rules"]]
    assert log["version"] == "2.1.0"
    for result in of["results"]:
        assert codes[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] == "warning"
    place = of["results"][1]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "rules/buckets.yml"}, "region": {"startLine": 7, "startColumn": 15}}


@pytest.mark.usefixtures("server")
def test_the_flows_are_those_of_the_server_that_is_asked(run, settings, proxies, tmp_path, monkeypatch):
    monkeypatch.setenv("EXITWAY_STATE_DIR", str(settings.state_dir))
    (tmp_path / "api.yml").write_text(API.partition("---")[0])
    run("create -f api.yml")
    old = Flow(
        "2026-01-01T00:00:00.000Z",
        "default/w",
        "x.test",
        "198.18.0.9",
        443,
        "TLS",
        Decision(Verdict.DENY, Reason.NO_RULE),
    )
    used = Decision(Verdict.ALLOW, Reason.RULE, Key("egress-rule", "default", "api", "exitway.dev"))
    proxies.flows = str(tmp_path / "flows.db")
    for path, flows in (
        (settings.flow_db, [old]),
        (tmp_path / "flows.db", [old, replace(old, time="2099-01-01T00:00:00.000Z", decision=used)]),
    ):
        with closing(History(path)) as history:
            history.write(flows)
    assert "EXW2032 egress-rule/default/api" in run("analyze --unused-for 0s").stdout
    assert "EXW2032" not in run(f"analyze --unused-for 0s --server {settings.socket}").stdout


@pytest.mark.parametrize("asked", ["analyze rules", "analyze odd", "analyze -", "analyze {here}/rules/buckets.yml"])
def test_sarif_is_as_its_standard_says(run, rules, asked):
    """Also of a file with an odd name, of standard input, and of what is ignored."""
    (rules.parent / "odd").mkdir()
    ignoring = "name: britain\n  annotations: {exitway.dev/ignore-findings: EXW2011}"
    (rules.parent / "odd/\u00e4 b%#?.yml").write_text(SUFFIX.replace("name: britain", ignoring))
    said = run(f"{asked} -o sarif --fail-on never".format(here=rules.parent), BUCKETS).stdout
    (of,) = Sarif.model_validate_json(said).runs
    assert of.results
    assert [of.tool.driver.rules[one.rule_index].id for one in of.results] == [one.rule_id for one in of.results]
