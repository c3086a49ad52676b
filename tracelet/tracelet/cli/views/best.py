"""Whether a metric is better when smaller or larger, judged by its name."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
# Words of metric names. The last known word of a name decides: `accuracy_loss` is a loss.
_SMALLER: Final = """
    loss losses error errors err mse rmse mae mape smape msle nll bce perplexity ppl wer cer ter fid kid lpips kl
    divergence entropy crossentropy logloss brier ece distance cost regret bpc bpb eer fpr fnr latency
"""
_LARGER: Final = """
    acc accuracy f1 fbeta auc auroc auprc precision recall map iou miou dice bleu rouge rouge1 rouge2 meteor psnr ssim
    r2 score reward rewards return returns top1 top5 ndcg mrr mcc kappa likelihood elbo hits success winrate
    sensitivity specificity throughput ap tpr tnr spearman pearson
"""
SMALLER_IS_BETTER: Final = frozenset(_SMALLER.split())
LARGER_IS_BETTER: Final = frozenset(_LARGER.split())


def find_direction(name: str) -> str | None:
    """Return ``"min"`` or ``"max"``, whichever is better, or ``None`` if the name does not say."""
    words = [word.lower() for word in _WORD.findall(name)]
    for word in reversed(words):
        if word in SMALLER_IS_BETTER or word.endswith("loss"):
            return "min"
        if word in LARGER_IS_BETTER or word.endswith(("accuracy", "acc")):
            return "max"
    return None
