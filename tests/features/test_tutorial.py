"""The tutorial and the page on kubectl are true: their commands are run, each in a lab of its own, and give what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from exitway.lab.story import examples

pytestmark = pytest.mark.lab

DOCS = Path(__file__).parents[2] / "docs"
END = "--end of the output--"
UNTIL_IT_ANSWERS = "until curl -sf localhost:8080/health >/dev/null; do sleep 0.1; done"


OTHER_EACH_TIME = (
    r" +$",
    r"(?<=curl-)[0-9a-f]{6}|(?<=sh-)[0-9a-f]{6}",
    r"User-Agent.*|user-agent.*",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z( to [\dT:.-]+Z)?",  # when it was seen, and by whom, if that is known, and how much was said
    r", by [^;\n]*|; [\d.]+ k?B sent, [\d.]+ k?B received",
)


def commands_and_outputs(page: str) -> list[tuple[str, str]]:
    blocks = re.findall(r"^    \$ (.*)\n((?:    (?!\$).*\n)*)", (DOCS / page).read_text(), re.MULTILINE)
    return [(command, re.sub(r"^    ", "", output, flags=re.MULTILINE)) for command, output in blocks]


def same_every_time(text: str) -> str:
    return re.sub("|".join(OTHER_EACH_TIME), "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("page", "least"), [("tutorial.md", 16), ("kubectl.md", 11), ("test.md", 5), ("learn.md", 8)])
def test_a_page_gives_what_it_says(page: str, least: int) -> None:
    told = commands_and_outputs(page)
    assert len(told) >= least
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
