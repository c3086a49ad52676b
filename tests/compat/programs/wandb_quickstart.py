import random

import wandb

wandb.login()
random.seed(0)
epochs = 10
lr = 0.01

run = wandb.init(
    project="my-awesome-project",
    name="quickstart",
    config={"learning_rate": lr, "epochs": epochs, "architecture": "CNN", "dataset": "CIFAR-100"},
)

offset = random.random() / 5
print(f"lr: {lr}")

for epoch in range(2, epochs):
    acc = 1 - 2**-epoch - random.random() / epoch - offset
    loss = 2**-epoch + random.random() / epoch + offset
    print(f"epoch={epoch}, accuracy={acc}, loss={loss}")
    wandb.log({"accuracy": acc, "loss": loss})

wandb.finish()
