"""The files that ``exitway learn`` is to write, looked at before anything else is."""

import pytest

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
