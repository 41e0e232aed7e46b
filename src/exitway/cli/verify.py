"""``exitway explain --verify``: the call is made by a sealed workload like the one that is asked about, and the proxy's own record is compared."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exitway.cli.asker import STATUS, Asker
from exitway.cli.client import Client
from exitway.explain.caveats import HTTP1_METHODS
from exitway.names.call import Call, Decision, Reason
from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings

if TYPE_CHECKING:
    from exitway.explain.explanation import Explanation
    from exitway.explain.target import Packet
    from exitway.flows.flow import Flow
    from exitway.resources.registry import Registry

_EXITWAY = (sys.executable, "-P", "-m", "exitway")
RECORDED_SECONDS = 10.0
RUN_SECONDS = 60.0


@dataclass(frozen=True)
class Verified:
    """What was sent, what came back, and what the proxy has on record."""

    sent: str
    answer: str
    decision: Decision
    detail: str

    @property
    def text(self) -> str:
        """A sentence."""
        if self.decision.direct:
            did = "the kernel let it out, past the proxy"
        else:
            did = f"the proxy {'allowed it' if self.decision.allowed else f'denied it ({self.decision.reason})'}"
        more = f"; {self.detail}" if self.detail and self.decision.allowed else ""
        return f"{did}{more}; sent: {self.sent}; came back: {self.answer}"

    @property
    def by_its_addresses(self) -> bool:
        """Whether the name was allowed, and not where it leads: that is known only when it is looked up."""
        return self.decision.reason is Reason.ADDRESS

    def wire(self) -> dict[str, Any]:
        """For programs."""
        return {
            "sent": self.sent,
            "answer": self.answer,
            "verdict": self.decision.verdict,
            "reason": self.decision.reason,
            "detail": self.detail,
        }


def verify(explanation: Explanation, asker: Asker, api: Client | None, registry: Registry) -> Verified:
    """Make the call. ``api``: the server whose rules were asked; None: a server of our own is started with the rules of the registry.

    Raises:
        Problems: it cannot be made, or the proxy has nothing on record of it.
    """
    with ExitStack() as stack:
        server, environment = (api, {**os.environ}) if api else stack.enter_context(_server(registry))
        name = f"explain-{secrets.token_hex(4)}"
        with tempfile.TemporaryDirectory(prefix="exitway-") as directory:
            brought = Path(directory) / "rules.json"
            command = [*_EXITWAY, "run", *_as_who(asker, name, brought), "--server", str(server.socket)]
            probe = [sys.executable, "-P", "-m", "exitway.cli.probe", json.dumps(_call(explanation.asked))]
            said = _told([*command, "--", *probe], environment)
        flow = _recorded(server, f"{asker.workload.namespace}/{name}")
    return Verified(said["sent"], said["answer"], flow.decision, flow.detail)


def disagreement(explanation: Explanation, verified: Verified) -> Problem | None:
    """The problem of a proxy that did what was not said."""
    if (
        explanation.decision.verdict is verified.decision.verdict
        or verified.by_its_addresses
        or _is_unread(explanation.asked, verified)
    ):
        return None
    said, did = explanation.decision.verdict, verified.decision.verdict
    hint = "if no rule was changed meanwhile, this is a fault of Exitway: please report it"
    return Problem("EXW1709", f"the rules say {said}, and the proxy did {did}", hint)


def _is_unread(asked: Call | Packet, verified: Verified) -> bool:
    """Whether the proxy could not read the request, so that no rule was asked."""
    return isinstance(asked, Call) and asked.method not in HTTP1_METHODS and " 400 " in verified.answer


def _call(asked: Call | Packet) -> Mapping[str, Any]:
    """As the probe reads it."""
    if not isinstance(asked, Call):
        if asked.protocol == "ICMP" or not asked.port:
            raise Problems([Problem("EXW1710", f"{asked.protocol} is not sent by --verify", "it is refused like UDP")])
        return {"sort": "udp", "dial": asked.name or asked.address, "port": asked.port}
    authority = asked.name if asked.port == 80 else f"{asked.name}:{asked.port}"
    return {
        "sort": asked.sort,
        "dial": asked.asked or asked.address,
        "port": asked.port,
        "name": asked.name,
        "authority": authority,
        "method": asked.method,
        "path": asked.path,
    }


def _as_who(asker: Asker, name: str, brought: Path) -> Iterator[str]:
    """The options of ``run`` that make a workload like the one that is asked about; its own rules are written to a file."""
    yield from ("-n", asker.workload.namespace, "--name", name)
    for key, value in asker.workload.labels.items():
        yield from ("-l", f"{key}={value}")
    if rules := asker.request.get("rules"):
        brought.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": rules}))
        yield from ("-f", str(brought))
    for option in ("includeIPRanges", "excludeIPRanges"):
        if ranges := asker.request.get(option):
            yield f"--{option}={','.join(ranges)}"


@contextmanager
def _server(registry: Registry) -> Iterator[tuple[Client, dict[str, str]]]:
    """A server with these rules and no others, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="exitway-") as directory:
        environment = {
            **os.environ,
            "EXITWAY_RUNTIME_DIR": f"{directory}/run",
            "EXITWAY_STATE_DIR": f"{directory}/state",
            "EXITWAY_AUDIT_NAMESPACES": "",
        }
        rules = Path(directory) / "rules.json"
        rules.write_text(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": [dict(rule.wire) for rule in registry]})
        )
        _run([*_EXITWAY, "up"], environment)
        try:
            if len(registry):
                _run([*_EXITWAY, "create", "-f", str(rules)], environment)
            yield Client(Settings.from_environment(environment)), environment
        finally:
            _run([*_EXITWAY, "down"], environment)


def _told(command: list[str], environment: Mapping[str, str]) -> Any:
    """What the probe says of itself."""
    try:
        return json.loads(_run(command, environment))
    except ValueError as error:
        raise _unmade(f"the probe said nothing: {error}") from None


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _unmade("it takes too long") from None
    if done.returncode:
        raise _unmade(done.stderr.strip())
    return done.stdout


def _recorded(server: Client, workload: str) -> Flow:
    from exitway.flows.history import History

    path = Path(server.request("GET", STATUS)["flows"])
    until = time.monotonic() + RECORDED_SECONDS
    while time.monotonic() < until:
        if path.exists():
            with closing(History(path, read_only=True)) as history:
                if flows := history.select(workload=workload):
                    return flows[-1]
        time.sleep(0.05)
    raise _unmade("the proxy has nothing on record of it")


def _unmade(why: str) -> Problems:
    return Problems(
        [Problem("EXW1710", f"the call cannot be tried: {why}", "`exitway status` shows how the server is")]
    )
