"""The framework plugin ``torch``: learning rates, gradient norms, the allocator's memory, and saved files.

``docs/plugins/torch.md`` says what is recorded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches
from tracelet_hookspecs import RunView, hookimpl

__all__ = ["TorchCapture"]

_MB: Final = 1_000_000


class TorchCapture(CapturePlugin):
    """Records what every training with PyTorch has, whatever else it uses.

    Steps are those of the optimizer: the number of its ``step()`` calls in this run.
    """

    NAME = "torch"
    DESCRIPTION = "Learning rates, gradient norms, memory and saved files of PyTorch"
    SCHEMA: ClassVar[dict[str, dict[str, Any]]] = {
        "learning_rate": {"type": "boolean", "default": True, "description": "record learning rates"},
        "gradient_norm": {
            "type": "boolean",
            "default": False,
            "description": "record the norm of all gradients of a step; waits for the device",
        },
        "every": {"type": "integer", "default": 1, "description": "optimizer steps between two records"},
        "save": {"type": "boolean", "default": True, "description": "keep what torch.save writes"},
        "save_limit": {
            "type": "number",
            "default": 100,
            "description": "size of the largest file kept, in MB",
        },
        "save_total": {
            "type": "number",
            "default": 1000,
            "description": "size of all files kept of one run, in MB",
        },
    }
    MODULES = {"torch.optim.optimizer": "hook_optimizers", "torch": "patch_saving"}
    _collection_interval = 10
    _handles: ClassVar[list[Any]] = []

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Record from now on."""
        self._steps: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # taken by each optimizer
        self._labels: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._kept = 0  # bytes
        self._skipped: dict[str, str] = {}
        super().run_started(run)

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return what is captured, and which files were not kept."""
        skipped = getattr(self, "_skipped", {})
        return {**super().get_status(), **({"not_kept": dict(skipped)} if skipped else {})}

    @classmethod
    def hook_optimizers(cls, module: ModuleType, patches: Patches) -> None:
        """Register PyTorch's own hooks for the steps of all optimizers."""
        if not cls._handles:
            before = module.register_optimizer_step_pre_hook(cls._guarded("note_gradients"))
            after = module.register_optimizer_step_post_hook(cls._guarded("note_step"))
            cls._handles += [before, after]

    @classmethod
    def _guarded(cls, method: str) -> Callable[..., None]:
        def hook(optimizer: Any, *_arguments: Any) -> None:
            plugin: Any = cls.current()
            if plugin is not None:
                try:
                    getattr(plugin, method)(optimizer)
                except Exception as error:
                    plugin.report(error, "optimizer.step")

        return hook

    def let_go(self) -> None:
        """Remove the hooks."""
        while self._handles:
            self._handles.pop().remove()

    @classmethod
    def patch_saving(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap ``torch.save``, by both of its names."""
        patches.after(module, "save", cls.note_saved)
        patches.after(module.serialization, "save", cls.note_saved)

    # -- optimizers ------------------------------------------------------------------------------------

    def note_gradients(self, optimizer: Any) -> None:
        """Record the norm of the gradients before the step uses them."""
        step = self._steps.get(optimizer, 0)
        if not self.config["gradient_norm"] or step % self.config["every"]:
            return
        gradients = [
            parameter.grad.detach()
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if gradients:
            self.run.log_metric(f"{self._label(optimizer)}/gradient_norm", _norm(gradients), step)

    def note_step(self, optimizer: Any) -> None:
        """Record the learning rates of a step."""
        step = self._steps.get(optimizer, 0)
        self._steps[optimizer] = step + 1
        if not self.config["learning_rate"] or step % self.config["every"]:
            return
        label, groups = self._label(optimizer), optimizer.param_groups
        rates = {
            f"{label}/lr" if len(groups) == 1 else f"{label}/lr/group_{at}": group["lr"]
            for at, group in enumerate(groups)
            if "lr" in group
        }
        self.run.log(rates, step)

    def _label(self, optimizer: Any) -> str:
        """Return what the names of an optimizer's metrics start with: ``torch`` for the first one."""
        label = self._labels.get(optimizer)
        if label is None:
            number = len(self._labels)
            label = self._labels[optimizer] = f"torch/optimizer_{number}" if number else "torch"
        return label

    # -- memory ----------------------------------------------------------------------------------------

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Return what the allocator holds on each device that the program uses, in bytes."""
        cuda = getattr(sys.modules.get("torch"), "cuda", None)
        if cuda is None or not cuda.is_initialized():
            return {}
        kinds = {
            "allocated_bytes": cuda.memory_allocated,
            "reserved_bytes": cuda.memory_reserved,
            "peak_allocated_bytes": cuda.max_memory_allocated,
        }
        return {
            f"torch/cuda/{device}": {name: read(device) for name, read in kinds.items()}
            for device in range(cuda.device_count())
            if cuda.memory_reserved(device)
        }

    # -- files -----------------------------------------------------------------------------------------

    def note_saved(self, _result: Any, obj: Any, f: Any = None, *_more: Any, **named: Any) -> None:
        """Keep a file that was saved, within the limits."""
        if not self.config["save"] or not isinstance(f, (str, os.PathLike)):
            return
        path = os.fspath(f)
        size = os.path.getsize(path)
        if size > self.config["save_limit"] * _MB:
            self._skipped[path] = f"{size / _MB:.0f} MB, above save_limit"
        elif self._kept + size > self.config["save_total"] * _MB:
            self._skipped[path] = "above save_total"
        else:
            self._kept += size
            self.run.log_artifact(path, "checkpoints")


def _norm(gradients: list[Any]) -> float:
    """Return the square root of the sum of the squares of all gradients."""
    torch = sys.modules["torch"]
    norms = [torch.linalg.vector_norm(each.float()) for each in gradients]
    device = norms[0].device
    return float(torch.linalg.vector_norm(torch.stack([each.to(device) for each in norms])))
