"""``wandb.watch``: histograms of gradients and parameters of a model of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tracelet.run import Run

_WHAT: Final = ("gradients", "parameters", "all", None)


class Watching:
    """Hooks on models. What they collect is recorded with the next row."""

    def __init__(self) -> None:
        self._handles: list[tuple[int, Any]] = []
        self._collected: dict[str, Any] = {}

    def add(self, models: Any, what: str | None, frequency: int) -> None:
        """Watch a model or several.

        Raises:
            ValueError: ``what`` is unknown, or something is not a model of PyTorch.
        """
        if what not in _WHAT:
            raise ValueError("log must be one of 'gradients', 'parameters', 'all', or None")
        several = list(models) if isinstance(models, (list, tuple)) else [models]
        for index, model in enumerate(several):
            if not hasattr(model, "named_parameters"):
                raise ValueError(f"Expected a pytorch model (torch.nn.Module). Received {type(model)}")
            prefix = f"{index}." if len(several) > 1 else ""
            if what in ("gradients", "all"):
                self._watch_gradients(model, prefix, max(1, frequency))
            if what in ("parameters", "all"):
                hook = self._counted(frequency, partial(self._collect_parameters, prefix))
                self._handles.append(
                    (id(model), model.register_forward_hook(lambda module, *_, h=hook: h(module)))
                )

    def _watch_gradients(self, model: Any, prefix: str, frequency: int) -> None:
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                hook = self._counted(frequency, partial(self._collect, f"gradients/{prefix}{name}"))
                self._handles.append((id(model), parameter.register_hook(hook)))

    @staticmethod
    def _counted(frequency: int, call: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that makes the call the first time and then at every ``frequency``-th."""
        count = 0

        def hook(value: Any) -> None:
            nonlocal count
            if count % max(1, frequency) == 0:
                call(value)
            count += 1

        return hook

    def _collect(self, name: str, tensor: Any) -> None:
        if tensor is not None:
            self._collected[name] = tensor.detach().clone()

    def _collect_parameters(self, prefix: str, model: Any) -> None:
        for name, parameter in model.named_parameters():
            self._collect(f"parameters/{prefix}{name}", parameter)

    def record(self, run: Run, step: int) -> None:
        """Record what was collected since the last row."""
        collected, self._collected = self._collected, {}
        for name, tensor in collected.items():
            run.log_histogram(name, tensor.float().cpu(), step)

    def remove(self, models: Any) -> None:
        """Remove the hooks of these models, or all."""
        several = list(models) if isinstance(models, (list, tuple)) else [models]
        chosen = None if models is None else {id(model) for model in several}
        for key, handle in self._handles:
            if chosen is None or key in chosen:
                handle.remove()
        self._handles = [each for each in self._handles if chosen is not None and each[0] not in chosen]
