import subprocess
import sys

import mlflow

mlflow.log_param("implicit", True)
mlflow.log_metric("m", 1.0, step=1)
first = mlflow.active_run().info.run_id
mlflow.end_run()
assert mlflow.active_run() is None

mlflow.set_experiment("second")
experiment = mlflow.get_experiment_by_name("second")
try:
    with mlflow.start_run(run_name="broken"):
        mlflow.log_metric("m", 2.0)
        raise ValueError("diverged")
except ValueError:
    pass
mlflow.start_run(run_name="ended", experiment_id=experiment.experiment_id)
mlflow.end_run("FAILED")

with mlflow.start_run(run_id=first) as run:
    mlflow.log_metric("m", 3.0, step=2)
    assert run.info.run_id == first

code = "import mlflow; mlflow.start_run(run_name='child'); mlflow.log_metric('c', 4)"
subprocess.run([sys.executable, "-c", code], check=True)
mlflow.enable_system_metrics_logging()


@mlflow.trace
def traced(x):
    return x + 1


assert traced(1) == 2
with mlflow.start_span("s") as span:
    span.set_inputs({"a": 1})
