import numpy as np
import wandb

run = wandb.init(project="steps")
wandb.define_metric("epoch")
wandb.define_metric("val/*", step_metric="epoch")
wandb.define_metric("loss", summary="min")
for i in range(3):
    wandb.log({"loss": 1.0 - i * 0.25}, commit=False)
    wandb.log({"lr": 0.1 * (i + 1)})
    if i == 1:
        wandb.log({"loss": 2.0})
assert run.step == 4, run.step
wandb.log({"epoch": 10, "val/acc": 0.5})
wandb.log({"epoch": 20, "val/acc": 0.75})
wandb.log({"val/acc": 0.8})
wandb.log({"jump": 1}, step=100)
wandb.log({"jump": 2}, step=50)
wandb.log({"after": 3})
assert run.step == 101, run.step
wandb.log({"deep": {"a": {"b": np.float32(1.5)}}, "flag": True, "nothing": None, "count": np.int64(7)})
wandb.log({"nan": float("nan"), "inf": float("inf")})
assert run.summary["loss"] == {"min": 0.5}, run.summary["loss"]
assert run.summary["val/acc"] == 0.8
run.summary["best"] = 0.99
run.summary.update({"epochs": 2, "jump": 5})
run.finish()
