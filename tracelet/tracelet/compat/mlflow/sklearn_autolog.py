"""``mlflow.sklearn.autolog``: parameters, training metrics and the model of each fit, under MLflow's names.

The methods ``fit`` are wrapped when the program imports the module that they are in, and only there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

from tracelet.compat.offered import note_once

_METHODS: Final = ("fit", "fit_transform", "fit_predict")
_SKIPPED: Final = ("sklearn.preprocessing", "sklearn.feature_extraction", "sklearn.impute", "sklearn.compose")
_CHILDREN: Final = 5


class _Options:
    """How ``autolog`` was called."""

    def __init__(self) -> None:
        self.enabled = False
        self.log_models = True
        self.max_tuning_runs: int | None = _CHILDREN
        self.pos_label: Any = None
        self.extra_tags: Mapping[str, Any] = {}
        self.log_post_training_metrics = True


_options = _Options()
_inside = threading.local()
_wrapped: list[tuple[type, str, Any]] = []


def switch(
    *,
    disable: bool = False,
    log_models: bool = True,
    max_tuning_runs: int | None = _CHILDREN,
    pos_label: Any = None,
    extra_tags: Mapping[str, Any] | None = None,
    log_post_training_metrics: bool = True,
    **_: Any,
) -> None:
    """Begin to record fits, or stop."""
    _options.enabled = not disable
    _options.log_models = log_models
    _options.max_tuning_runs = max_tuning_runs
    _options.pos_label = pos_label
    _options.extra_tags = extra_tags or {}
    _options.log_post_training_metrics = log_post_training_metrics
    if disable:
        _unwrap()
        return
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, module in list(sys.modules.items()):
        if name.startswith("sklearn.") and module is not None:
            _wrap_module(module)


class _Finder(MetaPathFinder):
    """Wraps the estimators of a module of scikit-learn after its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec, with a loader that wraps estimators."""
        if not fullname.startswith("sklearn.") or not _options.enabled:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            _wrap_after_execution(spec.loader)
        return spec


def _wrap_after_execution(loader: Loader) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _wrap_module(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _wrap_module(module: ModuleType) -> None:
    if module.__name__.startswith(_SKIPPED):
        return
    for kind in list(vars(module).values()):
        if isinstance(kind, type) and kind.__module__ == module.__name__ and hasattr(kind, "get_params"):
            for method in _METHODS:
                own = vars(kind).get(method)
                if inspect.isfunction(own) and not hasattr(own, "_tracelet_original"):
                    wrapper: Any = _recorded(own)
                    wrapper._tracelet_original = own
                    setattr(kind, method, wrapper)
                    _wrapped.append((kind, method, own))


def _unwrap() -> None:
    for kind, method, own in _wrapped:
        setattr(kind, method, own)
    _wrapped.clear()
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _Finder)]


@contextmanager
def _fitting() -> Iterator[bool]:
    """Yield whether this is the program's own fit, and not one that another fit calls."""
    depth = getattr(_inside, "depth", 0)
    _inside.depth = depth + 1
    try:
        yield depth == 0
    finally:
        _inside.depth = depth


def _recorded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _fitting() as outermost:
            if not outermost or not _options.enabled or not _is_recorded(self):
                return method(self, *args, **kwargs)
            from tracelet.compat.mlflow.fluent import active_run, start_run

            own = start_run() if active_run() is None else None
            try:
                _attempt(_record_before, self)
                result = method(self, *args, **kwargs)
            except BaseException:
                if own is not None:
                    own.__exit__(*sys.exc_info())
                raise
            _attempt(_record_after, self, method, args, kwargs)
            if own is not None:
                own.__exit__(None, None, None)
            return result

    return fit


def _attempt(call: Callable[..., None], *args: Any) -> None:
    """Record something; a failure must not end the training."""
    try:
        call(*args)
    except Exception as error:
        note_once(f"mlflow.sklearn.autolog: {type(error).__name__}: {error}; the fit goes on")


def _is_recorded(estimator: Any) -> bool:
    module = type(estimator).__module__
    return module.startswith("sklearn.") and not module.startswith(_SKIPPED)


def _record_before(estimator: Any) -> None:
    from tracelet.compat.mlflow.fluent import log_params, set_tags

    kind = type(estimator)
    set_tags({
        "estimator_name": kind.__name__,
        "estimator_class": f"{kind.__module__}.{kind.__name__}",
        **_options.extra_tags,
    })  # fmt: skip
    deep = not _is_search(estimator)
    log_params(
        {name: value for name, value in estimator.get_params(deep=deep).items() if not _is_estimator(value)}
    )


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and hasattr(value, "fit")


def _is_search(estimator: Any) -> bool:
    return hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions")


