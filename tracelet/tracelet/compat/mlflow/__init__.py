"""A drop-in for ``mlflow``: its recording calls, recorded into tracelet.

``tracelet run --shield mlflow train.py`` puts it in the place of the real package. docs/drop-ins.md lists the calls.
"""

from __future__ import annotations

from typing import Any, Final

from tracelet.compat.module_names import PACKAGES

__version__ = VERSION = PACKAGES["mlflow"]

_HOMES: Final = {
    "fluent": (
        *(
            "active_run",
            "delete_run",
            "delete_tag",
            "end_run",
            "get_artifact_uri",
            "get_parent_run",
            "get_run",
        ),
        *(
            "last_active_run",
            "log_artifact",
            "log_artifacts",
            "log_dict",
            "log_figure",
            "log_image",
            "log_input",
        ),
        *("log_inputs", "log_metric", "log_metrics", "log_param", "log_params", "log_stream", "log_table"),
        *("log_text", "load_table", "search_runs", "set_tag", "set_tags", "start_run", "ActiveRun"),
    ),
    "experiments": (
        *(
            "create_experiment",
            "get_experiment",
            "get_experiment_by_name",
            "search_experiments",
            "set_experiment",
        ),
        *("set_experiment_tag", "set_experiment_tags", "get_tracking_uri", "set_tracking_uri"),
        *("is_tracking_uri_set", "set_registry_uri", "get_registry_uri"),
    ),
    "without_effect": (
        *("disable_system_metrics_logging", "enable_system_metrics_logging", "flush_artifact_async_logging"),
        *("flush_async_logging", "flush_trace_async_logging", "login", "set_system_metrics_node_id"),
        *("set_system_metrics_samples_before_logging", "set_system_metrics_sampling_interval", "start_span"),
        *("trace", "update_current_trace", "doctor"),
    ),
    "autologging": ("autolog",),
    "registry": ("register_model",),
    "client": ("MlflowClient",),
    "exceptions": ("MlflowException",),
    "images": ("Image",),
}
_WHERE: Final = {name: module for module, names in _HOMES.items() for name in names}
_FLAVORS: Final = (
    *("catboost", "keras", "lightgbm", "pyfunc", "pytorch", "sklearn", "statsmodels"),
    *("tensorflow", "transformers", "xgboost"),
)
_MODULES: Final = {
    **dict.fromkeys(
        ("artifacts", "client", "data", "entities", "exceptions", "models", "tracking", "utils"), ""
    ),
    **dict.fromkeys(_FLAVORS, "flavors."),
}
_CLOSEST: Final = {
    "evaluate": "mlflow.log_metrics with the figures of your own evaluation",
    "genai": "mlflow.log_metrics and mlflow.log_table",
    "projects": "tracelet run",
    "run": "tracelet run",
    "start_span_no_context": "mlflow.log_metric or mlflow.log_dict",
    "get_trace": "mlflow.log_dict",
    "search_traces": "mlflow.search_runs",
    "openai": "mlflow.log_metric or mlflow.log_dict",
    "langchain": "mlflow.log_metric or mlflow.log_dict",
    "onnx": "mlflow.log_artifact of the saved model",
    "spark": "mlflow.log_artifact of the saved model",
    "search_registered_models": "mlflow.search_runs",
    "search_model_versions": "mlflow.search_runs",
    "log_model": "the log_model of a flavor, such as mlflow.sklearn.log_model,",
    "save_model": "the save_model of a flavor, such as mlflow.sklearn.save_model,",
    "load_model": "mlflow.pyfunc.load_model",
    "log_outputs": "mlflow.log_artifact",
    "log_scalar": "mlflow.log_metric",
    "log": "mlflow.log_metrics",
}

__all__ = [*_WHERE, *_MODULES]


def __getattr__(name: str) -> Any:
    """Return what is imported on first use."""
    from tracelet.compat.offered import find_name

    return find_name("mlflow", name, globals(), where=_WHERE, modules=_MODULES, closest_calls=_CLOSEST)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
