"""``exitway``: the table of commands, and what they have in common.

The table holds what ``exitway --help`` shows, so that it imports no command; a command is imported when it is called.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from exitway import __version__
from exitway.cli import options, problems
from exitway.resources.problem import Problems

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Rules": {
        "create": ("exitway.cli.change:create", "Create rules from files; a rule that exists is a problem."),
        "apply": ("exitway.cli.change:apply", "Create the rules of files, or change them to what the files say."),
        "replace": ("exitway.cli.change:replace", "Replace rules that exist by those of files."),
        "get": ("exitway.cli.get:get", "List rules, or print some of them."),
        "describe": ("exitway.cli.describe:describe", "Say in words what a rule lets out, and for whom."),
        "delete": ("exitway.cli.delete:delete", "Delete rules; what they let out is denied at once."),
    },
    "Questions": {
        "flows": ("exitway.cli.flows:flows", "Show what programs have called, and what became of it."),
        "top": ("exitway.cli.top:top", "Show where programs go now, and how much, live."),
        "explain": ("exitway.cli.explain:explain", "Say whether a call may leave, why, and what would let it out."),
        "learn": ("exitway.cli.learn:learn", "Write the least rules that let out what was recorded, and prove it."),
        "test": (
            "exitway.cli.test:test",
            "Try the calls of files on rules, and say which are not decided as expected.",
        ),
        "diff": ("exitway.cli.diff:diff", "Say what a change of rules opens, and what it closes."),
        "analyze": ("exitway.cli.analyze:analyze", "Report what is wrong with valid rules, and what is risky."),
        "dashboard": ("exitway.cli.dashboard:dashboard", "Show in a browser who talks to whom, and what was denied."),
    },
    "Programs": {
        "run": ("exitway.cli.run:run", "Run a command that reaches only what rules let it reach."),
    },
    "Server": {
        "up": ("exitway.cli.server:up", "Start the server in the background."),
        "down": ("exitway.cli.server:down", "Stop the server."),
        "serve": ("exitway.cli.server:serve", "Run the server in the foreground."),
        "status": (
            "exitway.cli.server:status",
            "Show the server, its proxy and its workloads; of a cluster, what runs in it.",
        ),
    },
    "Cluster": {
        "inject": ("exitway.cli.inject:inject", "Make the pods of files ready to be captured, as the webhook does."),
        "cluster": ("exitway.cli.cluster:cluster", "What runs in the pods of a Kubernetes cluster."),
    },
    "Try it": {
        "attack": ("exitway.cli.attack:attack", "Try every known way round the boundary, and report what got out."),
        "demo": ("exitway.cli.demo:demo", "Play the tutorial, in a small internet of its own."),
        "lab": ("exitway.cli.lab:lab", "Run a command in that small internet."),
    },
    "Shell": {
        "completion": (
            "exitway.cli.completion:completion",
            "Print the script that completes commands in bash, zsh or fish.",
        ),
    },
}
"""By section: a command's name, where it is, and its line in the help."""

COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Commands(click.Group):
    """Imports a command when it is called, lists them by section, and shows problems."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown command is answered with the nearest ones."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            import difflib

            near = " or ".join(repr(name) for name in difflib.get_close_matches(args[0], COMMANDS))
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections of the help."""
        del ctx
        width = max(map(len, COMMANDS))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, (_, line) in section.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands with their lines from the table; for the options click knows best."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return found or super().shell_complete(ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; problems are shown and end with 1."""
        try:
            return super().invoke(ctx)
        except Problems as found:
            problems.show(found.problems)
            ctx.exit(1)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="`exitway COMMAND --help` says more about each. Exit codes: 0 done, 1 problem, 2 wrong usage; `run` and `lab` end as their command does.",
)
@options.namespace
@click.option("-o", "--output", metavar="FORMAT", help=f"How to print: {', '.join(options.FORMATS)}.")
@options.server
@options.kubeconfig
@options.context
@click.version_option(__version__, prog_name="exitway", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, **given: object) -> None:
    """Exitway decides what may leave: a program reaches nothing but what rules let it reach.

    \b
    Example:
      exitway up                                              # start the server, once
      exitway run -n shop -- curl http://httpbin.org/headers  # 404: nothing lets it out
      exitway create -n shop -f egress_httpbin.yml            # a rule for httpbin.org
      exitway run -n shop -- curl http://httpbin.org/headers  # 200
      exitway get egressrules
      exitway delete egressrule httpbin-egress-rule -n shop
    """  # noqa: D301 - \b keeps click from filling the paragraph
    ctx.default_map = {
        command: {name: value for name, value in given.items() if value is not None} for command in COMMANDS
    }


def main() -> None:
    """The console script. A full disk is no fault of ours to trace back."""
    try:
        cli(prog_name="exitway")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what could not be written there is not tried again at the end
        sys.exit(f"exitway: {(error.strerror or '').lower()}: {error.filename or 'the output'}")
