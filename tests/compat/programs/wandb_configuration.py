import argparse
import json
import os

import wandb

os.environ["WANDB_PROJECT"] = "configured"
os.environ["WANDB_TAGS"] = "one,two"
run = wandb.init(
    config={"lr": 0.1, "a.b": 1, "model": {"layers": [64, 32], "act": "relu"}}, config_exclude_keys=["a.b"]
)
assert run.project == "configured" and run.tags == ("one", "two")
assert wandb.config.lr == 0.1 and wandb.config["model"]["act"] == "relu"
wandb.config["x.y"] = 3
wandb.config.update({"lr": 0.2, "epochs": 5}, allow_val_change=True)
try:
    wandb.config.epochs = 6
except wandb.Error as error:
    print("refused:", error)
wandb.config.setdefaults({"epochs": 9, "seed": 1})
wandb.config.update(argparse.Namespace(dropout=0.5))
assert dict(wandb.config)["epochs"] == 5
assert "seed" in wandb.config and wandb.config.get("missing", 7) == 7
run.finish()

with open("settings.json", "w") as file:
    json.dump({"width": {"value": 3, "desc": "of the net"}, "depth": 2}, file)
with wandb.init(project="from-file", config="settings.json", config_include_keys=["width"]) as run:
    assert run.config.as_dict() == {"width": 3}
    assert {**run.config} == {"width": 3}
