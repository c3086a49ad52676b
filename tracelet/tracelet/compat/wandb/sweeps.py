"""``wandb.sweep`` and ``wandb.agent``: the runs of a search over parameters, one after the other in this process."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tracelet.compat.offered import note_once
from tracelet.compat.wandb.current import current_run
from tracelet.compat.wandb.errors import UsageError
from tracelet.compat.wandb.util import generate_id
from tracelet.logs import get_logger
from tracelet.messages import did_you_mean

log = get_logger("tracelet.compat")

_METHODS: Final = ("grid", "random", "bayes", "custom")
_sweeps: dict[str, Mapping[str, Any]] = {}
_active: list[tuple[str, dict[str, Any]]] = []  # the sweep that is going on, and the values of its run
_FAILURES: Final = 5  # runs that may fail one after the other


def sweep(sweep: Any, entity: str | None = None, project: str | None = None, prior_runs: Any = None) -> str:
    """Keep the description of a sweep and return its id.

    Raises:
        UsageError: the description has no parameters, or an unknown method.
    """
    config = dict(sweep() if callable(sweep) else sweep)
    if config.get("method") not in _METHODS:
        raise UsageError(
            f"wandb.sweep: method: expected one of {', '.join(_METHODS)}, found {config.get('method')!r}"
        )
    if not isinstance(config.get("parameters"), Mapping):
        raise UsageError("wandb.sweep: expected a description with 'parameters'")
    if config["method"] in ("bayes", "custom"):
        note_once(f"wandb.sweep: method {config['method']} is carried out as a random search here")
    if config.get("early_terminate"):
        note_once("wandb.sweep: early_terminate makes no difference here")
    for name, described in config["parameters"].items():
        _check(name, described)
    sweep_id = generate_id()
    _sweeps[sweep_id] = {**config, "project": project or config.get("project")}
    return sweep_id


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    **_: Any,
) -> None:
    """Call the function once for each set of values, at most ``count`` times.

    Raises:
        UsageError: there is no such sweep, or a random search has no ``count``.
    """
    key = sweep_id.rpartition("/")[2]
    if key not in _sweeps:
        raise UsageError(
            f"wandb.agent: there is no sweep {sweep_id!r} in this process{did_you_mean(key, _sweeps)}"
        )
    config = _sweeps[key]
    if function is None:
        raise UsageError("wandb.agent: expected a function; a sweep over programs needs the real package")
    if count is None:
        count = config.get("run_cap")
    if count is None and config["method"] != "grid":
        raise UsageError("wandb.agent: a random search needs count=, the number of runs")
    failures = 0
    for values in itertools.islice(_values_of(config), count):
        failures = failures + 1 if _call(key, values, function) else 0
        if failures == _FAILURES:
            log.error("wandb.agent: %d runs failed one after the other; the sweep ends", failures)
            return


def _call(sweep_id: str, values: dict[str, Any], function: Callable[[], Any]) -> bool:
    """Run the function with some values; return whether it failed."""
    log.info("sweep %s: next run with %s", sweep_id, values)
    _active.append((sweep_id, values))
    status = 0
    try:
        function()
    except Exception:
        status = 1
        log.exception("sweep %s: the run with %s failed", sweep_id, values)
    finally:
        _active.pop()
        run = current_run()
        if run is not None:
            run.finish(status)
    return bool(status)


def sweep_config() -> dict[str, Any]:
    """Return the values that the sweep gives the run that starts now."""
    return dict(_active[-1][1]) if _active else {}


def current_sweep() -> str | None:
    """Return the id of the sweep that is going on."""
    return _active[-1][0] if _active else None


# -- values -------------------------------------------------------------------------------------------


def _values_of(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    parameters = config["parameters"]
    if config["method"] != "grid":
        while True:
            yield {name: _draw(name, described) for name, described in parameters.items()}
    several = [_grid(name, described) for name, described in parameters.items()]
    for chosen in itertools.product(*several):
        yield dict(zip(parameters, chosen, strict=True))


def _check(name: str, described: Any) -> None:
    if not isinstance(described, Mapping):
        raise UsageError(
            f"wandb.sweep: parameters.{name}: expected a mapping with values, value or min and max"
        )
    with contextlib.suppress(StopIteration):
        _draw(name, described)


def _nested(described: Mapping[str, Any]) -> Mapping[str, Any] | None:
    inner = described.get("parameters")
    return inner if isinstance(inner, Mapping) else None


def _grid(name: str, described: Mapping[str, Any]) -> list[Any]:
    inner = _nested(described)
    if inner is not None:
        parts = [_grid(f"{name}.{key}", one) for key, one in inner.items()]
        return [dict(zip(inner, chosen, strict=True)) for chosen in itertools.product(*parts)]
    if "values" in described:
        return list(described["values"])
    if "value" in described:
        return [described["value"]]
    low, high, step = described.get("min"), described.get("max"), described.get("q")
    if isinstance(low, int) and isinstance(high, int):
        return list(range(low, high + 1, int(step or 1)))
    if step and low is not None and high is not None:
        return [low + index * step for index in range(int((high - low) / step + 1e-9) + 1)]
    raise UsageError(f"wandb.sweep: parameters.{name}: a grid needs values, or whole numbers as min and max")


def _draw(name: str, described: Mapping[str, Any]) -> Any:
    inner = _nested(described)
    if inner is not None:
        return {key: _draw(f"{name}.{key}", one) for key, one in inner.items()}
    if "value" in described:
        return described["value"]
    if "values" in described:
        weights = described.get("probabilities")
        return random.choices(list(described["values"]), weights)[0]
    kind = described.get("distribution") or _usual(described)
    draw = _DISTRIBUTIONS.get(kind)
    if draw is None:
        raise UsageError(
            f"wandb.sweep: parameters.{name}: distribution {kind!r}{did_you_mean(kind, _DISTRIBUTIONS)}"
        )
    try:
        value = draw(described)
    except KeyError as missing:
        raise UsageError(f"wandb.sweep: parameters.{name}: distribution {kind} needs {missing}") from None
    step = described.get("q", 1 if kind.startswith("q_") else None)
    return value if step is None else round(value / step) * step


def _usual(described: Mapping[str, Any]) -> str:
    whole = isinstance(described.get("min"), int) and isinstance(described.get("max"), int)
    return "int_uniform" if whole else "uniform"


def _uniform(one: Mapping[str, Any]) -> float:
    return random.uniform(one["min"], one["max"])


def _log_uniform(one: Mapping[str, Any]) -> float:
    return math.exp(random.uniform(one["min"], one["max"]))


def _log_uniform_values(one: Mapping[str, Any]) -> float:
    return math.exp(random.uniform(math.log(one["min"]), math.log(one["max"])))


def _inverse(one: Mapping[str, Any]) -> float:
    return 1 / random.uniform(1 / one["max"], 1 / one["min"])


def _normal(one: Mapping[str, Any]) -> float:
    return random.gauss(one.get("mu", 0.0), one.get("sigma", 1.0))


def _beta(one: Mapping[str, Any]) -> float:
    return random.betavariate(one["a"], one["b"])


_DISTRIBUTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "int_uniform": lambda one: random.randint(one["min"], one["max"]),
    **dict.fromkeys(("uniform", "q_uniform"), _uniform),
    **dict.fromkeys(("log_uniform", "q_log_uniform"), _log_uniform),
    **dict.fromkeys(("log_uniform_values", "q_log_uniform_values"), _log_uniform_values),
    **dict.fromkeys(("inv_log_uniform_values", "inv_log_uniform"), _inverse),
    **dict.fromkeys(("normal", "q_normal"), _normal),
    **dict.fromkeys(("log_normal", "q_log_normal"), lambda one: math.exp(_normal(one))),
    **dict.fromkeys(("beta", "q_beta"), _beta),
}
