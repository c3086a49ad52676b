"""The framework plugin ``hyperparameters``: records what a program is configured with.

``docs/plugins/hyperparameters.md`` says what is recorded.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, ClassVar, Final

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches
from tracelet_builtin_plugins.frameworks.hyperparameters.callers import is_called_by_program
from tracelet_builtin_plugins.frameworks.hyperparameters.models import describe_model, describe_optimizer
from tracelet_builtin_plugins.frameworks.hyperparameters.objects import find_configurations, plain
from tracelet_hookspecs import MASK, RunView, hookimpl, records_into_tracelet

__all__ = ["HyperparametersCapture"]

_inside: Final = threading.local()
_OMEGACONF: Final = ("load", "merge", "from_cli", "from_dotlist", "structured", "create")


class HyperparametersCapture(CapturePlugin):
    """Records the results of command-line parsers and configuration libraries, and what optimizers and models are."""

    NAME = "hyperparameters"
    DESCRIPTION = (
        "Records argparse, click, Hydra and OmegaConf, configuration objects, and the size of models"
    )
    SCHEMA: ClassVar[dict[str, dict[str, Any]]] = {
        "objects": {
            "type": "boolean",
            "default": True,
            "description": "look for configuration objects in the program's variables",
        },
        "models": {"type": "boolean", "default": True, "description": "record optimizers and models' sizes"},
    }
    MODULES = {
        "argparse": "patch_argparse",
        "click.core": "patch_click",
        "hydra._internal.callbacks": "patch_hydra",
        "omegaconf": "patch_omegaconf",
        "torch.optim.optimizer": "patch_optimizers",
    }

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Record what the program has been configured with already, and from now on what it reads."""
        self._seen: dict[str, Any] = {}
        self._models = 0
        super().run_started(run)
        self.note_objects()

    @hookimpl
    def run_ended(self) -> None:
        """Look at the program's variables once more: some are set after the start of the run."""
        self.note_objects()
        super().run_ended()

    def record(self, values: Mapping[Any, Any], prefix: str = "") -> None:
        """Record values that are new or have changed."""
        flat = {f"{prefix}{key}": value for key, value in (plain(values) or {}).items()}
        new = {key: value for key, value in flat.items() if key not in self._seen or self._seen[key] != value}
        if new:
            self._seen.update(new)
            self.run.log_params(new)

    def note_objects(self) -> None:
        """Record the configuration objects among the program's variables."""
        if not self.config["objects"]:
            return
        try:
            for values in find_configurations():
                self.record(values)
        except Exception as error:  # the program's own objects
            self.report(error, "the program's variables")

    # -- command lines -----------------------------------------------------------------------------------

    @classmethod
    def patch_argparse(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the method that all ways of parsing come to."""
        patches.wrap(module.ArgumentParser, "parse_known_args", _outermost(cls.current, cls.note_arguments))

    def note_arguments(self, result: Any, _parser: Any, *_more: Any, **_named: Any) -> None:
        """Record a namespace."""
        namespace = result[0] if isinstance(result, tuple) else result
        self.record(vars(namespace))

    @classmethod
    def patch_click(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the calling of a command."""
        patches.before(module.Command, "invoke", cls.note_command)

    def note_command(self, command: Any, context: Any) -> None:
        """Record the parameters of a command. What is typed without echo is a secret."""
        module = getattr(getattr(command, "callback", None), "__module__", "") or ""
        if module.partition(".")[0] in ("tracelet", "flask", "dask", "streamlit"):
            return
        hidden = {each.name for each in command.params if getattr(each, "hide_input", False)}
        self.record({key: MASK if key in hidden else value for key, value in context.params.items()})

    # -- configuration libraries -------------------------------------------------------------------------

    @classmethod
    def patch_hydra(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap what is called before each job."""
        patches.before(module.Callbacks, "on_job_start", cls.note_job)

    def note_job(self, callbacks: Any, config: Any, **_more: Any) -> None:
        """Record the composed configuration of a job, unless a callback of tracelet's does."""
        if records_into_tracelet(callbacks.callbacks):
            return
        hydra = config.get("hydra")
        number = (
            hydra.job.get("num")
            if hydra is not None and str(hydra.get("mode")).endswith("MULTIRUN")
            else None
        )
        values = resolve(config)
        values.pop("hydra", None)
        self.record(_flat(values), f"job-{number}/" if number else "")

    @classmethod
    def patch_omegaconf(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the functions that make configurations."""
        for name in _OMEGACONF:
            patches.wrap(module.OmegaConf, name, _outermost(cls.current, cls.note_configuration))

    def note_configuration(self, result: Any, *_more: Any, **_named: Any) -> None:
        """Record a configuration that the program has made."""
        if hasattr(result, "keys"):
            self.record(_flat(resolve(result)))

    # -- models ------------------------------------------------------------------------------------------

    @classmethod
    def patch_optimizers(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the making of an optimizer: it has the parameters of a model."""
        patches.after(module.Optimizer, "__init__", cls.note_optimizer)

    def note_optimizer(self, _result: Any, optimizer: Any, *_more: Any, **_named: Any) -> None:
        """Record an optimizer and the model that it trains."""
        if not self.config["models"]:
            return
        self._models += 1
        number = f"-{self._models}" if self._models > 1 else ""
        self.record(describe_optimizer(optimizer), f"optimizer{number}/")
        self.record(describe_model(optimizer, sys._getframe(1)), f"model{number}/")


def _outermost(current: Callable[[], Any], note: Callable[..., None]) -> Callable[[Any], Any]:
    """Return what wraps a function so that its result is noted, if the program calls it and not itself."""

    def make(original: Any) -> Any:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            plugin = current()
            if plugin is None or vars(_inside).get("busy"):
                return original(*arguments, **named)
            _inside.busy = True
            try:
                result = original(*arguments, **named)
            finally:
                _inside.busy = False
            if is_called_by_program(sys._getframe(1)):
                try:
                    note(plugin, result, *arguments, **named)
                except Exception as error:
                    plugin.report(error, getattr(original, "__name__", "a parser"))
            return result

        return wrapper

    return make


def resolve(config: Any) -> dict[str, Any]:
    """Return a configuration of OmegaConf as plain values; one whose references do not resolve as it is written."""
    omegaconf = sys.modules["omegaconf"].OmegaConf
    try:
        return dict(omegaconf.to_container(config, resolve=True))
    except Exception:  # a reference to something that is only there later
        return dict(omegaconf.to_container(config, resolve=False))


def _flat(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by names with slashes, so that those that have changed are found one by one."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found.update(_flat(value, f"{prefix}{key}/"))
        else:
            found[f"{prefix}{key}"] = value
    return found
