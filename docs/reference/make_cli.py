"""Write the reference of the command line from the commands themselves.

    python docs/reference/make_cli.py

A test fails while ``cli.md`` is not what this program writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from tracelet.cli.app import app

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# Command line

<!-- Written by docs/reference/make_cli.py from the commands. Edit those. -->

```console
$ tracelet --help
```

Habits are pytest's. A mistake in use is one line on stderr and exit status 2. `tracelet run` exits with the program's
own status. Commands that print data print [JSON](json.md) with `--json`; without a terminal there are no colours.

These options are taken by several commands, before or after the command's name:

{common}"""


def options(command: click.Command) -> dict[str, str]:
    """Return the options of a command as they are typed, with what they do."""
    found = {}
    for option in command.params:
        if isinstance(option, click.Option):
            value = "" if option.is_flag else f" {option.make_metavar(click.Context(command))}"
            found[", ".join([*option.opts, *option.secondary_opts]) + value] = option.help or ""
    return found


def listed(texts: dict[str, str]) -> str:
    """Return options as a list."""
    return "".join(f"- `{option}`: {text}\n" for option, text in texts.items())


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command with the words that call it; a group only through its commands."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


def section(path: str, command: click.Command, common: dict[str, str]) -> str:
    """Return a command's part of the page."""
    usage = " ".join(command.collect_usage_pieces(click.Context(command)))
    paragraphs = [" ".join(text.split()) for text in (command.help or "").split("\n\n")]
    own = {option: text for option, text in options(command).items() if option not in common}
    shared = [f"`{option.split(' ')[0]}`" for option in options(command) if option in common]
    parts = [f"## `{path}`", f"```text\n{path} {usage}\n```", *paragraphs]
    parts += [listed(own).rstrip()] if own else []
    parts += [f"Also {', '.join(shared)}."] if shared else []
    return "\n\n".join(parts) + "\n"


def page() -> str:
    """Return the whole page."""
    known = dict(commands(app, "tracelet"))
    common = {**options(app), "--json": "Print JSON."}
    sections = [section(path, command, common) for path, command in known.items()]
    return "\n".join([HEAD.format(common=listed(common)), *sections])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
