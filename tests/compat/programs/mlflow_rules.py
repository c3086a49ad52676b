import mlflow
import numpy as np

with mlflow.start_run(tags={"first": 1}) as run:
    mlflow.log_metric("plain", 1)
    mlflow.log_metric("plain", 2)
    mlflow.log_metrics({"a": np.float64(0.5), "b": np.int64(3)}, step=7)
    mlflow.log_metric("back", 1.0, step=5)
    mlflow.log_metric("back", 2.0, step=2)
    mlflow.log_metric("nan", float("nan"))
    mlflow.log_metric("val/acc", 0.5, step=-1)
    assert mlflow.log_param("lr", 0.1) == 0.1
    mlflow.log_param("lr", 0.1)
    mlflow.log_params({"layers": [64, 32], "opt": {"name": "adam"}, "bias": True, "none": None})
    for call in (lambda: mlflow.log_param("lr", 0.2), lambda: mlflow.log_metric("x", "high")):
        try:
            call()
        except mlflow.MlflowException as error:
            print(error.error_code, error)
    mlflow.set_tags({"release": "1.1", "mlflow.note.content": "described", "mlflow.runName": "renamed"})
    mlflow.set_tag("gone", 1)
    mlflow.delete_tag("gone")
    data = mlflow.get_run(run.info.run_id).data
    assert data.params == {
        "lr": "0.1",
        "layers": "[64, 32]",
        "opt": "{'name': 'adam'}",
        "bias": "True",
        "none": "None",
    }
    assert data.tags["mlflow.note.content"] == "described"
    assert run.info.status == "RUNNING" and run.data.metrics["a"] == 0.5
assert mlflow.get_run(run.info.run_id).info.status == "FINISHED"
for name in ("evaluate", "log_metrcs"):
    try:
        getattr(mlflow, name)
    except AttributeError as error:
        print(error)
try:
    import mlflow.gateway
except ImportError as error:
    print(error)
