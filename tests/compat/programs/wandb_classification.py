import argparse

import numpy as np
import wandb
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.001)
parser.add_argument("--epochs", type=int, default=3)
args = parser.parse_args()

digits = load_digits()
train_x, test_x, train_y, test_y = train_test_split(digits.data, digits.target, random_state=0)
model = SGDClassifier(loss="log_loss", alpha=args.alpha, random_state=0)

with wandb.init(project="digits", config=args, tags=["sklearn", "baseline"]) as run:
    config = wandb.config
    for epoch in range(config.epochs):
        model.partial_fit(train_x, train_y, classes=np.arange(10))
        run.log(
            {
                "train": {"accuracy": model.score(train_x, train_y)},
                "test/accuracy": model.score(test_x, test_y),
            }
        )
    predictions = model.predict(test_x)
    scores = model.predict_proba(test_x)
    table = wandb.Table(columns=["image", "label", "prediction"])
    for image, label, prediction in list(zip(digits.images, test_y, predictions, strict=False))[:3]:
        table.add_data(wandb.Image(image / 16), int(label), int(prediction))
    names = [str(name) for name in digits.target_names]
    run.log(
        {
            "predictions": table,
            "confusion": wandb.plot.confusion_matrix(
                y_true=test_y.tolist(), preds=predictions.tolist(), class_names=names
            ),
            "roc": wandb.plot.roc_curve(test_y, scores, labels=names),
            "pr": wandb.plot.pr_curve(test_y, scores, labels=names),
        }
    )
    run.summary["test_size"] = len(test_x)
    wandb.summary["verdict"] = "good"
    print("accuracy", model.score(test_x, test_y))
