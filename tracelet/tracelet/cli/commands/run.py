"""``tracelet run``: run a program inside a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import (
    GlobalOptions,
    dir_option,
    global_options,
    parse_pairs,
    plugin_options,
    project_option,
)
from tracelet.errors import UsageError

if TYPE_CHECKING:
    from tracelet.cli.program import Ending, Program
    from tracelet.config import Config
    from tracelet.run import Run


class RunCommand(click.Command):
    """Leaves everything after the script or ``-m MODULE`` to the program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split off the program's own arguments before the options are parsed."""
        from tracelet.cli.program import find_program

        flags = {"-h", "--help"}
        for param in self.params:
            if isinstance(param, click.Option) and param.is_flag:
                flags.update(param.opts)
        at = find_program(args, flags, {"-m"})
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
@click.option("--name", metavar="NAME", help="Name of the run.")
@project_option
@click.option("--group", metavar="NAME", help="Put the run into a group.")
@click.option("--notes", metavar="TEXT", help="Notes on the run, as Markdown.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_pairs,
    help="Tag the run. Repeatable.",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_pairs,
    help="Record a parameter. Repeatable.",
)
@click.option("--run-id", metavar="ID", help="Id of the run, instead of a generated one.")
@click.option("--resume", is_flag=True, help="Resume the run given by --run-id, or the latest one.")
@dir_option
@plugin_options
@click.option("--automagic", is_flag=True, help="Activate every framework plugin.")
@click.option(
    "--shield",
    metavar="NAMES",
    envvar="TRACELET_SHIELD",
    help="Put tracelet's drop-ins in the place of these packages: wandb, mlflow.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print no header and no summary.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Also show collectors' metrics and tracebacks of plugins."
)
def run(program: tuple[str, ...], module: str | None, **given: Any) -> Callable[[], int]:
    """Run a program inside a run, and show what it recorded.

    SCRIPT or MODULE runs as python would run it, with ARGS, and its exit status becomes that of this command.
    A start_run() in the program joins the run.
    """
    from tracelet.cli.program import Program

    if module is None and not program:
        raise click.UsageError("expected a program to run: tracelet run SCRIPT, or tracelet run -m MODULE")
    if module is None:
        wanted = Program(program[0], tuple(program[1:]), is_module=False)
    else:
        wanted = Program(module, tuple(program), is_module=True)
    options = global_options()
    return lambda: run_inside(wanted, options, **given)


def run_inside(
    program: Program,
    options: GlobalOptions,
    *,
    name: str | None,
    group: str | None,
    notes: str | None,
    tags: dict[str, str],
    params: dict[str, str],
    run_id: str | None,
    resume: bool,
    automagic: bool,
    shield: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run a program inside a run and return its exit status."""
    program.check()
    _check_dir(options)
    packages = _check_shield(shield)
    # Imported before the program's folder comes first on the path, so that the program's own rich.py is not imported.
    import tracelet.collecting
    import tracelet.delivery
    import tracelet.host.plugins  # noqa: F401
    from tracelet.cli.diagnostics import install_log_printer
    from tracelet.cli.program import execute, set_script_path
    from tracelet.cli.views import header, summary
    from tracelet.cli.views.screen import Screen
    from tracelet.run.run import outcome_of

    set_script_path(program)
    if packages:
        from tracelet.compat.shield import install

        install(*packages)
    log_printer = install_log_printer(verbose=verbose, summary=not quiet)
    if quiet:
        log_printer.print_held()  # there is no header to wait for
    screen = Screen()
    given = {"run_id": run_id, "resume": resume or None, "automagic": automagic or None}
    config = options.config(program.path, **given)._replace(under_run=True)
    opened = _open_run(program, config, name)
    about = {key: value for key, value in (("group", group), ("notes", notes)) if value is not None}
    if about := opened.without_known(about):
        opened.describe(**about)
    if tags:
        opened.set_tags(tags)
    if params:
        opened.log_params(params)
    if not quiet:
        _report(lambda: header.print_header(screen, opened, config, name=name, trace=options.trace_config))
        log_printer.print_held()
    pid = os.getpid()
    ending = execute(program)
    if os.getpid() == pid:  # a child that the program forked gets here too, and reports nothing
        outcome, error = outcome_of(ending.error)
        opened.finish(outcome, error=error)
        _report(lambda: summary.print_end(screen, opened, ending.status, quiet=quiet, verbose=verbose))
    return _finish(ending)


def _check_shield(names: str | None) -> list[str]:
    if not names:
        return []
    from tracelet.compat.shield import parse_names

    return parse_names(names, "--shield")


def _check_dir(options: GlobalOptions) -> None:
    from tracelet.store.data_folder import is_run_folder

    if options.dir is not None and is_run_folder(Path(options.dir)):
        remedy = "name a data folder, or resume the run with --resume --run-id ID"
        raise UsageError(f"--dir {options.dir} is the folder of a single run: {remedy}")


def _open_run(program: Program, config: Config, name: str | None) -> Run:
    """Open the run and wait for its plugins, but only until the start timeout: the program matters more."""
    from tracelet.run import open_ambient
    from tracelet.run.run import START_TIMEOUT
    from tracelet.run.starting import await_plugins

    opened = open_ambient(config, script=program.path, argv=[program.name, *program.arguments], name=name)
    await_plugins(opened, bool(config.strict))
    opened.wait_started(float(config.settings.get("start_timeout", START_TIMEOUT)))
    return opened


def _report(report: Callable[[], None]) -> None:
    """Print something, or a message that it failed: the program and its exit status matter more."""
    from tracelet.cli.diagnostics import print_message

    try:
        report()
    except Exception as error:
        if isinstance(error, OSError) or sys.stdout is None or sys.stdout.closed:
            _discard_output()  # the program closed it, or its reader is gone
        else:
            print_message(f"the report failed: {type(error).__name__}: {error}")


def _discard_output() -> None:
    """Discard the data left in the buffer, which would raise again when the interpreter ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        sys.stdout = None


def _finish(ending: Ending) -> int:
    if ending.interrupted:
        from tracelet.cli.diagnostics import raise_interrupt

        raise_interrupt(ending.error)
    return ending.status
