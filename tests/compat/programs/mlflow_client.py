import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient as Same

client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
assert isinstance(client, Same)
experiment_id = client.create_experiment("client experiment", tags={"team": "a"})
assert client.get_experiment(experiment_id).name == "client experiment"
assert client.get_experiment_by_name("nothing") is None
run = client.create_run(experiment_id, run_name="by hand", tags={"kind": "test"})
run_id = run.info.run_id
now = int(time.time() * 1000)
client.log_batch(
    run_id,
    metrics=[Metric("m", 1.5, now, 1), Metric("m", 2.5, now, 2)],
    params=[Param("p", "q")],
    tags=[RunTag("t", "u")],
)
client.log_metric(run_id, "n", 7, step=3)
client.log_param(run_id, "second", 2)
client.set_tag(run_id, "release", "1.0")
client.set_tag(run_id, "gone", "1")
client.delete_tag(run_id, "gone")
client.log_text(run_id, "text", "t.txt")
client.set_terminated(run_id, "KILLED")
other = client.create_run(experiment_id)
client.log_metric(other.info.run_id, "n", 1)
client.set_terminated(other.info.run_id)
client.log_metric(other.info.run_id, "n", 2)
client.set_terminated(other.info.run_id)
history = client.get_metric_history(run_id, "m")
assert [(one.step, one.value) for one in history] == [(1, 1.5), (2, 2.5)], history
found = client.search_runs([experiment_id], "tags.release = '1.0'", ViewType.ACTIVE_ONLY)
assert [one.info.run_id for one in found] == [run_id]
data = client.get_run(run_id).data
assert (data.params, data.metrics) == ({"p": "q", "second": "2"}, {"m": 2.5, "n": 7.0}), data
assert client.get_run(run_id).info.status == "KILLED"
assert [one.name for one in client.search_experiments(filter_string="name LIKE 'client%'")] == [
    "client experiment"
]
try:
    client.get_run("0123")
except Exception as error:
    print(type(error).__name__, error)
try:
    client.search_traces([experiment_id])
except AttributeError as error:
    print(error)
