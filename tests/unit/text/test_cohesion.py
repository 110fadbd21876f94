from __future__ import annotations

import numpy as np

from bertwright.text.cohesion import shared_words
from tests.made_text import prose


def shares(documents: list[list[int]]) -> tuple[list[bool], list[bool]]:
    tokens = np.array([token for document in documents for token in document])
    near, far = shared_words(tokens, np.cumsum([0, *map(len, documents)]))
    return near.tolist(), far.tolist()


def test_neighbours_one_can_check_by_eye() -> None:
    # 1 is in all eight, so it is not rare; 50 is shared by neighbours, 60 by documents half of all away.
    documents = [[1, 50, 60], [1, 50, 11], [1, 12], [1, 13], [1, 14, 60], [1, 15], [1, 16], [1, 17]]
    near, far = shares(documents)
    assert near == [True, False, False, False, False, False, False, False]
    assert far == [True, False, False, False, True, False, False, False]


def test_running_text_is_told_from_a_list() -> None:
    words: dict[str, int] = {}
    sentences = [
        [words.setdefault(word, len(words)) for word in sentence.lower().strip(".").split()]
        for document in prose(200)
        for sentence in document
    ]
    near, far = shares(sentences)
    assert sum(near) > 4 * sum(far)
    shuffled = [sentences[number] for number in np.random.default_rng(0).permutation(len(sentences))]
    near, far = shares(shuffled)
    assert sum(near) < 1.5 * sum(far)
