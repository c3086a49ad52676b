"""What an optimizer of PyTorch is set up with, and the size of the model that it trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["describe_model", "describe_optimizer"]

_FRAMES: Final = 20


def describe_optimizer(optimizer: Any) -> dict[str, Any]:
    """Return an optimizer's class and its defaults: learning rate, weight decay and so on."""
    given = {key: value for key, value in optimizer.defaults.items() if value is not None}
    return {"name": type(optimizer).__name__, **given}


def describe_model(optimizer: Any, frame: Any) -> dict[str, Any]:
    """Return the class and the size of the model whose parameters an optimizer has.

    The model is looked for among the variables of the functions that made the optimizer. If it is not found, the sizes
    are those of the optimizer's parameters.
    """
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    model = _find_model({id(parameter) for parameter in trained}, frame)
    parameters = trained if model is None else list(model.parameters())
    return {
        **({} if model is None else {"name": type(model).__name__}),
        "parameters": sum(each.numel() for each in parameters),
        "trainable_parameters": sum(each.numel() for each in parameters if each.requires_grad),
        "bytes": sum(each.numel() * each.element_size() for each in parameters),
    }


def _find_model(trained: set[int], frame: Any) -> Any:
    """Return the largest module among the variables on the stack that has some of these parameters."""
    found: Any = None
    size = 0
    for module in _modules(frame):
        own = {id(parameter) for parameter in module.parameters()}
        if own & trained and len(own) > size:
            found, size = module, len(own)
    return found


def _modules(frame: Any) -> Iterator[Any]:
    kind = sys.modules["torch"].nn.Module
    seen: set[int] = set()
    for _ in range(_FRAMES):
        if frame is None:
            return
        variables = list(frame.f_locals.values())
        owner = frame.f_locals.get("self")  # such as a trainer of the program's own
        attributes = (
            vars(owner).values() if hasattr(owner, "__dict__") and not isinstance(owner, kind) else ()
        )
        for value in (*variables, *list(attributes)):
            if isinstance(value, kind) and id(value) not in seen:
                seen.add(id(value))
                yield value
        frame = frame.f_back
