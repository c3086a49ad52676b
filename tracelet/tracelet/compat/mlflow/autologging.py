"""``autolog``: of scikit-learn by this drop-in, of other libraries by tracelet's own framework plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tracelet.compat.mlflow import handles
from tracelet.compat.offered import note_once
from tracelet.run import Run

_plugins: dict[str, None] = {}
#: The libraries that ``mlflow.autolog()`` switches on, and the plugins that capture them.
_ALL: Final = {
    "keras": "keras",
    "lightgbm": "lightgbm",
    "pytorch": "lightning",
    "tensorflow": "keras",
    "transformers": "transformers",
    "xgboost": "xgboost",
}


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_traces: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    extra_tags: Any = None,
    exclude_flavors: list[str] | None = None,
) -> None:
    """Record what training libraries report by themselves."""
    excluded = exclude_flavors or []
    if "sklearn" not in excluded:
        from tracelet.compat.mlflow import sklearn_autolog

        sklearn_autolog.switch(
            disable=disable, log_models=log_models, extra_tags=extra_tags, exclusive=exclusive
        )
    for library, plugin in _ALL.items():
        if library not in excluded:
            switch(plugin, enabled=not disable, quiet=True)


def autolog_of(plugin: str) -> Callable[..., None]:
    """Return the ``autolog`` of a library that a framework plugin captures."""

    def autolog(*, disable: bool = False, **kwargs: Any) -> None:
        """Record what the library reports by itself."""
        switch(plugin, enabled=not disable)

    return autolog


def switch(plugin: str, *, enabled: bool, quiet: bool = False) -> None:
    """Let runs, the active one included, use a framework plugin, or no longer."""
    if not enabled:
        _plugins.pop(plugin, None)
        return
    from tracelet.run import active_run

    _plugins.setdefault(plugin)
    if _run_started not in handles.when_started:
        handles.when_started.append(_run_started)
    run = active_run()
    if run is not None:
        _add(run, plugin, quiet)


def _run_started(run: Run) -> None:
    """Add the plugins that are switched on to a run."""
    for plugin in _plugins:
        _add(run, plugin, quiet=True)


def _add(run: Run, plugin: str, quiet: bool) -> None:
    known = run.manager.plugins
    if plugin in known:
        run.add_plugin(plugin)
    elif not quiet:
        note_once(
            f"mlflow autolog: tracelet has no plugin {plugin!r} here; log what you need with mlflow.log_metrics"
        )
