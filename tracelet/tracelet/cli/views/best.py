"""Which value of a metric is its best one."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
# Words of metric names, of which the last one that is known decides: `accuracy_loss` is a loss.
SMALLER: Final = frozenset(
    (
        *(
            "loss",
            "losses",
            "error",
            "errors",
            "err",
            "mse",
            "rmse",
            "mae",
            "mape",
            "smape",
            "msle",
            "nll",
            "bce",
        ),
        *("perplexity", "ppl", "wer", "cer", "ter", "fid", "kid", "lpips", "kl", "divergence", "entropy"),
        *(
            "crossentropy",
            "logloss",
            "brier",
            "ece",
            "distance",
            "cost",
            "regret",
            "bpc",
            "bpb",
            "eer",
            "fpr",
        ),
        *("fnr", "latency"),
    )
)
LARGER: Final = frozenset(
    (
        *(
            "acc",
            "accuracy",
            "f1",
            "fbeta",
            "auc",
            "auroc",
            "auprc",
            "precision",
            "recall",
            "map",
            "iou",
            "miou",
        ),
        *("dice", "bleu", "rouge", "rouge1", "rouge2", "meteor", "psnr", "ssim", "r2", "score", "reward"),
        *(
            "rewards",
            "return",
            "returns",
            "top1",
            "top5",
            "ndcg",
            "mrr",
            "mcc",
            "kappa",
            "likelihood",
            "elbo",
        ),
        *("hits", "success", "winrate", "sensitivity", "specificity", "throughput", "ap", "tpr", "tnr"),
        *("spearman", "pearson"),
    )
)


def direction(name: str) -> str | None:
    """Return ``"min"``, ``"max"``, or ``None`` where the name does not tell."""
    words = [word.lower() for word in _WORD.findall(name)]
    for word in reversed(words):
        if word in SMALLER or word.endswith("loss"):
            return "min"
        if word in LARGER or word.endswith(("accuracy", "acc")):
            return "max"
    return None
