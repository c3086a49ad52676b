"""What is recorded of a fit of scikit-learn."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tracelet.integrations.trainings import numbered

if TYPE_CHECKING:
    from tracelet.integrations.joining import JoinedRun

_DESCRIBED: Final = 25  # fits of one class in a run whose parameters and curves are recorded
_ROWS: Final = 200  # samples of which the time to score is measured
_CHEAP: Final = 0.5  # seconds that a training score may take in any case
_SHARE: Final = 0.1  # of the time of the fit
_TEXT: Final = 200  # characters of a parameter that is some object
_ITEMS: Final = 50  # of a parameter that is a list
#: Packages whose estimators can be asked for a score without side effects.
_KNOWN: Final = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "imblearn"})
#: Attributes of fitted estimators that hold one value for each iteration.
_CURVES: Final = (
    *("loss_curve_", "validation_scores_", "train_score_", "validation_score_"),
    *("oob_improvement_", "oob_scores_"),
)
#: Attributes of fitted estimators that hold one number.
_FACTS: Final = ("n_iter_", "inertia_", "best_loss_", "oob_score_", "lower_bound_", "reconstruction_err_")


class _Fits:
    """The fits of one class in one run."""

    def __init__(self) -> None:
        self.count = 0
        self.described: dict[str, str] = {}  # the prefix of the parameters, by their text


_fits: dict[str, dict[str, _Fits]] = {}  # by run and class


def record_fit(joined: JoinedRun, estimator: Any, data: Sequence[Any], seconds: float, method: str) -> None:
    """Record a call of ``fit`` or its like, after it has returned."""
    name = type(estimator).__name__
    fits = _fits_of(joined, name)
    prefix = numbered(name, fits.count).rstrip("/") or name
    if hasattr(estimator, "cv_results_"):
        _record_search(joined, estimator, prefix)
    elif method != "partial_fit":
        _record_curves(joined, estimator, prefix, fits.count)
        score = _training_score(estimator, data, seconds)
        _log_numbers(joined, name, {"training_score": score, **_numbers(estimator)}, fits.count - 1)
    if method != "partial_fit":
        _log_numbers(joined, name, {"fit_seconds": seconds}, fits.count - 1)
    _describe(joined, fits, prefix, {**_parameters(estimator), **_shape(data[0] if data else None)})


def record_validation(joined: JoinedRun, estimator: Any, data: Any, result: Any, seconds: float) -> None:
    """Record a cross-validation: the scores of each fold, their mean and their standard deviation."""
    name = type(estimator).__name__
    fits = _fits_of(joined, f"cross_validate/{name}")
    prefix = numbered(f"cross_validate/{name}", fits.count).rstrip("/")
    folds = 0
    for key, values in result.items():
        numbers = (
            [float(value) for value in values] if key.endswith(("_score", "_time")) or _is_score(key) else []
        )
        folds = max(folds, len(numbers))
        for fold, number in enumerate(numbers):
            joined.log({f"{prefix}/{key}": number}, fold)
        if numbers and not key.endswith("_time"):
            mean = sum(numbers) / len(numbers)
            deviation = (sum((number - mean) ** 2 for number in numbers) / len(numbers)) ** 0.5
            joined.log({f"{prefix}/{key}/mean": mean, f"{prefix}/{key}/std": deviation}, 0)
    joined.log({f"{prefix}/seconds": seconds}, 0)
    described = {**_parameters(estimator), **_shape(data), "folds": folds}
    _describe(joined, fits, prefix, described)


def _is_score(key: str) -> bool:
    return key.startswith(("test_", "train_"))


def _fits_of(joined: JoinedRun, name: str) -> _Fits:
    """Return the fits of a class in the run, this one counted."""
    run = joined.joined
    assert run is not None
    fits = _fits.setdefault(run.id, {}).setdefault(name, _Fits())
    fits.count += 1
    return fits


def _describe(joined: JoinedRun, fits: _Fits, prefix: str, params: dict[str, Any]) -> None:
    """Record the parameters, unless an earlier fit had the same or there were many."""
    text = repr(sorted(params.items(), key=lambda item: item[0]))
    if text not in fits.described and len(fits.described) < _DESCRIBED:
        fits.described[text] = prefix
        joined.log_params({prefix: params})


def _log_numbers(joined: JoinedRun, name: str, numbers: Mapping[str, float | None], step: int) -> None:
    joined.log({f"{name}/{key}": value for key, value in numbers.items() if value is not None}, step)


# -- parameters ----------------------------------------------------------------------------------------------


def _parameters(estimator: Any) -> dict[str, Any]:
    try:
        params = estimator.get_params(deep=True)
    except Exception:  # an estimator of the program's own may have none
        return {}
    return {str(key): _plain(value) for key, value in params.items()}


def _plain(value: Any) -> Any:
    """Return a parameter as a plain value: an estimator as the name of its class, some other object as a text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in list(value.items())[:_ITEMS]}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value[:_ITEMS]]
    if hasattr(value, "get_params") or hasattr(value, "rvs"):
        return type(value).__name__
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return value.item() if value.shape == () else f"array of shape {tuple(value.shape)}"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    try:
        return repr(value)[:_TEXT]
    except Exception:  # from the object's own code
        return type(value).__name__


