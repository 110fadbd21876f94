"""Scores of answers found in Chinese text, equal to the official script of CMRC 2018 (cmrc2018_evaluate.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bertwright.metrics import treebank

# The script's list has …… too, as one entry, and compares it with single characters: an ellipsis stays where it is.
_PUNCTUATION = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
_WITHOUT_PUNCTUATION = str.maketrans("", "", _PUNCTUATION)
_CHINESE = re.compile(r"([\u4e00-\u9fa5])")


def cmrc_scores(predicted: Sequence[str], golds: Sequence[Sequence[str]]) -> dict[str, float]:
    """exact_match and f1, means over the questions, at least one, each with at least one gold answer.

    The F1 is that of the longest run of segments (`segments`) that prediction and gold answer have in common, for the
    gold answer it suits best; a prediction and a gold answer of punctuation alone match exactly, yet have F1 0. The
    script gives per cent, these are shares. Where English words count, see `treebank.words` for what may differ.
    """
    pairs = list(zip(predicted, golds, strict=True))
    return {
        "exact_match": sum(_exact_match(*pair) for pair in pairs) / len(pairs),
        "f1": sum(_run_f1(*pair) for pair in pairs) / len(pairs),
    }


def segments(text: str) -> list[str]:
    """Each Chinese character alone, and the words between them, lower-case, without punctuation."""
    # The Chinese characters, which the pattern catches, stand at the odd places.
    parts = _CHINESE.split(_bare(text))
    return [word for place, part in enumerate(parts) for word in ([part] if place % 2 else treebank.words(part))]


def _bare(text: str) -> str:
    """Lower-case text without punctuation; spaces inside it stay."""
    return text.lower().strip().translate(_WITHOUT_PUNCTUATION)


def _exact_match(predicted: str, golds: Sequence[str]) -> bool:
    return _bare(predicted) in {_bare(gold) for gold in golds}


def _run_f1(predicted: str, golds: Sequence[str]) -> float:
    found = segments(predicted)
    scores = []
    for gold in golds:
        wanted = segments(gold)
        common = _longest_run(found, wanted)
        scores.append(2 * common / (len(found) + len(wanted)) if common else 0.0)
    return max(scores)


def _longest_run(one: list[str], other: list[str]) -> int:
    """Length of the longest stretch of neighbours that both lists have."""
    longest = 0
    ending_before = [0] * (len(other) + 1)
    for left in one:
        ending = [0] * (len(other) + 1)
        for place, right in enumerate(other, start=1):
            if left == right:
                ending[place] = ending_before[place - 1] + 1
        longest, ending_before = max(longest, *ending), ending
    return longest
