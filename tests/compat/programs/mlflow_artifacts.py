import json
import os

import mlflow
import mlflow.artifacts

os.makedirs("data/sub", exist_ok=True)
for name, text in {"data/a.txt": "a", "data/sub/b.txt": "b"}.items():
    with open(name, "w") as file:
        file.write(text)

with mlflow.start_run() as run:
    mlflow.log_artifact("data/a.txt")
    mlflow.log_artifact("data/a.txt", "copies")
    mlflow.log_artifacts("data", artifact_path="states")
    mlflow.log_text("some text", "dir/notes.txt")
    mlflow.log_dict({"k": "v", "list": [1, 2]}, "data.json")
    mlflow.log_dict({"k": "v"}, "data.yml")
    assert mlflow.get_artifact_uri("dir").endswith(f"{run.info.run_id}/artifacts/dir")
run_id = run.info.run_id
path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="states", dst_path="here")
assert open(os.path.join(path, "sub", "b.txt")).read() == "b"
assert mlflow.artifacts.load_text(f"runs:/{run_id}/dir/notes.txt") == "some text"
assert mlflow.artifacts.load_dict(f"runs:/{run_id}/data.json") == {"k": "v", "list": [1, 2]}
client = mlflow.MlflowClient()
print(json.dumps([(one.path, one.is_dir, one.file_size) for one in client.list_artifacts(run_id, "states")]))
try:
    mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="nothing")
except mlflow.exceptions.MlflowException as error:
    print(error)
