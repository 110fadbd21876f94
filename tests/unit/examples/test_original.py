from __future__ import annotations

import random

import numpy as np
import pytest

from bertwright.examples.original import original_next_share


def literal(documents: list[list[list[int]]], max_length: int, short_fraction: float, seed: int) -> tuple[int, int]:
    """create_instances_from_document of the original code, on tokens; what it would do with them is left out."""
    chance = random.Random(seed)
    pairs = following = 0
    for document in documents:
        max_num_tokens = max_length - 3
        target_seq_length = max_num_tokens
        if chance.random() < short_fraction:
            target_seq_length = chance.randint(2, max_num_tokens)
        current_chunk: list[list[int]] = []
        current_length = 0
        i = 0
        while i < len(document):
            segment = document[i]
            current_chunk.append(segment)
            current_length += len(segment)
            if i == len(document) - 1 or current_length >= target_seq_length:
                if current_chunk:
                    a_end = 1
                    if len(current_chunk) >= 2:
                        a_end = chance.randint(1, len(current_chunk) - 1)
                    pairs += 1
                    if len(current_chunk) == 1 or chance.random() < 0.5:
                        i -= len(current_chunk) - a_end
                    else:
                        following += 1
                current_chunk = []
                current_length = 0
            i += 1
    return pairs, following


@pytest.mark.parametrize(("low", "high", "sentences"), [(5, 40, 12), (50, 128, 6), (1, 10, 3), (100, 128, 2)])
def test_the_share_is_that_of_the_original_code(low: int, high: int, sentences: int) -> None:
    chance = np.random.default_rng(0)
    lengths = [chance.integers(low, high, chance.integers(1, 2 * sentences)).tolist() for _ in range(3000)]
    pairs, following = original_next_share(lengths, max_length=128, short_fraction=0.1)
    documents = [[[0] * length for length in document] for document in lengths]
    their_pairs, their_following = literal(documents, 128, 0.1, 1)
    assert pairs == pytest.approx(their_pairs, rel=0.02)
    assert following / pairs == pytest.approx(their_following / their_pairs, abs=0.015)


def test_single_sentences_are_always_negatives() -> None:
    assert original_next_share([[5]] * 100, max_length=128, short_fraction=0.1) == (100, 0)


def test_two_short_sentences_are_a_coin() -> None:
    pairs, following = original_next_share([[5, 5]] * 4000, max_length=128, short_fraction=0)
    # A negative gives its second sentence back, which is then alone: of 1 + 1/2 pairs a document 1/2 is positive.
    assert pairs == pytest.approx(6000, rel=0.03)
    assert following / pairs == pytest.approx(1 / 3, abs=0.02)
