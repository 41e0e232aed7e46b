"""``exitway test``, as it is typed and as it answers."""

from xml.etree import ElementTree as ET

import pytest

from tests.cli.reports import junit_faults
from tests.cli.rules import STRIPE

UNUSED = """\
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: spare, namespace: shop}
spec:
  to: [{hosts: [spare.example], ports: [{number: 443, protocol: TLS}]}]
"""
TESTS = """\
rules: rules
namespace: shop
labels: {app: checkout}
allow:
  - https://api.stripe.com/v1/charges
  - call: https://stripe.network/
    because: their status page
tests:
  - name: the blog
    labels: {app: blog}
    deny:
      - https://api.stripe.com/v1/charges
  - name: in the clear
    deny:
      - call: http://legacy.example/
      - call: http://api.stripe.com/
        reason: no-rule
      - call: https://legacy.example:80/
        rule: stripe
        reason: protocol
"""
FAILED = """\
tests.yml:6:5: FAILED allow https://stripe.network/ (shop, app=checkout): denied (no-rule), nearest shop/stripe (rules/stripe.yml:7:5): \
*.stripe.network does not stand for stripe.network itself - their status page
tests.yml:15:9: FAILED deny http://legacy.example/ (shop, app=checkout): allowed by shop/stripe (rules/stripe.yml:9:5)
tests.yml:16:9: FAILED deny http://api.stripe.com/ (shop, app=checkout): expected reason no-rule, is denied (port), \
nearest shop/stripe (rules/stripe.yml:7:5): port 443 (for TLS: https://) is allowed, you asked for 80
"""
SPARE = "rule shop/spare (rules/spare.yml:4:1) is used by no test\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/stripe.yml").write_text(STRIPE)
    (tmp_path / "rules/spare.yml").write_text(UNUSED)
    (tmp_path / "tests.yml").write_text(TESTS)
    return tmp_path


def test_what_is_decided_otherwise_is_told_in_a_line_each(run, files):
    result = run("test tests.yml")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == f"tests.yml .F.FF.\n{FAILED}{SPARE}3 failed, 3 passed; 1 of 2 rules used\n"
    assert run("test -q tests.yml").stdout == f"{FAILED}3 failed, 3 passed; 1 of 2 rules used\n"


def test_some_of_the_calls_are_chosen_by_their_words(run, files):
    result = run("test tests.yml -v -k BLOG")
    assert result.exit_code == 0
    assert result.stdout.startswith("tests.yml:12:9: PASSED deny https://api.stripe.com/v1/charges (shop, app=blog)\n")
    result = run("test tests.yml -q -k nothing")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'EXW1805 nothing is tested: "nothing" stands in no call' in result.stderr


def test_an_unused_rule_fails_where_that_is_asked_for(run, files):
    (files / "tests.yml").write_text(TESTS.partition("  - call")[0])
    assert run("test tests.yml").exit_code == 0
    result = run("test tests.yml --fail-unused -q")
    assert (result.exit_code, result.stdout) == (1, f"{SPARE}1 passed; 1 of 2 rules used\n")
    assert run("test tests.yml --fail-unused -k charges").exit_code == 2


def test_nobody_is_of_a_namespace_that_there_cannot_be(run, files):
    result = run("test tests.yml -n Shop -l app=a.b.")
    assert result.exit_code == 1
    assert ["EXW0106" in result.stderr, "EXW0107" in result.stderr, result.stdout] == [True, True, ""]


def test_ci_servers_are_told_the_same(run, files):
    assert run("test tests.yml --junit report.xml --fail-unused").exit_code == 1
    root = ET.parse(files / "report.xml").getroot()
    suite, coverage = root
    assert list(junit_faults(root)) == []
    assert [one.tag for one in suite] == ["properties", *["testcase"] * 6, "system-out", "system-err"]
    cases = suite.findall("testcase")
    assert {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "tests.yml", "tests": "6", "failures": "3", "errors": "0", "skipped": "0",
    }  # fmt: skip
    assert [(case.get("classname"), case.find("failure") is None) for case in cases] == [
        ("tests", True),
        ("tests", False),
        ("tests.the blog", True),
        ("tests.in the clear", False),
        ("tests.in the clear", False),
        ("tests.in the clear", True),
    ]
    assert cases[3].findtext("failure", "").startswith("tests.yml:15:9: FAILED deny http://legacy.example/")
    assert cases[3][0].get("message") == "allowed by shop/stripe (rules/stripe.yml:9:5)"
    assert coverage[1].get("name") == "shop/spare (rules/spare.yml:4:1)"


