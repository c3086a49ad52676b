import os

import wandb

run = wandb.init(project="files", save_code=True)
with open(os.path.join(run.dir, "notes.txt"), "w") as file:
    file.write("in the run's folder")
os.makedirs("checkpoints", exist_ok=True)
for epoch in range(2):
    with open(f"checkpoints/model-{epoch}.bin", "wb") as file:
        file.write(bytes([epoch]))
assert len(wandb.save("checkpoints/*.bin")) == 2
with open("log.txt", "w") as file:
    file.write("first")
wandb.save("log.txt", policy="live")
wandb.save("missing-*.bin")
with open("log.txt", "w") as file:
    file.write("first and second")
run.log_code(".", include_fn=lambda path: path.endswith("wandb_files.py"))
wandb.mark_preempting()
for name in ("imge", "controller"):
    try:
        getattr(wandb, name)
    except AttributeError as error:
        print(error)
try:
    from wandb import Tables
except ImportError as error:
    print(error)
run.log({"a": 1})
# no finish(): the program just ends
