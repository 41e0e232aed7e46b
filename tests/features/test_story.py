"""The promise of the first page: `make demo` plays the story, and notices when it does not hold."""

import re
import subprocess
import sys

import pytest

from exitway.lab import story

pytestmark = pytest.mark.lab


def test_the_demo_plays_the_story() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "exitway", "demo"], capture_output=True, text=True, timeout=120, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert re.findall(r"^ +\$ (.*)$", demo.stdout, re.MULTILINE) == [step.command for step in story.STORY]
    answers = re.findall(r'404 Not Found|"Host": "httpbin.org"', demo.stdout)
    assert answers == ['"Host": "httpbin.org"', "404 Not Found", '"Host": "httpbin.org"', "404 Not Found"]
    assert max(map(len, demo.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    "step",
    [
        story.Step("another output", "echo 200", r"\A404"),
        story.Step("a failure", "false"),
        story.Step("nobody answers", "true", until="http://localhost:1"),
    ],
)
def test_a_step_that_goes_otherwise_breaks_the_story(monkeypatch: pytest.MonkeyPatch, step: story.Step) -> None:
    monkeypatch.setattr(story, "STORY", (step,))
    assert story.main() == 1
