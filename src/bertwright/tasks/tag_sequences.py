"""The likeliest of those sequences of tags that mean something: in BIO2 an I- goes on with a span of its kind.

labels          O     B-per  I-per
Anna            .1    .5     .4        the likeliest of each word: B-per I-per O I-per
Maria           .2    .2     .6
,               .6    .1     .3
saw             .3    .2     .5        the likeliest sequence:     B-per I-per O O
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertwright.tasks.tag_schemes import split_tag

Scores = NDArray[np.float64]


class Steps(NamedTuple):
    """What BIO2 allows: `first`, (tags,), may begin a sentence; `after[a, b]`, (tags, tags): b may follow a."""

    first: NDArray[np.bool_]
    after: NDArray[np.bool_]


def bio2_steps(labels: Sequence[str]) -> Steps:
    """The steps between BIO2 tags: I-x follows B-x and I-x, and all else follows everything."""
    parts = [split_tag(label) for label in labels]
    first = np.array([letter != "I" for letter, _ in parts])
    same = np.array([[kind == before for _, kind in parts] for _, before in parts])
    return Steps(first, first[None, :] | same)


def best_sequence(scores: Scores, steps: Steps) -> NDArray[np.int64]:
    """The tags, (words,), whose scores have the greatest sum, of the sequences that `steps` allow (Viterbi 1967).

    scores: (words, tags), logarithms of probabilities, which may be -inf where some allowed sequence avoids it.
    """
    words, tags = scores.shape
    best = np.empty((words, tags), dtype=np.int64)  # the tag before, on the best way to each
    refused = np.where(steps.after, 0.0, -np.inf)
    # Before the first word nothing has happened: what may begin costs nothing.
    total = np.where(steps.first, 0.0, -np.inf)
    for word in range(words):
        if word:
            ways = total[:, None] + refused
            best[word] = ways.argmax(axis=0)
            total = ways.max(axis=0)
        total = total + scores[word]
    found = np.empty(words, dtype=np.int64)
    if words:
        found[-1] = total.argmax()
    for word in range(words - 1, 0, -1):
        found[word - 1] = best[word, found[word]]
    return found


def log_probabilities(scores: NDArray[np.float32]) -> Scores:
    """(words, tags), as the model gives them -> logarithms of probabilities, float64."""
    wide = scores.astype(np.float64)
    shifted: Scores = wide - wide.max(axis=-1, keepdims=True)
    found: Scores = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found
