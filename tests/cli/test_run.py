import click
import pytest
from click.testing import CliRunner

from exitway.cli.options import read_labels
from exitway.cli.run import _name, _publications, _stem, run

PARAMETER = click.Option(["-x"])
CONTEXT = click.Context(run)

PUBLISH = {
    "8080": ("127.0.0.1", 8080, 8080),
    "8080:80": ("127.0.0.1", 8080, 80),
    "localhost:8080": ("127.0.0.1", 8080, 8080),
    "0.0.0.0:8080:80": ("0.0.0.0", 8080, 80),
    "127.0.0.2:8080": ("127.0.0.2", 8080, 8080),
    "[::1]:8080:80": ("::1", 8080, 80),
}


@pytest.mark.parametrize(("text", "expected"), PUBLISH.items())
def test_a_publication_is_an_address_a_port_and_the_programs_port(text, expected):
    (publication,) = _publications(CONTEXT, PARAMETER, [text])
    assert (publication["address"], publication["port"], publication["target"]) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "0", "65536", "80:0", "80:80:80", "host:80", "::1:80", "-1", "80:", ":80", "1.2.3.4"]
)
def test_a_malformed_publication_is_wrong_usage(text):
    assert CliRunner().invoke(run, [f"--publish={text}", "true"]).exit_code == 2


def test_labels_are_keys_and_values():
    assert read_labels(CONTEXT, PARAMETER, ["app=a=b", "tier="]) == {"app": "a=b", "tier": ""}
    for text in ("app", "=a", ""):
        assert CliRunner().invoke(run, ["-l", text, "true"]).exit_code == 2


def test_no_command_and_unknown_options_are_wrong_usage():
    for arguments in ([], ["--"], ["--no-such-option", "true"]):
        assert CliRunner().invoke(run, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("program", "stem"),
    [("java", "java"), ("/usr/bin/Python3.11", "python3-11"), ("./a b", "a-b"), ("_", "run"), ("x" * 100, "x" * 40)],
)
def test_a_workload_is_named_after_its_program(program, stem):
    names = {_name(_stem(program)) for _ in range(10)}
    assert len(names) == 10
    assert {name.rpartition("-")[0] for name in names} == {stem}
