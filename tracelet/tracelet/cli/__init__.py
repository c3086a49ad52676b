"""The command line. Nothing here is needed to record: it shows what the library knows."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    from tracelet.cli.app import run_command_line

    return run_command_line(argv)
