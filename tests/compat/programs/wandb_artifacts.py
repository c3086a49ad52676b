import json
import os

import wandb

with open("train.csv", "w") as file:
    file.write("x,y\n1,2\n")
os.makedirs("images/cats", exist_ok=True)
for name in ("a", "b"):
    with open(f"images/cats/{name}.txt", "w") as file:
        file.write(name)

with wandb.init(project="pipeline", job_type="load-data") as run:
    artifact = wandb.Artifact("dataset", type="dataset", description="raw", metadata={"rows": 1})
    artifact.add_file("train.csv")
    artifact.add_dir("images", name="pictures")
    artifact.add_reference("https://example.org/big.bin", name="big")
    with artifact.new_file("info.json") as file:
        json.dump({"source": "here"}, file)
    artifact.add(wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]]), "stats")
    logged = run.log_artifact(artifact, aliases=["raw"])
    logged.wait()
    assert logged.version == "v0", logged.version
    os.remove("train.csv")

with wandb.init(project="pipeline", job_type="preprocess") as run:
    raw = run.use_artifact("dataset:latest")
    folder = raw.download()
    assert open(os.path.join(folder, "train.csv")).read() == "x,y\n1,2\n"
    assert sorted(os.listdir(os.path.join(folder, "pictures", "cats"))) == ["a.txt", "b.txt"]
    assert raw.get("stats").data == [[1, "x"], [2, "y"]]
    assert raw.metadata["rows"] == 1
    assert raw.get_entry("big").ref == "https://example.org/big.bin"
    with open("clean.csv", "w") as file:
        file.write("x,y\n2,4\n")
    clean = wandb.Artifact("dataset", type="dataset")
    clean.add_file("clean.csv", name="train.csv")
    run.log_artifact(clean)
    assert clean.version == "v1"

with wandb.init(project="pipeline", job_type="train") as run:
    assert run.use_artifact("dataset:raw", type="dataset").version == "v0"
    assert run.use_artifact(f"{run.entity}/pipeline/dataset:v1").name == "dataset:v1"
    with open("model.bin", "wb") as file:
        file.write(b"weights")
    run.log_model("model.bin", name="net", aliases=["best"])
    path = run.use_model("net:best")
    assert open(path, "rb").read() == b"weights"
    again = wandb.Artifact("net", type="model")
    again.add_file("model.bin")
    assert run.log_artifact(again).version == "v0", "the same contents are the same version"
    try:
        run.use_artifact("dataset-2:latest")
    except wandb.errors.CommError as error:
        print(error)
