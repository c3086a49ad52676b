"""Which code calls a parser: the program, or a tool that it uses."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["is_called_by_program"]

#: Modules that parse command lines or make configurations of their own.
_TOOLS: Final = (
    *(
        "hydra",
        "torch",
        "accelerate",
        "deepspeed",
        "pytest",
        "_pytest",
        "IPython",
        "ipykernel",
        "pip",
        "tracelet",
    ),
    *(
        "tracelet_builtin_plugins",
        "unittest",
        "multiprocessing",
        "xdist",
        "coverage",
        "dask",
        "distributed",
        "ray",
    ),
)
#: Modules through which a program's own call passes.
_PARSERS: Final = ("argparse", "omegaconf", "contextlib", "functools")


def is_called_by_program(frame: Any) -> bool:
    """Return whether the first function on the stack that is not a parser's belongs to no tool."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name not in _PARSERS:
            return name not in _TOOLS
        frame = frame.f_back
    return False
