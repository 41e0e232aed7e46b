"""``exitway learn``: the files that it is to write, looked at before anything else is; and what comes of flows whose rules say more than they do."""

from contextlib import closing
from dataclasses import replace

import pytest
import yaml

from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key

EXISTS, NOWHERE, TOO_LONG = (
    "EXW1901 the file exists already",
    "EXW1902 the file cannot be written: there is no such directory",
    "EXW1902 the file cannot be written: file name too long",
)


@pytest.fixture
def links(tmp_path, monkeypatch):
    monkeypatch.setenv("EXITWAY_STATE_DIR", str(tmp_path / "state"))
    for link, target in {"dangling": "there", "loop": "loop", "astray": "no/where", "to": "rules.yml"}.items():
        (tmp_path / link).symlink_to(target)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--write dangling", EXISTS),
        ("--write loop", EXISTS),
        ("--write astray --overwrite", NOWHERE),
        ("--write no/rules.yml", NOWHERE),
        (f"--write {'x' * 300}", TOO_LONG),
        (f"--tests {'x' * 300} --overwrite", TOO_LONG),
        ("--write dangling --overwrite", "EXW1601 there are no flows"),
        ("--write loop --overwrite", "EXW1601 there are no flows"),
    ],
)
def test_a_file_that_will_not_be_written_is_a_problem_at_once(run, links, line, said):
    result = run(f"learn {line}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


@pytest.mark.parametrize("tests", ["rules.yml", "no/../rules.yml", "to"])
def test_rules_and_their_tests_are_two_files(run, links, tests):
    assert run(f"learn --write rules.yml --tests {tests} --overwrite").exit_code == 2


RULE = """
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: api, namespace: shop}
spec:
  workloadSelector: {matchLabels: {app: checkout}}
  to: [{hosts: [api.example], ports: [{number: 8443, protocol: HTTP}], originateTLS: true}]
"""
ALLOWED = Decision(Verdict.ALLOW, Reason.RULE, Key("egress-rule", "shop", "api", "exitway.dev"))
USED = Flow(
    "2026-11-23T08:10:12.123Z", "shop/w", "api.example", "240.240.0.9", 8443, "HTTP/1.1", ALLOWED, asked="api.example", method="GET", path="/",
    status=200, upstream="198.51.100.3:8443", labels={"app": "checkout"}, id=1,
)  # fmt: skip
AUDITED = replace(USED, decision=Decision(Verdict.DENY, Reason.NO_RULE), audit=True)


@pytest.fixture
def learn(run, settings, monkeypatch):
    """Learns from flows: the exit code, what is said, and to which hosts requests are let out; whether over TLS."""
    monkeypatch.setenv("EXITWAY_STATE_DIR", str(settings.state_dir))

    def learned(*flows):
        with closing(History(settings.flow_db)) as history:
            history.write([replace(flow, id=number) for number, flow in enumerate(flows, 1)])
        result = run("learn")
        entries = [to for rule in yaml.safe_load_all(result.stdout) if rule for to in rule["spec"]["to"]]
        return result.exit_code, result.stderr, [(host, "originateTLS" in to) for to in entries for host in to["hosts"]]

    return learned


def test_learned_rules_that_contradict_each_other_are_written_with_the_rest_and_that_is_said(run, server, learn):
    assert run("create -f -", RULE).exit_code == 0
    code, said, to = learn(
        USED, replace(AUDITED, labels={"tier": "web"}), replace(AUDITED, name="b.example", asked="b.example")
    )
    assert code == 1
    assert "EXW1904 `exitway create` refuses these rules: EXW0404 requests to api.example at port 8443" in said
    assert sorted(to) == [("api.example", False), ("api.example", True), ("b.example", False)]


UNTOLD = replace(USED, decision=Decision(Verdict.ALLOW, Reason.RULE))
AT_80 = replace(UNTOLD, port=80, upstream="198.51.100.3:80")


@pytest.mark.parametrize(
    ("rules", "flow", "learned"),
    [
        (RULE, USED, [True]),
        (RULE, UNTOLD, [True]),  # by the log of a sidecar: the rule was written once more since
        (RULE.replace("name: api", "name: other"), USED, [True]),
        (RULE.replace("name: api", "name: other").replace(", originateTLS: true", ""), USED, [False]),
        (RULE.replace("8443", "443"), USED, []),
        (RULE.replace("app: checkout", "app: web"), UNTOLD, []),
        ("", USED, []),
        ("", AT_80, [False]),
        ("", replace(AT_80, status=503, detail="UF remote_connection_failure TLS_error"), []),
        (RULE.replace("8443", "80"), AT_80, [True]),
        ("", AUDITED, [False]),
    ],
)
def test_what_may_have_gone_out_over_tls_is_never_learned_as_clear_text(run, server, learn, rules, flow, learned):
    assert not rules or run("create -f -", rules).exit_code == 0
    beside = replace(flow, name="b.example", asked="b.example", decision=AUDITED.decision, audit=True)
    code, said, to = learn(flow, beside)
    assert to == [("api.example", over_tls) for over_tls in learned] + [("b.example", False)]
    assert (code == 0) is bool(learned)
    unsaid = "GET http://api.example:8443/ went out, and is not learned: no rule in force says whether the proxy spoke TLS for it"
    assert (f"EXW1904 {unsaid}" in said) is (not learned and flow.port == 8443)
