import mlflow
import numpy as np
import pandas as pd

frame = pd.DataFrame({"question": ["a", "b"], "score": [0.5, 1.0]})
dataset = mlflow.data.from_pandas(
    frame, source="https://example.org/x.csv", name="questions", targets="score"
)
with mlflow.start_run(run_name="tables", description="about tables") as run:
    mlflow.log_input(dataset, context="training")
    mlflow.log_table(frame, "eval.json")
    mlflow.log_table({"question": ["c"], "score": [0.25]}, "eval.json")
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    mlflow.log_image(picture, "pictures/black.png")
    for step in range(2):
        mlflow.log_image(picture, key="sample", step=step)
    mlflow.log_image(mlflow.Image(picture), key="wrapped", step=5)
table = mlflow.load_table("eval.json", extra_columns=["run_id"])
assert list(table["question"]) == ["a", "b", "c"] and list(table["score"]) == [0.5, 1.0, 0.25]
assert set(table["run_id"]) == {run.info.run_id}
runs = mlflow.search_runs()
assert list(runs["tags.mlflow.runName"]) == ["tables"] and runs["start_time"][0].year > 2000
try:
    mlflow.log_image(picture)
except TypeError as error:
    print(error)
