"""What ``exitway demo`` plays, inside a lab: ``python -m exitway.lab.story``.

Every command is really run and its real output printed; a step that does not give what the story says ends it with exit code 1.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

import exitway

START_SECONDS = 60.0
STEP_SECONDS = 30.0

_GOES_OUT = r'"Host": "httpbin\.org"'
_DENIED = r"\A404 Not Found\n\Z"


@dataclass(frozen=True)
class Step:
    """What is shown, and the pattern (``re.search``) its output must have.

    ``until``: it goes on in the background once this URL answers. ``directory``: below the examples.
    """

    sentence: str
    command: str
    expected: str = ""
    until: str = ""
    directory: str = ""


STORY = (
    Step("Outside Exitway, the outside answers:", "curl -s http://httpbin.org/headers", _GOES_OUT),
    Step(
        "A plain Java program serves port 8080; for each request it fetches that page. It runs sealed now:",
        "exitway run -n istioegress -p 8080 -- java EgressHttpbin.java",
        until="http://localhost:8080/health",
        directory="java",
    ),
    Step("Nothing lets it out:", "curl -s localhost:8080", _DENIED),
    Step(
        "A rule for httpbin.org, port 80:",
        "exitway create -f egress_httpbin.yml -n istioegress",
        r"\ACreated config egress-rule/istioegress/httpbin-egress-rule at revision \d+\n\Z",
    ),
    Step(
        "It is in force:",
        "exitway get egressrules",
        r"\ANAME +KIND +NAMESPACE\nhttpbin-egress-rule +EgressRule\.v1alpha2\.config\.istio\.io +istioegress\n\Z",
    ),
    Step("The same program, never restarted, gets out:", "curl -s localhost:8080", _GOES_OUT),
    Step(
        "The rule goes:",
        "exitway delete egressrule httpbin-egress-rule -n istioegress",
        r"\ADeleted config: egressrule httpbin-egress-rule\n\Z",
    ),
    Step("And with it the way out, at once:", "curl -s localhost:8080", _DENIED),
)


class StoryError(Exception):
    """A step did not give what the story says."""


def examples() -> Path:
    """The directory of the examples: in an installed package, or in the repository."""
    package = Path(exitway.__file__).parent
    return next(path for path in (package / "examples", package.parent.parent / "examples") if path.is_dir())


def missing() -> str:
    """One sentence about what the story needs and this machine lacks; empty: nothing."""
    if shutil.which("curl") is None:
        return "the demo needs `curl`; install the package curl"
    try:
        modules = subprocess.run(["java", "--list-modules"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        modules = ""
    if "jdk.compiler" not in modules:
        return "the demo runs a Java program and needs a JDK, 11 or newer; install the package default-jdk-headless"
    return ""


def play() -> None:
    """Play the story among the examples.

    Raises:
        StoryError: at the first step that does not give what the story says.
    """
    with _processes() as running:
        for number, step in enumerate(STORY, 1):
            click.echo(f"{number}. {step.sentence}\n\n   {click.style(f'$ {step.command}', bold=True)}")
            if step.until:
                running.append(_start(step))
            else:
                _show(_run(step))
            if any(process.poll() is not None for process in running):
                raise StoryError("the program that was started has ended")


def _run(step: Step) -> str:
    result = subprocess.run(
        _arguments(step),
        cwd=examples() / step.directory,
        timeout=STEP_SECONDS,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if result.returncode != 0 or not re.search(step.expected, result.stdout):
        _show(result.stdout)
        raise StoryError(f"`{step.command}` ended with {result.returncode}; its output should match {step.expected}")
    return result.stdout


def _start(step: Step) -> subprocess.Popen[bytes]:
    end = time.monotonic() + START_SECONDS
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(_arguments(step), cwd=examples() / step.directory, stdout=said, stderr=said)
        while not (answers := _answers(step.until)) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        said.seek(0)
        _show(said.read().decode(errors="replace"))
    if not answers:
        process.kill()
        raise StoryError(f"`{step.command}` does not answer at {step.until}")
    return process


def _arguments(step: Step) -> list[str]:
    program, *arguments = shlex.split(step.command)
    return [*([sys.executable, "-m", "exitway"] if program == "exitway" else [program]), *arguments]


def _answers(url: str) -> bool:
    return subprocess.run(["curl", "-sf", "-m", "1", "-o", "/dev/null", url], check=False).returncode == 0


@contextmanager
def _processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that end with the story."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
            process.wait(STEP_SECONDS)


def _show(output: str) -> None:
    click.echo("".join(f"   {line}\n" for line in output.splitlines()))


def main() -> int:
    """Play, and say how it went."""
    try:
        play()
    except (StoryError, subprocess.TimeoutExpired) as broken:
        click.echo(f"The story broke: {broken}", err=True)
        return 1
    click.echo("That was the story: denied, let out, denied again; the program was not touched.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
