"""``exitway create``, ``apply`` and ``replace``."""

from __future__ import annotations

import click

from exitway.cli import options
from exitway.cli.submit import check_acknowledged, in_files, placed, read_files, submit
from exitway.cli.target import Target

_SAID = {
    ("create", "created"): ("Created", "at"),
    ("apply", "created"): ("Created", "at"),
    ("apply", "configured"): ("Configured", "at"),
    ("apply", "unchanged"): ("Unchanged", "at"),
    ("replace", "configured"): ("Updated", "to"),
    ("replace", "unchanged"): ("Updated", "to"),
}
"""How an outcome is told: a word, and the preposition before the revision."""


def _command(verb: str, text: str) -> click.Command:
    example = f"\b\nexitway {verb} -f egress_httpbin.yml -n shop\nexitway {verb} -f rules/ --dry-run"

    @click.command(verb, help=f"{text}\n\n{example}", context_settings={"allow_extra_args": True})
    @options.filenames
    @options.namespace
    @options.wait
    @options.dry_run
    @options.target
    @click.pass_context
    def command(
        ctx: click.Context,
        filenames: tuple[str, ...],
        namespace: str | None,
        wait: bool,
        dry_run: bool,
        target: Target,
    ) -> None:
        if ctx.args:
            raise click.UsageError(f"{verb} takes no arguments")
        documents, found = read_files(ctx, filenames, namespace)
        api = target.connect()
        objects = [placed(document.wire, namespace or api.namespace) for document in documents]
        body = {"verb": verb, "wait": wait, "dryRun": dry_run, "objects": objects}
        answer = submit(api, body, in_files(documents), found)
        for result in answer["results"]:
            word, preposition = _SAID[verb, result["outcome"]]
            revision = "(dry run)" if dry_run else f"{preposition} revision {result['resourceVersion']}"
            click.echo(f"{word} config {result['key']} {revision}")
        check_acknowledged(ctx, answer)

    return command


create = _command("create", "Create rules from files. Where one exists already, or has a problem, none is created.")
apply = _command(
    "apply", "Create the rules of files, or change those that exist to what the files say: all of them, or none."
)
replace = _command("replace", "Replace rules that exist by those of files: all of them, or none.")
