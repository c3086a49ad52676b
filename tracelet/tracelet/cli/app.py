"""The program ``tracelet``: its commands, and what becomes of what they raise."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import click

import tracelet
from tracelet.cli import mistakes
from tracelet.cli.options import choices, place_options, plugin_options, project_option

NAME: Final = "tracelet"
_UNCUT: Final = 1000  # characters
#: Where each command is; in the order in which the help lists them.
COMMANDS: Final = {
    "run": "tracelet.cli.commands.run:run",
    "runs": "tracelet.cli.commands.runs:runs",
    "show": "tracelet.cli.commands.show:show",
    "compare": "tracelet.cli.commands.compare:compare",
    "export": "tracelet.cli.commands.export:export",
    "sync": "tracelet.cli.commands.sync:sync",
    "verify": "tracelet.cli.commands.verify:verify",
    "compact": "tracelet.cli.commands.compact:compact",
    "plugins": "tracelet.cli.commands.plugins:plugins",
    "hooks": "tracelet.cli.commands.hooks:hooks",
    "doctor": "tracelet.cli.commands.doctor:doctor",
}


class Commands(click.Group):
    """A group whose commands are imported when they are needed, and that knows what was probably meant."""

    def __init__(self, *args: Any, later: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.later = later or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order in which they were given."""
        return [*self.later, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it."""
        if cmd_name in self.later:
            module, _, attribute = self.later[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first sentence of what each says of itself, however long."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_UNCUT)) for name, each in found if each])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the next word names."""
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            raise mistakes.unknown_command(word, self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    later=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@plugin_options
@place_options
@project_option
@click.version_option(tracelet.__version__, "-V", "--version", message=f"{NAME} %(version)s")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Experiment tracking as a plugin host: run programs, look at what they recorded."""
    if ctx.invoked_subcommand is not None:
        return
    if choices(ctx).trace_config:
        from tracelet.cli.views.tracing import trace_plugins

        trace_plugins(choices(ctx).manager())
    else:
        click.echo(ctx.get_help())


def run_command_line(argv: Sequence[str] | None = None) -> int:
    """Carry a command line out and return its exit status. Mistakes become a line on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    if instruction := os.environ.get(f"_{NAME.upper()}_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, NAME, f"_{NAME.upper()}_COMPLETE", instruction)
    status = _guarded(lambda: _invoke(words))
    # A program runs out here, where click's own handling of exceptions and signals cannot get at it.
    return int(_guarded(status) if callable(status) else status)


def _invoke(words: list[str]) -> Any:
    try:
        with app.make_context(NAME, words) as ctx:
            result = app.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    if not callable(result):
        sys.stdout.flush()  # here, while a closed pipe can still be noticed
    return result if isinstance(result, int) or callable(result) else 0


def _guarded(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except BrokenPipeError:
        return mistakes.broken_pipe()
    except KeyboardInterrupt as error:
        mistakes.interrupt(error)
    except Exception as error:
        return mistakes.explain(error)
