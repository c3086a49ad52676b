"""A program for tracelet's first API."""

import tracelet
from tracelet import ArtifactType, Experiment

learning_rate = 0.001
batch_size = 32
num_layers = 4
loss = 0.5
name = "not a hyperparameter"

experiment = tracelet.start_logging(
    exp_name="first", project="original", backend="jsonl", config={"track_git": False}
)
assert tracelet.get_active_experiment() is experiment
captured = tracelet.capture_hyperparams()
assert captured == {"learning_rate": 0.001, "batch_size": 32, "num_layers": 4}, captured


def train():
    dropout = 0.1
    hidden_size = 64
    experiment.capture_hyperparams()
    for epoch in range(3):
        experiment.log_metric("loss", loss / (epoch + 1), epoch)


train()
experiment.set_iteration(10)
experiment.log_metric("acc", 0.9)
assert experiment.iteration == 10
experiment.log_params({"optimizer": {"name": "adam"}})
experiment.log_hyperparameter("seed", 7)
tracelet.stop_logging()
assert tracelet.get_active_experiment() is None

with open("weights.bin", "wb") as file:
    file.write(b"123")
with Experiment("second", tags=["a", "b"], project="original") as second:
    artifact = second.create_artifact("net", ArtifactType.MODEL, description="small", metadata={"acc": 0.9})
    artifact.add_file("weights.bin").add_object({"a": [1, 2]}, "settings", serializer="json").add_object(
        {1, 2}, "classes"
    )
    artifact.add_reference("s3://bucket/data", name="data")
    result = second.log_artifact(artifact)
    assert result.success and result.version == "v1" and result.size_bytes > 3, result
    again = tracelet.create_artifact("net", "model").add_file("weights.bin")
    assert second.log_artifact(again).version == "v2"
    assert (
        second.log_file_artifact("weights.bin", name="raw", artifact_type=ArtifactType.WEIGHTS).version
        == "v1"
    )
    found = second.get_artifact("net", version=1)
    assert found.load("settings") == {"a": [1, 2]} and found.load("classes") == {1, 2}
    assert found.references == {"data": "s3://bucket/data"} and found.metadata == {"acc": 0.9}
    assert second.get_artifact("net").version == "v2"
    assert [one.name for one in second.list_artifacts(ArtifactType.MODEL)] == ["net", "net"]
    for call in (lambda: second.get_artifact("nets"), lambda: second.create_artifact("x", "mdel")):
        try:
            call()
        except tracelet.UsageError as error:
            print(error)

third = Experiment("third", project="original")
try:
    third.log_metric("x", 1)
except tracelet.NoActiveRunError as error:
    print(error)
third.start()
third.log_metric("x", 1, iteration=4)
third.end()
try:
    tracelet.start_logging("x", backend="jsonl", api_key="k")
except tracelet.UsageError as error:
    print(error)
