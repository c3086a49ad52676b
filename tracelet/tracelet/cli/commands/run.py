"""``tracelet run``: a program, inside a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import (
    Choices,
    choices,
    pairs,
    place_options,
    plugin_options,
    project_option,
)

if TYPE_CHECKING:
    from tracelet.cli.program import Ending, Program
    from tracelet.config import Config
    from tracelet.run import Run


class RunCommand(click.Command):
    """Leaves everything after the script or ``-m MODULE`` to the program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the program's own arguments off before the options are parsed."""
        from tracelet.cli.program import words_after

        flags = {"-h", "--help"}
        for param in self.params:
            if isinstance(param, click.Option) and param.is_flag:
                flags.update(param.opts)
        at = words_after(args, flags, {"-m"})
        rest = args[at + 1 :] if at < len(args) and args[at] == "--" else args[at:]
        return super().parse_args(ctx, [*args[:at], "--", *rest])


@click.command(
    "run",
    cls=RunCommand,
    options_metavar="[OPTIONS]",
    context_settings={"ignore_unknown_options": False},
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="(SCRIPT | -m MODULE) [ARGS]...")
@click.option("-m", "module", metavar="MODULE", help="Run a module, as python -m does.")
@click.option("--name", metavar="NAME", help="The run's name.")
@project_option
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Tag the run. Repeatable."
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    callback=pairs,
    help="Record a parameter. Repeatable.",
)
@click.option("--run-id", metavar="ID", help="The run's id, in place of a new one.")
@click.option("--resume", is_flag=True, help="Go on with the run of that id, or with the last one.")
@place_options
@plugin_options
@click.option("-q", "--quiet", is_flag=True, help="No header and no summary.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Show what collectors measured too, and tracebacks of plugins."
)
def run(program: tuple[str, ...], module: str | None, **given: Any) -> Callable[[], int]:
    """Run a program inside a run, and show what it recorded.

    SCRIPT (or the module) is run as python would, with ARGS, and its exit status is that of this command.
    Its own start_run() joins the run.
    """
    from tracelet.cli.program import Program

    if module is None and not program:
        raise click.UsageError("expected a program to run: tracelet run SCRIPT, or tracelet run -m MODULE")
    if module is None:
        wanted = Program(program[0], tuple(program[1:]), is_module=False)
    else:
        wanted = Program(module, tuple(program), is_module=True)
    mine = choices()
    return lambda: run_inside(wanted, mine, **given)


def run_inside(
    program: Program,
    mine: Choices,
    *,
    name: str | None,
    tags: dict[str, str],
    params: dict[str, str],
    run_id: str | None,
    resume: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run a program inside a run and return its exit status."""
    program.check()
    # Imported before the program's folder comes first on the path: a rich.py of its own is not meant for us.
    import tracelet.collecting
    import tracelet.delivery
    import tracelet.host.plugins  # noqa: F401
    from tracelet.cli import telling
    from tracelet.cli.program import execute, take_path
    from tracelet.cli.views import header, summary
    from tracelet.cli.views.screen import Screen
    from tracelet.run.run import outcome_of

    take_path(program)
    listener = telling.listen(verbose=verbose, summary=not quiet)
    if quiet:
        listener.speak()  # there is no header to say it
    screen = Screen()
    config = mine.config(program.path, run_id=run_id, resume=resume or None)
    opened = _open(program, config, name)
    if tags:
        opened.set_tags(tags)
    if params:
        opened.log_params(params)
    if not quiet:
        _tell(lambda: header.print_header(screen, opened, config, trace=mine.trace_config))
        listener.speak()
    pid = os.getpid()
    ending = execute(program)
    if os.getpid() == pid:  # else this is a child that the program has forked, which has an end of its own
        outcome, error = outcome_of(ending.error)
        opened.finish(outcome, error=error)
        _tell(lambda: summary.print_end(screen, opened, ending.status, quiet=quiet, verbose=verbose))
    return _leave(ending)


def _open(program: Program, config: Config, name: str | None) -> Run:
    """Open the run and wait for its plugins: not for ever, since it is the program that matters."""
    from tracelet.run import open_ambient
    from tracelet.run.run import START_TIMEOUT
    from tracelet.run.starting import await_plugins

    opened = open_ambient(config, script=program.path, argv=[program.name, *program.arguments], name=name)
    await_plugins(opened, config.strict)
    opened.wait_started(float(config.settings.get("start_timeout", START_TIMEOUT)))
    return opened


def _tell(tell: Callable[[], None]) -> None:
    """Say something, or say that it could not be said: what counts is the program and its exit status."""
    from tracelet.cli import mistakes

    try:
        tell()
    except Exception as error:
        if isinstance(error, OSError) or sys.stdout is None or sys.stdout.closed:
            _let_go_of_output()  # the program closed it, or its reader has gone away
        else:
            mistakes.tell(f"this could not be shown: {type(error).__name__}: {error}")


def _let_go_of_output() -> None:
    """Send what is left in the buffer nowhere, so that it does not fail again when the interpreter ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        sys.stdout = None


def _leave(ending: Ending) -> int:
    if ending.interrupted:
        from tracelet.cli.mistakes import interrupt

        interrupt(ending.error)
    return ending.status
