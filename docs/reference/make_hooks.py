"""Write the reference of the hooks from the hookspecs themselves.

    python docs/reference/make_hooks.py

A test fails while ``hooks.md`` is not what this program writes.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from tracelet_hookspecs import specs

PAGE = Path(__file__).with_name("hooks.md")
LABELS = ("When", "Thread", "Order", "Return", "Exception", "Deadline")
LABEL = re.compile(rf"\b({'|'.join(LABELS)}): ")
# A sentence that explains an argument follows one of the labelled ones.
ARGUMENT = re.compile(r"(?<=\.) (?=``\w+``)")

HEAD = """\
# Hooks

<!-- Written by docs/reference/make_hooks.py from the hookspecs. Edit those. -->

A plugin takes part by implementing hooks: functions with the decorator `@tracelet.hookimpl` in a module,
or methods of a class. {common}

"""


def hooks() -> Iterator[tuple[ast.FunctionDef, str]]:
    """Yield each hookspec with its docstring, in the order of the module."""
    for node in ast.parse(inspect.getsource(specs)).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield node, inspect.cleandoc(ast.get_docstring(node) or "")


def signature(node: ast.FunctionDef) -> str:
    """Return the hookspec's first line, one argument a line where it would be long."""
    defaults = [None] * (len(node.args.args) - len(node.args.defaults)) + node.args.defaults
    arguments = [
        ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else "")
        for argument, default in zip(node.args.args, defaults, strict=True)
    ]
    result = ast.unparse(node.returns) if node.returns else "None"
    line = f"def {node.name}({', '.join(arguments)}) -> {result}"
    if len(line) <= 88:
        return line
    body = "".join(f"    {argument},\n" for argument in arguments)
    return f"def {node.name}(\n{body}) -> {result}"


def markdown(text: str) -> str:
    """Turn the docstring's markup into Markdown's."""
    text = re.sub(r":\w+:`(\w+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`")


def section(node: ast.FunctionDef, docstring: str) -> str:
    """Return the hook's part of the page."""
    prose, _, code = docstring.partition(".. code-block:: python")
    opening, *parts = LABEL.split(" ".join(prose.split()))
    answers, remarks = [], []
    for label, text in zip(parts[::2], parts[1::2], strict=True):
        answer, *more = ARGUMENT.split(text.strip())
        answers.append(f"- **{label}:** {markdown(answer)}")
        remarks += [markdown(remark) for remark in more]
    lines = [f"## `{node.name}`", "", f"```python\n{signature(node)}\n```", "", markdown(opening), ""]
    lines += [*answers, ""]
    lines += [line for remark in remarks for line in (remark, "")]
    return "\n".join([*lines, f"```python\n{inspect.cleandoc(code)}\n```", ""])


def page() -> str:
    """Return the whole page."""
    common = (inspect.getdoc(specs) or "").partition("\n\n")[2]
    return HEAD.format(common=markdown(common)) + "\n".join(section(*hook) for hook in hooks())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
