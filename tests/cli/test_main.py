from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from exitway import __version__
from exitway.cli.main import COMMANDS
from tests.cli.rules import HTTPBIN

EXITWAY = [sys.executable, "-m", "exitway"]


def exitway(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EXITWAY, *arguments],
        check=False,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        timeout=30,
    )


def test_the_help_lists_every_command_and_imports_none(run):
    result = run("--help")
    assert [name for name in COMMANDS if f"\n  {name} " not in result.stdout] == []
    script = "import sys; sys.argv = ['exitway', '--help']; import exitway.cli.main as m\ntry: m.main()\nexcept SystemExit: print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {where.partition(":")[0] for where, _ in COMMANDS.values()} & set(modules)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_table_says_and_explains_itself(run, name):
    result = run(f"{name} --help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: exitway {name}")


def test_the_version_is_that_of_the_distribution(run):
    assert version("exitway") == __version__
    assert run("--version").stdout == f"exitway {__version__}\n"


def test_a_command_that_asks_the_server_imports_only_what_it_needs(server, settings):
    script = "import sys; sys.argv = ['exitway', 'get', 'egressrules']; import exitway.cli.main as m\ntry: m.main()\nexcept SystemExit: print(*sys.modules)"
    environment = {**os.environ, "EXITWAY_RUNTIME_DIR": str(settings.runtime_dir)}
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()
    assert "exitway.cli.client" in modules
    assert not {"yaml", "pydantic", "starlette", "grpc", "asyncio", "ssl", "email", "http.client", "subprocess"} & set(
        modules
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_exitway(run, shell):
    assert "_EXITWAY_COMPLETE" in run(f"completion {shell}").stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("exitway de", ["delete", "describe", "demo"]),
        ("exitway get ", ["egressrules"]),
        ("exitway get egressrule h", ["httpbin-egress-rule"]),
        ("exitway -n istioegress delete egressrule ", []),
        ("exitway delete egressrule -n ", ["default"]),
        ("exitway get egressrules -o w", ["wide"]),
        ("exitway create --f", ["--filename"]),
    ],
)
def test_the_shell_is_offered(run, server, settings, words, offered):
    run("create -f -", HTTPBIN)
    position = len(words.split(" ")) - 1
    asked = exitway(
        _EXITWAY_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(position),
        EXITWAY_RUNTIME_DIR=str(settings.runtime_dir),
    )
    assert sorted(line.partition(",")[2] for line in asked.stdout.split()) == sorted(offered)
    assert asked.stderr == ""


def test_completion_without_a_server_is_silent(settings):
    asked = exitway(
        _EXITWAY_COMPLETE="bash_complete",
        COMP_WORDS="exitway get egressrule ",
        COMP_CWORD="3",
        EXITWAY_RUNTIME_DIR=str(settings.runtime_dir),
    )
    assert (asked.stdout.strip(), asked.stderr) == ("", "")


def test_a_watch_prints_what_is_there_and_then_every_change(run, server, settings):
    run("create -f -", HTTPBIN)
    environment = {**os.environ, "EXITWAY_RUNTIME_DIR": str(settings.runtime_dir)}
    with subprocess.Popen(
        [*EXITWAY, "get", "egressrules", "--watch"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as watch:
        assert watch.stdout is not None
        output = watch.stdout

        def line() -> list[str]:
            assert select.select([output], [], [], 10)[0], "nothing came"
            return os.read(output.fileno(), 4096).decode().splitlines()[-1].split()

        seen = line()
        while seen[0] != "ADDED":
            seen = line()
        assert seen[1] == "httpbin-egress-rule"
        run("delete egressrule httpbin-egress-rule")
        assert line()[:2] == ["DELETED", "httpbin-egress-rule"]
        run("create -f - -n shop", HTTPBIN)
        assert line() == ["ADDED", "httpbin-egress-rule", "EgressRule.v1alpha2.config.istio.io", "shop"]
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 130


def test_the_reference_is_what_the_commands_and_the_catalogue_say():
    script = Path(__file__).parents[2] / "scripts/update-docs"
    checked = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("words", ["--help", "test tests.yml -v"])
def test_a_full_disk_is_said_and_is_no_success(files, words):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*EXITWAY, *words.split()], check=False, cwd=files, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (result.returncode, result.stderr) == (1, "exitway: no space left on device: the output\n")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "rules.yml").write_text(HTTPBIN)
    (tmp_path / "tests.yml").write_text("rules: rules.yml\ndeny: [http://a.example/]\n")
    return tmp_path
