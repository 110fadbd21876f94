"""Scores on hidden words by how often each word stands in the training text: what a model knows beyond frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from bertwright.examples.masking import IGNORED
from bertwright.tasks.pretrain import unigram_knowledge

# Words whose scores are looked at together: slices that stay in a core's cache, and are no copies of the whole. Taking
# only the counted rows out first would be shorter, and on a CPU five times as slow.
_WORDS_AT_ONCE = 64


class FrequencyBands:
    """Words by the number of their occurrences: never, 1-9, 10-99, 100-999 and so on.

    Counts and not ranks: the same count is the same chance to learn a word, in every text and vocabulary.
    """

    def __init__(self, counts: NDArray[np.int64], ignored: tuple[int, ...]) -> None:
        """counts: (vocabulary,) occurrences in the training text; `ignored` are the ids that are never hidden."""
        decades = 10 ** np.arange(len(str(int(counts.max()))))
        band = np.searchsorted(decades, counts, side="right")
        self.limits = [(0, 0), *((int(least), int(least) * 10 - 1) for least in decades)]
        self.band = torch.from_numpy(band)
        guess, surprise = unigram_knowledge(counts, ignored)
        self.unigram_right = torch.arange(len(counts)) == guess
        self.unigram_loss = torch.from_numpy(surprise)


class FrequencyTally:
    """Adds up one evaluation; `add` is given the scores that `held_out_scores` computes anyway."""

    def __init__(self, bands: FrequencyBands) -> None:
        self._bands = bands
        # Words, words told right, their losses, and the last two for the unigram baseline.
        self._sums = torch.zeros(len(bands.limits), 5, dtype=torch.float64)

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Count the hidden words of a batch: scores (n, vocabulary), labels (n,), of which IGNORED do not count."""
        for of_words, wanted in zip(scores.split(_WORDS_AT_ONCE), labels.split(_WORDS_AT_ONCE), strict=True):
            losses = cross_entropy(of_words.float(), wanted, ignore_index=IGNORED, reduction="none").cpu()
            right = (of_words.max(dim=1).indices == wanted).cpu()
            counted, bands = (wanted != IGNORED).cpu(), self._bands
            words = wanted.cpu().clamp(min=0)
            each = torch.stack(
                [counted, right, losses, bands.unigram_right[words], bands.unigram_loss[words]], dim=1
            ).double()
            # A product and no scattered sum: its order, and so the last digit, is the same each time.
            self._sums += one_hot(bands.band[words], len(bands.limits))[counted].double().T @ each[counted]

    def figures(self) -> list[dict[str, Any]]:
        """One object a band that has hidden words: its counts from and to, words, and means of accuracy and loss."""
        found = []
        for (least, most), (words, *sums) in zip(self._bands.limits, self._sums.tolist(), strict=True):
            if words:
                names = ("accuracy", "loss", "unigram_accuracy", "unigram_loss")
                means = {name: total / words for name, total in zip(names, sums, strict=True)}
                found.append({"from": least, "to": most, "words": int(words), **means})
        return found
