"""Scores of answers found in English text, equal to the official scripts of SQuAD 1.1 and 2.0 (evaluate-v1.1, -v2.0).

Each question has any number of gold answers, and a prediction scores with the one it suits best. A question with none
is unanswerable; its right answer is "". The scripts give per cent, these are shares.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower-case words with one space between, without ASCII punctuation and without a, an, the.

    Punctuation goes first and leaves no space: "the-end" is the one word "theend". Typographic quotes and dashes stay.
    """
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(predicted: str, golds: Sequence[str]) -> float:
    """1 where the prediction normalises to the same as one of the gold answers (to nothing, where there are none)."""
    return float(normalise(predicted) in {normalise(gold) for gold in golds or [""]})


def token_f1(predicted: str, golds: Sequence[str]) -> float:
    """The best F1 of the prediction's words against those of a gold answer; without one, 1 for a prediction of none.

    As in the script of 1.1, a gold answer of articles and punctuation alone gives 0 even to itself.
    """
    if not golds:
        return float(not normalise(predicted))
    words = normalise(predicted).split()
    return max(_overlap(words, normalise(gold).split()) for gold in golds)


def squad_scores(predicted: Sequence[str], golds: Sequence[Sequence[str]]) -> dict[str, float]:
    """exact_match and f1 of SQuAD 1.1, means over the questions, at least one."""
    pairs = list(zip(predicted, golds, strict=True))
    return {
        "exact_match": sum(exact_match(*pair) for pair in pairs) / len(pairs),
        "f1": sum(token_f1(*pair) for pair in pairs) / len(pairs),
    }


def squad2_scores(
    predicted: Sequence[str], golds: Sequence[Sequence[str]], *, null_odds: Sequence[float] | None = None
) -> dict[str, float]:
    """exact_match and f1 of SQuAD 2.0, over all questions, at least one, and over those with and without an answer.

    has_answer_exact, has_answer_f1 and no_answer_accuracy are left out where there are no such questions, as in the
    script. A gold answer that normalises to nothing is none, yet its question counts as answerable.

    With `null_odds`, one number a question that grows with the belief that it has no answer, also best_exact, best_f1
    and their thresholds, best_exact_threshold and best_f1_threshold: what one gets by answering "" where the odds lie
    above the threshold. The predictions are taken as they are otherwise; the script's own --na-prob-thresh, which
    overrides them above 1.0, is not applied, since odds are no probabilities.
    """
    answers = [[gold for gold in of_question if normalise(gold)] for of_question in golds]
    exact = [exact_match(*pair) for pair in zip(predicted, answers, strict=True)]
    f1 = [token_f1(*pair) for pair in zip(predicted, answers, strict=True)]
    answerable = [bool(of_question) for of_question in golds]
    scores = {"exact_match": sum(exact) / len(exact), "f1": sum(f1) / len(f1)}
    if any(answerable):
        scores["has_answer_exact"] = _mean_where(answerable, exact)
        scores["has_answer_f1"] = _mean_where(answerable, f1)
    if not all(answerable):
        scores["no_answer_accuracy"] = _mean_where([not one for one in answerable], exact)
    if null_odds is not None:
        for name, values in (("exact", exact), ("f1", f1)):
            best, threshold = _best_threshold(values, [bool(text) for text in predicted], answerable, null_odds)
            scores |= {f"best_{name}": best, f"best_{name}_threshold": threshold}
    return scores


def _overlap(words: list[str], gold: list[str]) -> float:
    """F1 of two bags of words; a word counts as often as both have it."""
    same = (Counter(words) & Counter(gold)).total()
    if not same:
        return 0.0
    precision, recall = same / len(words), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def _mean_where(chosen: list[bool], values: list[float]) -> float:
    return sum(value for one, value in zip(chosen, values, strict=True) if one) / sum(chosen)


def _best_threshold(
    values: list[float], answered: list[bool], answerable: list[bool], null_odds: Sequence[float]
) -> tuple[float, float]:
    """The best mean score and the odds up to which to answer for it, as the script's find_best_thresh.

    It starts from "" for every question, with threshold 0, and lets answers in by rising odds. Among equal odds it may
    stop half way, in the order of the questions, where no threshold could; so does this, to give the same numbers.
    """
    score = best = float(answerable.count(False))
    threshold = 0.0
    for odds, value, answer, has_answer in sorted(
        zip(null_odds, values, answered, answerable, strict=True), key=lambda question: question[0]
    ):
        # An unanswerable question was right with "" so far, and stays so when that is what was predicted.
        score += value if has_answer else -float(answer)
        if score > best:
            best, threshold = score, odds
    return best / len(values), float(threshold)
