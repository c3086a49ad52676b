"""Puts drop-ins in the place of packages: ``import wandb`` then finds :mod:`tracelet.compat.wandb`.

It makes no difference whether the real package is installed. Child processes that run Python get the same; the process
of a backend gets the real package.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tracelet.compat import module_names
from tracelet.compat.offered import not_offered
from tracelet.errors import UsageError
from tracelet.layout import SHIELD
from tracelet.messages import did_you_mean

_STARTUP: Final = str(Path(__file__).with_name("startup"))


def parse_names(names: str, where: str) -> list[str]:
    """Return the packages in a list separated by commas.

    Raises:
        UsageError: there is no drop-in for one of them.
    """
    found = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in found:
        if name not in module_names.PACKAGES:
            known = did_you_mean(name, module_names.PACKAGES)
            raise UsageError(f"{where}: expected packages that have a drop-in, found {name!r}{known}")
    return found


def install(*packages: str) -> None:
    """Put the drop-ins of some packages in place, here and in child processes that run Python.

    Raises:
        UsageError: there is no drop-in for a package.
    """
    names = parse_names(",".join(packages), "install")
    _install_here(names)
    before = os.environ.get(SHIELD, "").split(",")
    os.environ[SHIELD] = ",".join(dict.fromkeys(name for name in (*before, *names) if name))
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if _STARTUP not in path:
        os.environ["PYTHONPATH"] = os.pathsep.join([_STARTUP, *(entry for entry in path if entry)])


def install_from_environment() -> None:
    """Put the drop-ins that ``TRACELET_SHIELD`` names in place, in this process; unknown names are ignored."""
    named = os.environ.get(SHIELD, "").split(",")
    _install_here([name for name in module_names.PACKAGES if name in named])


def _install_here(names: Sequence[str]) -> None:
    finder = next((one for one in sys.meta_path if isinstance(one, ShieldFinder)), None)
    if finder is None:
        finder = ShieldFinder()
        sys.meta_path.insert(0, finder)
    finder.packages.update(names)
    for loaded in list(sys.modules):
        top = loaded.partition(".")[0]
        if top in names and not is_drop_in(sys.modules[loaded]):
            del sys.modules[loaded]  # the real one, which something has imported before


def is_drop_in(module: object) -> bool:
    """Whether a module is one of the drop-ins'."""
    return getattr(module, "__name__", "").startswith("tracelet.compat.")


class ShieldFinder(MetaPathFinder):
    """Finds the modules of the packages that are shielded among the drop-ins'."""

    def __init__(self) -> None:
        self.packages: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of a shielded package is.

        Raises:
            ModuleNotFoundError: the drop-in has no such module.
        """
        top = fullname.partition(".")[0]
        if top not in self.packages:
            return None
        home = module_names.MODULES[top].get(fullname)
        if home is None:
            raise ModuleNotFoundError(_no_module(top, fullname), name=fullname)
        return ModuleSpec(
            fullname, _AliasLoader(home), origin=f"drop-in of tracelet ({home})", is_package=True
        )

    def find_distributions(
        self,
        context: DistributionFinder.Context = DistributionFinder.Context(),  # noqa: B008
    ) -> Iterator[Distribution]:
        """Yield what stands for the installed packages: frameworks ask for their versions before they use them."""
        for name in self.packages:
            if context.name is None or context.name.lower().replace("_", "-") == name:
                yield _DropInDistribution(name)


class _DropInDistribution(Distribution):
    """Says that a package is there, in the version whose calls the drop-in offers."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        if filename == "top_level.txt":
            return f"{self._name}\n"
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {module_names.PACKAGES[self._name]}\n"

    def locate_file(self, path: Any) -> Any:
        return Path(__file__).with_name(self._name) / path


class _AliasLoader(Loader):
    """Loads a module of a drop-in under a second name."""

    def __init__(self, home: str) -> None:
        self._home = home

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        found = importlib.import_module(self._home)
        if not hasattr(found, "__path__"):
            found.__path__ = []  # a package, whose modules the shield finds
        _explain_missing_names(found, module.__spec__.name)
        sys.modules[module.__spec__.name] = found


def _explain_missing_names(module: ModuleType, public_name: str) -> None:
    """Let a module of a drop-in say what it offers in the place of a name that it lacks."""
    if "__getattr__" in vars(module):
        return

    def find(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {public_name!r} has no attribute {name!r}")
        package = importlib.import_module(f"tracelet.compat.{public_name.partition('.')[0]}")
        offered = [each for each in vars(module) if not each.startswith("_")]
        text = not_offered(public_name, name, offered, package._CLOSEST)
        # ``from MODULE import name`` replaces the text of an AttributeError by its own.
        is_from_import = sys._getframe(1).f_code.co_name == "_handle_fromlist"
        raise ImportError(text) if is_from_import else AttributeError(text)

    module.__getattr__ = find  # type: ignore[method-assign]


def _no_module(package: str, name: str) -> str:
    known: Mapping[str, str] = module_names.MODULES[package]
    nearest = did_you_mean(name, known)
    return (
        f"No module named {name!r} in tracelet's drop-in for {package}{nearest}; docs/drop-ins.md lists what it offers,"
        f" and without --shield {package} the program gets the real package"
    )
