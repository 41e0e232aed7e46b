"""The tutorial is true: its commands are run in a lab of their own, and give what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from exitway.lab.story import examples

pytestmark = pytest.mark.lab

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial.md"
END = "--end of the output--"
UNTIL_IT_ANSWERS = "until curl -sf localhost:8080/health >/dev/null; do sleep 0.1; done"


def commands_and_outputs() -> list[tuple[str, str]]:
    blocks = re.findall(r"^    \$ (.*)\n((?:    (?!\$).*\n)*)", TUTORIAL.read_text(), re.MULTILINE)
    return [(command, re.sub(r"^    ", "", output, flags=re.MULTILINE)) for command, output in blocks]


def same_every_time(text: str) -> str:
    return re.sub(r" +$|(?<=curl-)[0-9a-f]{6}|User-Agent.*|user-agent.*", "", text, flags=re.MULTILINE)


def test_the_tutorial_gives_what_it_says() -> None:
    told = commands_and_outputs()
    assert len(told) > 15
    script = "".join(
        f"{command}\n{UNTIL_IT_ANSWERS if command.endswith('&') else ''}\necho '{END}'\n" for command, _ in told
    )
    path = f"export PATH={Path(sys.executable).parent}:$PATH\n"
    lab = [sys.executable, "-m", "exitway", "lab", "--", "bash", "-c", path + script]
    played = subprocess.run(
        lab, cwd=examples(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    outputs = played.stdout.split(f"{END}\n")
    for (command, expected), output in zip(told, outputs, strict=False):
        assert same_every_time(output) == same_every_time(expected), command
    assert len(outputs) == len(told) + 1
