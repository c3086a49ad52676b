"""Whether a metric is better when smaller or larger: as the run or the project says, or judged by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from tracelet.store.metric_keys import recorded_names

if TYPE_CHECKING:
    from tracelet.store.accumulator import Summary

GOALS: Final = ("min", "max", "last")  # which value of a metric counts

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


def find_goal(name: str, *several: Mapping[str, str]) -> str | None:
    """Return which value of a metric counts, or ``None`` if that is unknown.

    ``several`` map names or patterns to goals; the first mapping that has the metric decides: by its name, else by
    the last pattern that matches. Without a rule, the metric's name decides.
    """
    for rules in several:
        if (goal := _match(name, rules)) is not None:
            return goal
    return find_direction(name)


def _match(key: str, rules: Mapping[str, str]) -> str | None:
    names = recorded_names(key)
    for name in names:
        if name in rules:
            return rules[name]
    patterns = [rule for rule in rules if any(fnmatchcase(name, rule) for name in names)]
    return rules[patterns[-1]] if patterns else None


def best_value(summary: Summary, goal: str | None) -> float | None:
    """Return the value of a metric that counts, ``None`` if that is unknown or no value is a number."""
    if goal not in GOALS:
        return None
    value = summary[goal]  # type: ignore[literal-required]
    return None if math.isnan(value) else float(value)
