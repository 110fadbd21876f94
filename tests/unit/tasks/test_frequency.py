from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
import torch

from bertwright.examples.masking import IGNORED
from bertwright.tasks.frequency import FrequencyBands, FrequencyTally
from bertwright.tasks.pretrain import held_out_scores, unigram_baseline
from tests.unit.training.tiny import batches, settings, trainee

# [PAD], which is never hidden, and six words. With one added to each of these, 1,127 in all, the last of them 1,001.
COUNTS = np.array([0, 0, 1, 9, 10, 101, 1000])
BANDS = FrequencyBands(COUNTS, (0,))


def scores(*guesses: int) -> torch.Tensor:
    """Each word's probability as told: 0.7 for the guess, 0.05 for the six others."""
    table = torch.full((len(guesses), 7), 0.05)
    table[torch.arange(len(guesses)), torch.tensor(guesses)] = 0.7
    return table.log()


def test_words_are_grouped_by_decades_of_their_count() -> None:
    assert BANDS.limits == [(0, 0), (1, 9), (10, 99), (100, 999), (1000, 9999)]
    assert BANDS.band.tolist() == [0, 0, 1, 1, 2, 3, 4]


def test_accuracy_and_loss_of_each_band() -> None:
    tally = FrequencyTally(BANDS)
    tally.add(scores(2, 6, 5), torch.tensor([2, 3, 5]))
    tally.add(scores(1, 6, 6), torch.tensor([IGNORED, 6, IGNORED]))
    right, wrong = -math.log(0.7), -math.log(0.05)
    found = tally.figures()
    assert [(band["from"], band["to"], band["words"]) for band in found] == [(1, 9, 2), (100, 999, 1), (1000, 9999, 1)]
    assert [band["accuracy"] for band in found] == [0.5, 1, 1]
    assert [band["loss"] for band in found] == pytest.approx([(right + wrong) / 2, right, right])
    # Only the most frequent word is ever right for one who knows nothing but frequency.
    assert [band["unigram_accuracy"] for band in found] == [0, 0, 1]
    surprises = [-math.log(count / 1127) for count in (2, 10, 102, 1001)]
    assert [band["unigram_loss"] for band in found] == pytest.approx([sum(surprises[:2]) / 2, *surprises[2:]])


def test_the_bands_together_are_the_whole() -> None:
    # What the evaluation tells of all words, and the baseline, are the means of the bands by their words.
    held_out = list(islice(batches(), 5))
    counts = np.arange(30) ** 3
    tally = FrequencyTally(FrequencyBands(counts, (0,)))
    whole = held_out_scores(trainee(settings()).model, held_out, on_words=tally.add)
    bands, unigram = tally.figures(), unigram_baseline(counts, held_out, (0,))
    words = sum(band["words"] for band in bands)
    assert words == sum(int((batch.masked_labels != IGNORED).sum()) for batch in held_out)
    assert len(bands) > 3

    def mean(name: str) -> float:
        return sum(band["words"] * band[name] for band in bands) / words

    assert mean("accuracy") == pytest.approx(whole["mlm_accuracy"])
    assert mean("loss") == pytest.approx(whole["mlm_loss"], rel=1e-5)
    assert mean("unigram_accuracy") == pytest.approx(unigram["mlm_accuracy"])
    assert mean("unigram_loss") == pytest.approx(unigram["mlm_loss"])


def test_what_is_measured_does_not_depend_on_the_batches() -> None:
    wanted = torch.randint(1, 7, (500,), generator=torch.Generator().manual_seed(1))
    guesses = scores(*torch.randint(0, 7, (500,), generator=torch.Generator().manual_seed(2)).tolist())
    once, often = FrequencyTally(BANDS), FrequencyTally(BANDS)
    once.add(guesses, wanted)
    for some, labels in zip(guesses.split(7), wanted.split(7), strict=True):
        often.add(some, labels)
    for one, other in zip(once.figures(), often.figures(), strict=True):
        assert one == pytest.approx(other)


def test_no_hidden_word_at_all() -> None:
    tally = FrequencyTally(BANDS)
    tally.add(scores(1, 2, 3), torch.full((3,), IGNORED))
    assert tally.figures() == []
