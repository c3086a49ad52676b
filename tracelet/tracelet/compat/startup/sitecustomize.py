"""Puts the drop-ins in place when a Python process starts below ``tracelet run --shield``.

The folder of this file is on ``PYTHONPATH`` there. The interpreter imports the first ``sitecustomize`` on its path, so
this one also runs the one that it hides.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_HERE = os.path.dirname(os.path.abspath(__file__))


def _run_hidden() -> None:
    others = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


if os.environ.get("TRACELET_SHIELD"):
    try:
        from tracelet.compat.shield import install_from_environment
    except ImportError:  # another Python, without tracelet
        pass
    else:
        install_from_environment()
_run_hidden()
