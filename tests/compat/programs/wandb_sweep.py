import wandb


def objective(config):
    return config.x**3 + config.y


def main():
    with wandb.init(project="my-first-sweep") as run:
        run.log({"score": objective(run.config)})


sweep_configuration = {
    "method": "random",
    "metric": {"goal": "minimize", "name": "score"},
    "parameters": {"x": {"max": 0.1, "min": 0.01}, "y": {"values": [1, 3, 7]}},
}
sweep_id = wandb.sweep(sweep=sweep_configuration, project="my-first-sweep")
wandb.agent(sweep_id, function=main, count=4)


def train():
    run = wandb.init(config={"batch": 8, "kind": "default"})
    assert run.sweep_id == grid_id
    assert run.config.kind in ("a", "b")
    wandb.log({"loss": run.config.batch / 10})


grid_id = wandb.sweep(
    {"method": "grid", "parameters": {"batch": {"values": [8, 16]}, "kind": {"values": ["a", "b"]}}},
    project="grid",
)
wandb.agent(grid_id, train)