def test_what_is_in_force_is_tested_alike(run, server, files):
    assert "no server" not in run("create -f rules").stderr
    result = run("test tests.yml --in-force -q")
    assert "3 failed, 3 passed; 1 of 2 rules used\n" in result.stdout
    assert "allowed by shop/stripe\n" in result.stdout
    (files / "tests.yml").write_text(TESTS.removeprefix("rules: rules\n"))
    assert run("test tests.yml -q").stdout.count("shop/stripe\n") == 1
    assert run("test tests.yml -q -f rules").stdout.count("rules/stripe.yml") == 3


def test_all_that_is_wrong_with_tests_and_rules_is_said_at_once_with_its_place(run, files):
    (files / "tests.yml").write_text("""\
rules: rules
labels: {app: "no good"}
alow: []
allow:
  - https://api.stripe.com:99999/
  - {call: "ftp://a.example/", methd: GET, reason: no-rule}
  - 7
deny:
  - {call: "gopher://a.example/", at: yesterday, namespace: Shop}
  - {reason: portt}
""")
    result = run("test tests.yml")
    assert (result.exit_code, result.stdout) == (1, "")
    said = [line for line in result.stderr.splitlines() if not line.startswith("  hint")]
    assert said == [
        'tests.yml:2:15: EXW0107 "no good" is not the value of a label',
        "tests.yml:3:1: EXW0101 unknown field alow",
        'tests.yml:5:5: EXW1704 "https://api.stripe.com:99999/" names no port',
        "tests.yml:6:39: EXW0101 unknown field allow[1].methd",
        'tests.yml:6:52: EXW1802 nothing is allowed for the reason "no-rule"',
        "tests.yml:7:5: EXW0104 allow[2] must be a mapping, not a whole number",
        'tests.yml:9:12: EXW1702 unknown scheme "gopher"',
        'tests.yml:9:39: EXW0310 "yesterday" is not a time',
        'tests.yml:9:61: EXW0106 "Shop" is not the name of a namespace',
        "tests.yml:10:5: EXW0102 deny[1].call is missing",
        'tests.yml:10:14: EXW1802 nothing is denied for the reason "portt"',
    ]


@pytest.mark.parametrize(
    ("tests", "stderr"),
    [
        ("namespace: shop\n", "tests.yml:1:1: EXW1801 no call in it"),
        ("rules: nowhere.yml\nallow: [a.example:1]\n", "nowhere.yml: EXW0911 the file cannot be read"),
        ('rules: "no\\0name"\nallow: [a.example:1]\n', "EXW0911 the file cannot be read: embedded null byte"),
        ("rules: rules\nallow: [{call: 'a.example:1', rule: strip}]\n", 'EXW1803 there is no rule "strip"\n  hint: did you mean stripe?'),
    ],
)  # fmt: skip
def test_a_file_that_proves_nothing_is_a_problem(run, files, tests, stderr):
    (files / "tests.yml").write_text(tests)
    result = run("test tests.yml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert stderr in result.stderr


def test_wrong_usage(run, files):
    assert run("test").exit_code == 2
    assert run("test tests.yml -f rules --in-force").exit_code == 2


def test_a_moment_can_be_named(run, files):
    (files / "rules/stripe.yml").write_text(STRIPE.replace("spec:", "spec:\n  expires: 2030-01-31T00:00:00Z"))
    (files / "tests.yml").write_text("""\
rules: rules/stripe.yml
namespace: shop
labels: {app: checkout}
at: 2030-01-31T01:00:00+01:00
because: it is over by then
allow:
  - {call: "https://api.stripe.com/", at: "2030-01-30T23:59:59Z"}
  - https://api.stripe.com/
deny: [https://api.stripe.com/]
""")
    result = run("test tests.yml")
    assert result.stdout.startswith(
        "tests.yml .F.\ntests.yml:8:5: FAILED allow https://api.stripe.com/ (shop, app=checkout): denied (no-rule)"
    )
    assert result.stdout.endswith(
        "it expired at 2030-01-31T00:00:00Z - it is over by then\n1 failed, 2 passed; 1 of 1 rule used\n"
    )


def test_what_is_dialled_may_be_another_than_what_is_said(run, files):
    (files / "tests.yml").write_text("""\
rules: rules/stripe.yml
namespace: shop
labels: {app: checkout}
allow:
  - {call: "https://api.stripe.com/", dialled: api.stripe.com}
  - {call: "http://legacy.example/", dialled: "2001:db8::5"}
deny:
  - {call: "https://api.stripe.com/", dialled: 192.0.2.7, reason: name-mismatch}
  - {call: "https://api.stripe.com/", dialled: evil.example, reason: name-mismatch}
""")
    assert run("test tests.yml").stdout == "tests.yml ....\n4 passed; 1 of 1 rule used\n"
    (files / "tests.yml").write_text("deny: [{call: 'https://api.stripe.com/', dialled: 'a!b'}]\n")
    assert "tests.yml:1:51: EXW1703" in run("test tests.yml").stderr