def _shape(data: Any) -> dict[str, int]:
    """Return the number of samples and features."""
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and shape and isinstance(shape[0], int):
        return {"n_samples": shape[0], **({"n_features": shape[1]} if len(shape) == 2 else {})}
    try:
        return {"n_samples": len(data)}
    except TypeError:  # none, or an iterator
        return {}


# -- results -------------------------------------------------------------------------------------------------


def _numbers(estimator: Any) -> dict[str, float]:
    found = {}
    for name in _FACTS:
        value = vars(estimator).get(name) if hasattr(estimator, "__dict__") else None
        number = _number(value)
        if number is not None:
            found[name.rstrip("_")] = number
    return found


def _number(value: Any) -> float | None:
    if getattr(value, "shape", ()) not in ((), (1,)) or isinstance(value, (str, bytes, list, tuple)):
        return None
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _record_curves(joined: JoinedRun, estimator: Any, prefix: str, count: int) -> None:
    if count > _DESCRIBED:
        return
    for attribute in _CURVES:
        values = vars(estimator).get(attribute) if hasattr(estimator, "__dict__") else None
        if values is None or len(getattr(values, "shape", (0,))) != 1:
            continue
        for step, value in enumerate(values):
            joined.log({f"{prefix}/{attribute.rstrip('_')}": float(value)}, step)


def _record_search(joined: JoinedRun, search: Any, prefix: str) -> None:
    results = search.cv_results_
    scores = [key for key in results if key.startswith(("mean_test_", "std_test_"))]
    for candidate in range(len(results.get("params", ()))):
        joined.log({f"{prefix}/{key}": float(results[key][candidate]) for key in scores}, candidate)
    columns = [key for key in results if key != "params"]
    rows = [[_cell(results[key][row]) for key in columns] for row in range(len(results.get("params", ())))]
    joined.attempt(lambda run: run.log_table(f"{prefix}/cv_results", rows, columns))
    best = getattr(search, "best_params_", None)
    if isinstance(best, Mapping):
        joined.log_params({f"{prefix}/best_params": {str(key): _plain(value) for key, value in best.items()}})
    score = _number(getattr(search, "best_score_", None))
    if score is not None:
        joined.log({f"{prefix}/best_score": score}, 0)


def _cell(value: Any) -> Any:
    if type(value).__name__ == "MaskedConstant":
        return None
    value = _plain(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


# -- the training score --------------------------------------------------------------------------------------


def _training_score(estimator: Any, data: Sequence[Any], seconds: float) -> float | None:
    """Return the score on the training data, if it takes little time compared to the fit."""
    if len(data) < 2 or data[1] is None or not all(_is_known(each) for each in _parts(estimator)):
        return None
    score = getattr(estimator, "score", None)
    shape = getattr(data[0], "shape", None)
    if not callable(score) or not shape:
        return None
    limit = max(_CHEAP, _SHARE * seconds)
    with _kept_random_state():
        try:
            if shape[0] > 2 * _ROWS:
                began = time.perf_counter()
                score(data[0][:_ROWS], data[1][:_ROWS])
                if (time.perf_counter() - began) * shape[0] / _ROWS > limit:
                    return None
            return _number(score(data[0], data[1]))
        except Exception:  # it cannot be scored like this
            return None


def _parts(estimator: Any) -> Iterator[Any]:
    """Yield an estimator and those inside it."""
    yield estimator
    try:
        inner = estimator.get_params(deep=True).values()
    except Exception:
        inner = ()
    yield from (each for each in inner if hasattr(each, "get_params"))


def _is_known(estimator: Any) -> bool:
    return type(estimator).__module__.partition(".")[0] in _KNOWN


@contextmanager
def _kept_random_state() -> Iterator[None]:
    """Restore the state of NumPy's global generator: the program's own numbers must not change."""
    import numpy

    state = numpy.random.get_state()
    try:
        yield
    finally:
        numpy.random.set_state(state)
