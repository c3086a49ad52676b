"""Train a small neural network on handwritten digits, and record every step of it.

The data are the UCI handwritten digits that ship with scikit-learn: 1797 images of 8 x 8 pixels.

    tracelet run docs/examples/train_digits.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tracelet

PARAMS = {"hidden": 64, "lr": 0.1, "momentum": 0.9, "batch_size": 64, "epochs": 30, "seed": 0}


class Network:
    """One hidden layer of rectified units under a softmax, trained by gradient descent with momentum."""

    def __init__(self, rng: np.random.Generator, hidden: int, lr: float, momentum: float) -> None:
        self.lr, self.momentum = lr, momentum
        self.weights = [
            rng.normal(0, np.sqrt(2 / 64), (64, hidden)),
            np.zeros(hidden),
            rng.normal(0, np.sqrt(2 / hidden), (hidden, 10)),
            np.zeros(10),
        ]
        self.velocity = [np.zeros_like(weight) for weight in self.weights]

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the hidden units' values, and the probability of each digit."""
        w1, b1, w2, b2 = self.weights
        hidden = np.maximum(x @ w1 + b1, 0)
        logits = hidden @ w2 + b2
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return hidden, odds / odds.sum(axis=1, keepdims=True)

    def step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Learn from one batch; return its loss and accuracy before learning."""
        hidden, probability = self.forward(x)
        rows = np.arange(len(y))
        loss = -np.log(probability[rows, y] + 1e-12).mean()
        accuracy = (probability.argmax(axis=1) == y).mean()

        d_logits = (probability - np.eye(10)[y]) / len(y)
        d_hidden = (d_logits @ self.weights[2].T) * (hidden > 0)
        gradients = [x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)]
        for weight, speed, gradient in zip(self.weights, self.velocity, gradients, strict=True):
            speed *= self.momentum
            speed -= self.lr * gradient
            weight += speed
        return loss, accuracy

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the likeliest digit for each image."""
        return self.forward(x)[1].argmax(axis=1)


def main() -> None:
    """Train, test, and record both."""
    images, digits = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(images / 16, digits, test_size=360, random_state=0)
    rng = np.random.default_rng(PARAMS["seed"])
    network = Network(rng, PARAMS["hidden"], PARAMS["lr"], PARAMS["momentum"])

    with tracelet.start_run("digits", params=PARAMS) as run:
        step = 0
        for epoch in range(1, PARAMS["epochs"] + 1):
            for batch in np.array_split(rng.permutation(len(x)), len(x) // PARAMS["batch_size"]):
                loss, accuracy = network.step(x[batch], y[batch])
                run.log({"train/loss": loss, "train/accuracy": accuracy}, step=step)
                step += 1
            test_accuracy = (network.predict(x_test) == y_test).mean()
            run.log_metric("test/accuracy", test_accuracy, step=step)
            if epoch % 5 == 0:
                print(f"epoch {epoch:2}   train/loss {loss:.4f}   test/accuracy {test_accuracy:.1%}")

        confusion = np.zeros((10, 10), int)
        np.add.at(confusion, (y_test, network.predict(x_test)), 1)
        run.log_table("test/confusion", confusion.tolist(), columns=[str(digit) for digit in range(10)])
        run.log_image("test/confusion", confusion / confusion.max())
        accuracies = confusion.diagonal() / confusion.sum(axis=1)
        run.log_table("test/by_digit", {"digit": range(10), "accuracy": accuracies})


if __name__ == "__main__":
    main()
