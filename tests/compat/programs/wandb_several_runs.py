import wandb
from wandb import AlertLevel

for lr in (0.1, 0.2):
    run = wandb.init(
        project="many",
        group="experiment-1",
        job_type="train",
        name=f"lr-{lr}",
        reinit=True,
        config={"lr": lr},
    )
    run.tags = run.tags + ("extra",)
    run.notes = "a note"
    for step in range(3):
        run.log({"loss": lr * step})
assert wandb.run is run
run.finish()
assert wandb.run is None

try:
    with wandb.init(project="many", name="broken") as run:
        run.log({"loss": 1.0})
        raise RuntimeError("out of memory")
except RuntimeError:
    pass

first = wandb.init(project="many", id="resumable", name="long")
first.log({"loss": 3.0})
first.log({"loss": 2.0})
wandb.finish()
second = wandb.init(project="many", id="resumable", resume="must")
assert second.resumed and second.starting_step == 2, second.starting_step
second.log({"loss": 1.0})
second.alert(title="Low", text="loss is low", level=AlertLevel.WARN)
wandb.finish(exit_code=1)

with wandb.init(mode="disabled") as run:
    run.log({"loss": 1})
    run.config.update({"a": 1})
    run.summary["x"] = 1

api = wandb.Api()
found = {run.name: run for run in api.runs("many")}
assert found["lr-0.2"].summary["loss"] == 0.4 and found["lr-0.2"].config["lr"] == 0.2
assert [row["loss"] for row in api.run("resumable").scan_history(keys=["loss"])] == [3.0, 2.0, 1.0]
