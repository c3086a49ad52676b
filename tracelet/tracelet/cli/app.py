"""The program ``tracelet``: its commands, and how their errors become messages and exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import click

import tracelet
from tracelet.cli import diagnostics
from tracelet.cli.options import dir_option, global_options, plugin_options, project_option

NAME: Final = "tracelet"
_HELP_LIMIT: Final = 1000  # characters of a command's one-line help: never shorten it
#: Where each command lives, in the order of the help.
COMMANDS: Final = {
    "run": "tracelet.cli.commands.run:run",
    "runs": "tracelet.cli.commands.runs:runs",
    "show": "tracelet.cli.commands.show:show",
    "compare": "tracelet.cli.commands.compare:compare",
    "plot": "tracelet.cli.commands.plot:plot",
    "watch": "tracelet.cli.commands.watch:watch",
    "edit": "tracelet.cli.commands.edit:edit",
    "delete": "tracelet.cli.commands.delete:delete",
    "ui": "tracelet.cli.commands.ui:ui",
    "export": "tracelet.cli.commands.export:export",
    "import": "tracelet.cli.commands.import_:import_",
    "pack": "tracelet.cli.commands.pack:pack",
    "sync": "tracelet.cli.commands.sync:sync",
    "verify": "tracelet.cli.commands.verify:verify",
    "lake": "tracelet.cli.commands.lake:lake",
    "compact": "tracelet.cli.commands.compact:compact",
    "plugins": "tracelet.cli.commands.plugins:plugins",
    "hooks": "tracelet.cli.commands.hooks:hooks",
    "doctor": "tracelet.cli.commands.doctor:doctor",
}


class LazyGroup(click.Group):
    """A group that imports its commands on first use and suggests the closest command for a typo."""

    def __init__(self, *args: Any, lazy_commands: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy_commands = lazy_commands or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names in the order of their definition."""
        return [*self.lazy_commands, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name in self.lazy_commands:
            module, _, attribute = self.lazy_commands[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the whole first sentence of each one's help."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(_HELP_LIMIT)) for name, command in found if command]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the next word names."""
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            raise diagnostics.unknown_command(word, self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    lazy_commands=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@plugin_options
@dir_option
@project_option
@click.version_option(tracelet.__version__, "-V", "--version", message=f"{NAME} %(version)s")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Track experiments: run programs, look at what they recorded, manage plugins."""
    if ctx.invoked_subcommand is not None:
        return
    if global_options(ctx).trace_config:
        from tracelet.cli.views.tracing import trace_plugins

        trace_plugins(global_options(ctx).manager())
    else:
        click.echo(ctx.get_help())


def run_command_line(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit status. Errors become messages on stderr."""
    _replace_closed_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    if instruction := os.environ.get(f"_{NAME.upper()}_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, NAME, f"_{NAME.upper()}_COMPLETE", instruction)
    try:
        result = _report_errors(lambda: _invoke(words))
        # A program runs out here, so that click's handling of exceptions and signals does not interfere.
        return int(_report_errors(result) if callable(result) else result)
    finally:
        if argv is not None and (output := sys.modules.get("tracelet.cli.output")):
            output.release_stdout()


def _invoke(words: list[str]) -> Any:
    try:
        with app.make_context(NAME, words) as ctx:
            result = app.invoke(ctx)
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    if not callable(result):
        sys.stdout.flush()  # here, while a closed pipe can still be reported
    return result if isinstance(result, int) or callable(result) else 0


def _replace_closed_streams() -> None:
    """Give a closed stdout or stderr a place to write to, so that no other file gets its descriptor."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _report_errors(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except BrokenPipeError:
        return diagnostics.handle_broken_pipe()
    except KeyboardInterrupt as error:
        diagnostics.raise_interrupt(error)
    except Exception as error:
        return diagnostics.report_error(error)
