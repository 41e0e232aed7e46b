"""``exitway completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, types, names, namespaces and files in a shell.

    \b
    bash:  source <(exitway completion bash)     # in ~/.bashrc
    zsh:   source <(exitway completion zsh)      # in ~/.zshrc, after compinit
    fish:  exitway completion fish | source      # in ~/.config/fish/config.fish
    """  # noqa: D301
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(script(ctx.find_root().command, {}, "exitway", "_EXITWAY_COMPLETE").source())
