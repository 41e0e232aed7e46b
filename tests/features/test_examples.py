"""Every example is a rule that can be created as it stands."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from exitway.cli.main import cli
from exitway.lab.story import examples
from exitway.resources import kinds
from exitway.resources.document import read_documents

FILES = sorted(examples().glob("*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_is_read_without_problems(file: Path) -> None:
    documents = read_documents(file.read_bytes(), file.name)
    found = [kinds.read({**one.wire, "metadata": {"namespace": "shop", **one.wire["metadata"]}}) for one in documents]
    assert found
    assert all(resource.intents for resource in found)


def test_the_examples_do_what_their_tests_say() -> None:
    result = CliRunner().invoke(cli, ["test", str(examples() / "tests/tests.yml"), "--fail-unused"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "12 passed; 4 of 4 rules used")