def _record_after(
    estimator: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    from tracelet.compat.mlflow.flavors.logging import log
    from tracelet.compat.mlflow.flavors.pickled import SKLEARN
    from tracelet.compat.mlflow.fluent import log_metrics

    data = _data_of(estimator, method, args, kwargs)
    log_metrics(_training_metrics(estimator, **data))
    if _is_search(estimator) and hasattr(estimator, "cv_results_"):
        _record_search(estimator)
    if _options.log_models:
        log(SKLEARN, estimator, "model", None, {})
        if hasattr(estimator, "best_estimator_"):
            log(SKLEARN, estimator.best_estimator_, "best_estimator", None, {})


def _data_of(estimator: Any, method: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the features, targets and weights that a fit got."""
    names = list(inspect.signature(method).parameters)[1:]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    features = given.get("X", args[0] if args else None)
    targets = given.get("y", given.get("Y"))
    return {"features": features, "targets": targets, "weights": given.get("sample_weight")}


def _training_metrics(estimator: Any, features: Any, targets: Any, weights: Any) -> dict[str, float]:
    from sklearn import base

    found: dict[str, float] = {}
    if targets is not None and base.is_classifier(estimator):
        found = _of_classifier(estimator, features, targets, weights)
    elif targets is not None and base.is_regressor(estimator):
        found = _of_regressor(estimator, features, targets, weights)
    if targets is not None and hasattr(estimator, "score"):
        takes = "sample_weight" in inspect.signature(estimator.score).parameters
        more = {"sample_weight": weights} if takes and weights is not None else {}
        found["training_score"] = float(estimator.score(features, targets, **more))
    return found


def _of_classifier(estimator: Any, features: Any, targets: Any, weights: Any) -> dict[str, float]:
    metrics = importlib.import_module("sklearn.metrics")
    predicted = estimator.predict(features)
    average = "weighted" if _options.pos_label is None else "binary"
    named: dict[str, Any] = {"average": average, "sample_weight": weights}
    if _options.pos_label is not None:
        named["pos_label"] = _options.pos_label
    found = {
        "training_precision_score": metrics.precision_score(targets, predicted, zero_division=0, **named),
        "training_recall_score": metrics.recall_score(targets, predicted, zero_division=0, **named),
        "training_f1_score": metrics.f1_score(targets, predicted, zero_division=0, **named),
        "training_accuracy_score": metrics.accuracy_score(targets, predicted, sample_weight=weights),
    }
    if hasattr(estimator, "predict_proba"):
        scores = estimator.predict_proba(features)
        found["training_log_loss"] = metrics.log_loss(targets, scores, sample_weight=weights)
        single = scores[:, 1] if scores.shape[1] == 2 else scores
        found["training_roc_auc"] = metrics.roc_auc_score(
            targets, single, average="weighted", sample_weight=weights, multi_class="ovo"
        )
    return {name: float(value) for name, value in found.items()}


def _of_regressor(estimator: Any, features: Any, targets: Any, weights: Any) -> dict[str, float]:
    metrics = importlib.import_module("sklearn.metrics")
    predicted = estimator.predict(features)
    squared = metrics.mean_squared_error(targets, predicted, sample_weight=weights)
    found = {
        "training_mean_squared_error": squared,
        "training_root_mean_squared_error": squared**0.5,
        "training_mean_absolute_error": metrics.mean_absolute_error(
            targets, predicted, sample_weight=weights
        ),
        "training_r2_score": metrics.r2_score(targets, predicted, sample_weight=weights),
    }
    return {name: float(value) for name, value in found.items()}


def _record_search(search: Any) -> None:
    """Record the best parameters, the table of results, and the best candidates as nested runs."""
    from tracelet.compat.mlflow.fluent import log_metric, log_metrics, log_params, log_text, start_run

    if hasattr(search, "best_params_"):
        log_params({f"best_{name}": value for name, value in search.best_params_.items()})
        log_metric("best_cv_score", float(search.best_score_))
    results = search.cv_results_
    log_text(_as_csv(results), "cv_results.csv")
    ranks = next((results[name] for name in results if name.startswith("rank_test")), None)
    count = len(results["params"])
    order = sorted(range(count), key=lambda index: ranks[index]) if ranks is not None else list(range(count))
    for index in order[: _options.max_tuning_runs]:
        with start_run(nested=True):
            log_params(results["params"][index])
            numbers = {
                name: values[index] for name, values in results.items() if name.startswith(("mean_", "std_"))
            }
            log_metrics({name: float(value) for name, value in numbers.items() if value == value})


def _as_csv(results: Mapping[str, Any]) -> str:
    import csv
    import io

    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(results)
    writer.writerows(zip(*results.values(), strict=True))
    return file.getvalue()
