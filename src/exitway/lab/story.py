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
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import exitway

START_SECONDS = 60.0
STEP_SECONDS = 30.0

_GOES_OUT = r'"Host": "httpbin\.org"'
_DENIED = r"\A404 Not Found\n\Z"


@dataclass(frozen=True)
class Step:
    """What is shown, and the pattern (``re.search``) its output must have. ``until``: it goes on in the background once this URL answers."""

    sentence: str
    command: str
    expected: str = ""
    until: str = ""


STORY = (
    Step("Outside Exitway, the outside answers:", "curl -s http://httpbin.org/headers", _GOES_OUT),
    Step(
        "A plain Java program serves port 8080; for each request it fetches that page. It runs sealed now:",
        "exitway run -n istioegress -p 8080 -- java EgressHttpbin.java",
        until="http://localhost:8080/health",
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


class Broken(Exception):
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
    """Play the story in a directory of its own.

    Raises:
        Broken: at the first step that does not give what the story says.
    """
    with tempfile.TemporaryDirectory(dir="/run") as name, _processes() as running:
        directory = Path(name)
        directory.chmod(0o755)
        for file in ("egress_httpbin.yml", "java/EgressHttpbin.java"):
            shutil.copy(examples() / file, directory)
        for number, step in enumerate(STORY, 1):
            print(f"{number}. {step.sentence}\n\n{_bold(f'   $ {step.command}')}", flush=True)
            if step.until:
                running.append(_start(step, directory))
            else:
                _show(_run(step, directory))
            if any(process.poll() is not None for process in running):
                raise Broken("the program that was started has ended")


def _run(step: Step, directory: Path) -> str:
    result = subprocess.run(
        _arguments(step),
        cwd=directory,
        timeout=STEP_SECONDS,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if result.returncode != 0 or not re.search(step.expected, result.stdout):
        _show(result.stdout)
        raise Broken(f"`{step.command}` ended with {result.returncode}; its output should match {step.expected}")
    return result.stdout


def _start(step: Step, directory: Path) -> subprocess.Popen[str]:
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(_arguments(step), cwd=directory, text=True, stdout=log, stderr=log)
    end = time.monotonic() + START_SECONDS
    while not _answers(step.until):
        if process.poll() is not None or time.monotonic() > end:
            _show((directory / "log").read_text())
            raise Broken(f"`{step.command}` does not answer at {step.until}")
        time.sleep(0.05)
    _show((directory / "log").read_text())
    return process


def _arguments(step: Step) -> list[str]:
    program, *arguments = shlex.split(step.command)
    return [*([sys.executable, "-m", "exitway"] if program == "exitway" else [program]), *arguments]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def _processes() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the story."""
    running: list[subprocess.Popen[str]] = []
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
            process.wait(STEP_SECONDS)


def _show(output: str) -> None:
    print("".join(f"   {line}\n" for line in output.splitlines()), flush=True)


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


def main() -> int:
    """Play, and say how it went."""
    try:
        play()
    except (Broken, subprocess.TimeoutExpired) as broken:
        print(f"The story broke: {broken}", file=sys.stderr)
        return 1
    print("That was the story: denied, let out, denied again; the program was not touched.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
