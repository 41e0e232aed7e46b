"""``exitway diff``, as it is typed and as it answers."""

import json
import subprocess

import pytest

RULES = """\
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: stripe, namespace: shop}
spec:
  workloadSelector: {matchLabels: {app: checkout}}
  to:
  - hosts: [api.stripe.com]
    ports: [{number: 443, protocol: TLS}]
---
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: github, namespace: shop}
spec:
  to:
  - hosts: [api.github.com]
    ports: [{number: 443, protocol: HTTP}]
    originateTLS: true
    methods: [GET]
    paths: [/users/*, /repos/*]
---
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: base, namespace: exitway-system}
spec:
  to:
  - cidrs: [10.20.0.0/16]
    ports: [{number: 5432, protocol: TCP}]
  expires: 2090-01-31T00:00:00Z
"""
CHANGED = (
    RULES.replace("  workloadSelector: {matchLabels: {app: checkout}}\n", "")
    .replace("[api.stripe.com]", '[api.stripe.com, "*.stripe.network"]')
    .replace("[GET]", "[GET, DELETE]")
    .replace("/repos/*", "/repos/mine/*")
    .replace("    originateTLS: true\n", "")
    .replace("2090", "2091")
    .replace("[10.20.0.0/16]", "[10.20.0.0/17]")
)
TEXT = """\
Opens:
  every namespace, from 2090-01-31T00:00:00Z, until 2091-01-31T00:00:00Z -> TCP 10.20.0.0/17:5432
    TCP 10.20.0.1:5432: denied (no-rule), now allowed by exitway-system/base (new.yml:21:18)
  shop -> TLS *.stripe.network:443
    TLS www.stripe.network:443: denied (no-rule), now allowed by shop/stripe (new.yml:3:18)
  shop -> HTTP api.github.com:443 DELETE /repos/mine/*, /users/*
    DELETE http://api.github.com:443/repos/mine/: denied (method), nearest shop/github (old.yml:12:18), now allowed by shop/github (new.yml:11:18)
  shop, app!=checkout -> TLS api.stripe.com:443
    TLS api.stripe.com:443: denied (no-rule), now allowed by shop/stripe (new.yml:3:18)
Closes:
  every namespace, until 2090-01-31T00:00:00Z -> TCP 10.20.0.0/16:5432 but not 10.20.0.0/17
    TCP 10.20.128.0:5432: was allowed by exitway-system/base (old.yml:23:18), now denied (no-rule)
  shop -> HTTP api.github.com:443 GET /repos/* but /repos/mine/*, over TLS by the proxy
    GET http://api.github.com:443/repos/: was allowed by shop/github (old.yml:12:18), now denied (path), nearest shop/github (new.yml:11:18)
Goes out otherwise:
  shop -> HTTP api.github.com:443 GET /repos/mine/*, /users/*: through the proxy, no longer over TLS by the proxy
    GET http://api.github.com:443/repos/mine/: was allowed by shop/github (old.yml:12:18), now allowed by shop/github (new.yml:11:18)
7 differences in meaning: 4 open, 2 close, 1 goes out otherwise.
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "old.yml").write_text(RULES)
    (tmp_path / "new.yml").write_text(CHANGED)
    return tmp_path


def test_what_opens_and_closes_is_told_with_a_call_each(run, files):
    result = run("diff old.yml new.yml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == TEXT
    assert run("diff old.yml new.yml --exit-code").exit_code == 1


def test_the_text_of_rules_does_not_matter(run, files):
    (files / "same").mkdir()
    parts = (
        RULES.replace("name: stripe", "name: payment")
        .replace("[/users/*, /repos/*]", "[/repos/*, /users/*]")
        .split("---\n")
    )
    for number, part in enumerate(parts):
        (files / f"same/{number}.yml").write_text(part)
    result = run("diff old.yml same --exit-code")
    assert (result.exit_code, result.stdout) == (0, "No difference in meaning.\n")


def test_a_review_gets_tables(run, files):
    lines = run("diff old.yml new.yml --format markdown -n blog").stdout.splitlines()
    assert lines[:7] == [
        "**2 differences in meaning: 1 opens, 1 closes.**",
        "",
        "### Opens",
        "",
        "| who | where to | for example | what is decided |",
        "|---|---|---|---|",
        "| `blog, from 2090-01-31T00:00:00Z, until 2091-01-31T00:00:00Z` | `TCP 10.20.0.0/17:5432` | `TCP 10.20.0.1:5432` | denied (no-rule), now allowed by `exitway-system/base (new.yml:21:18)` |",
    ]


def test_a_review_gets_no_markdown_from_names(run, files):
    name = "`|[ok](https:evil)<b>\n## ok.yml"
    (files / "rules").mkdir()
    (files / "new.yml").rename(files / "rules" / name)
    row = run("diff /dev/null rules -o markdown -n blog").stdout.splitlines()[-1]
    assert row.endswith(
        " | denied (no-rule), now allowed by `exitway-system/base (rules/'\\|[ok](https:evil)<b> ## ok.yml:21:18)` |"
    )


def test_a_program_gets_json(run, files):
    found = json.loads(run("diff old.yml new.yml --format json").stdout)
    assert {change: len(of_these) for change, of_these in found.items()} == {"opens": 4, "closes": 2, "differs": 1}
    one = next(one for one in found["opens"] if one["to"] == "api.stripe.com")
    assert one["namespaces"] == {"names": ["shop"], "others": False}
    assert one["labels"] == [{"key": "app", "values": ["checkout"], "others": True}]
    assert (one["before"], one["after"]) == (None, "through the proxy")
    assert one["witness"]["call"] == "TLS api.stripe.com:443"
    assert one["witness"]["after"] == {
        "verdict": "allow", "reason": "rule", "rule": "egress-rule/shop/stripe", "place": "new.yml:3:18",
    }  # fmt: skip


def test_what_is_in_force_is_one_side(run, server, files):
    assert run("create -f old.yml").exit_code == 0
    assert run("diff in-force old.yml --exit-code").stdout == "No difference in meaning.\n"
    assert run("diff in-force new.yml").stdout.splitlines()[-1] == TEXT.splitlines()[-1]
    (files / "more.yml").write_text(
        RULES.split("---\n", maxsplit=1)[0].replace("name: stripe", "name: more").replace("stripe.com", "more.example")
    )
    result = run("diff -f more.yml")
    assert result.stdout.splitlines()[-1] == "1 difference in meaning: 1 opens."
    assert run("diff in-force more.yml").stdout.splitlines()[-1] == "4 differences in meaning: 1 opens, 3 close."


@pytest.fixture
def committed(files):
    """Changed since."""
    (files / "rules").mkdir()
    (files / "rules/all.yml").write_text(RULES)
    subprocess.run(["git", "init", "-q"], cwd=files, check=True)
    commit(files)
    (files / "rules/all.yml").write_text(CHANGED)
    return files


def commit(files):
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["add", "rules"], [*author, "commit", "-qm", "Rules"]):
        subprocess.run(["git", *command], cwd=files, check=True)


def test_a_revision_of_git_is_one_side(run, committed):
    told = run("diff HEAD:rules rules").stdout
    assert told.splitlines()[-1] == TEXT.splitlines()[-1]
    assert "was allowed by shop/github (HEAD:rules/all.yml:12:18)" in told
    assert run("diff HEAD:rules/all.yml HEAD:rules --exit-code").exit_code == 0
    result = run("diff HEAD:nowhere rules")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "HEAD:nowhere: EXW1811 git does not know it: path 'nowhere' does not exist in 'HEAD'" in result.stderr


def test_a_revision_is_the_same_from_a_directory_further_in(run, committed, monkeypatch):
    monkeypatch.chdir(committed / "rules")
    for revision in ("HEAD:rules", "HEAD:./"):
        assert run(f"diff {revision} .").stdout.splitlines()[-1] == TEXT.splitlines()[-1]


@pytest.mark.parametrize("revision", ["HEAD", "origin/main"])
def test_no_file_comes_in_the_place_of_a_revision(run, committed, revision):
    """Whoever proposes a change chooses what lies there."""
    known = run(f"diff {revision}:rules rules").output
    (committed / revision).parent.mkdir(exist_ok=True)
    (committed / f"{revision}:rules").symlink_to(committed / "rules")
    assert run(f"diff {revision}:rules rules").output == known != "No difference in meaning.\n"
    assert run(f"diff ./{revision}:rules rules").output == "No difference in meaning.\n"


def test_a_file_with_nothing_in_it_takes_no_others_away(run, committed):
    (committed / "rules/empty.yml").write_text("# all rules are in the other\n")
    (committed / "rules/service.yml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    assert run("diff HEAD:rules rules").stdout.splitlines()[-1] == TEXT.splitlines()[-1]
    commit(committed)
    assert run("diff old.yml HEAD:rules").stdout.splitlines()[-1] == TEXT.splitlines()[-1]


def test_a_directory_of_directories_is_not_one_without_rules(run, committed):
    (committed / "rules/shop").mkdir()
    (committed / "rules/all.yml").rename(committed / "rules/shop/all.yml")
    commit(committed)
    nothing = "EXW0915 nothing in this directory is named *.yaml, *.yml, *.json\n"
    hint = "  hint: directories in it are not read unless they are named: {}/shop\n"
    for command in ("analyze", "apply -f", "explain a.example:443 -f", "test"):
        result = run(f"{command} rules")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"rules: {nothing}{hint.format('rules')}"
    result = run("diff HEAD:rules rules")
    both = (f"{side}: {nothing}{hint.format(side)}" for side in ("HEAD:rules", "rules"))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "".join(both))
    assert run("diff HEAD:rules/shop rules/shop --exit-code").exit_code == 0
    (committed / "empty").mkdir()
    assert run("test empty").stderr == f"empty: {nothing}"


def test_a_revision_is_no_option_of_git(run, committed):
    assert "invalid object name '-t'" in run("diff -- -t:rules rules").stderr


def test_the_problems_of_both_sides_are_said_at_once(run, files):
    (files / "bad.yml").write_text(RULES.replace("443", "99999"))
    result = run("diff nowhere.yml bad.yml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split(" ")[1] for line in result.stderr.splitlines() if "EXW" in line] == [
        "EXW0103",
        "EXW0103",
        "EXW0911",
    ]
    assert run("diff old.yml").exit_code == 2
    assert run("diff old.yml new.yml -f old.yml").exit_code == 2


def test_nothing_is_a_side_too(run, files):
    assert run("diff /dev/null old.yml").stdout.splitlines()[-1] == "3 differences in meaning: 3 open."
    assert run("diff - old.yml --exit-code", RULES).exit_code == 0
