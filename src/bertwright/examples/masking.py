"""Choosing the words to predict, as in the paper (section 3.1, task 1) and its `create_masked_lm_predictions`.

In each sequence round(15% of its tokens, [CLS] and [SEP] counted) positions are chosen, at least one, never [CLS] or
[SEP]. Of the chosen, 80% become [MASK], 10% a random word, 10% stay. The draw is keyed by epoch and example, so every
epoch masks anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bertwright.randomness import scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bertwright.examples.settings import ExampleSettings
    from bertwright.randomness import Stream
    from bertwright.tokens.vocabulary import Vocabulary


# The label of a slot without a word; no id of any vocabulary, and what torch's cross-entropy leaves out.
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Masked:
    """Sequences with words hidden.

    input_ids: (batch, length). positions, labels: (batch, max_predictions), positions ascending; the first counts[i] of
    row i are real, the rest is position 0 with label IGNORED.
    """

    input_ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]


def random_words(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Ids a random word is drawn from: all but the five special tokens, which are no words."""
    return np.setdiff1d(np.arange(len(vocabulary)), np.asarray(vocabulary.special_ids))


def mask_tokens(  # plain arrays and numbers, so that it can be read and tested alone
    input_ids: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    lengths: NDArray[np.int64],
    examples: NDArray[np.int64],
    settings: ExampleSettings,
    stream: Stream,
    mask_id: int,
    words: NDArray[np.int64],
) -> Masked:
    """Hide words of a batch.

    input_ids, candidates: (batch, length), candidates true where a word may be chosen. lengths: (batch,) tokens with
    [CLS] and [SEP]. examples: (batch,) number of each example in its epoch. `stream` is keyed by seed and epoch.
    """
    width = settings.max_predictions
    # One block of four random words for each position, addressed by (example, position): the rest of the batch and the
    # padded length change nothing.
    random = stream.words(examples[:, None], np.arange(input_ids.shape[1])[None, :])

    wanted = np.round(lengths * settings.masked_fraction).astype(np.int64)
    counts = np.minimum(np.clip(wanted, 1, width), candidates.sum(axis=1))
    # The candidates with the smallest random keys are a uniform choice without replacement.
    keys = np.where(candidates, random[..., 0], np.uint64(1) << np.uint64(32))
    order = np.argsort(keys, axis=1, kind="stable")[:, :width]
    if order.shape[1] < width:
        order = np.pad(order, ((0, 0), (0, width - order.shape[1])))
    real = np.arange(width)[None, :] < counts[:, None]
    positions = np.sort(np.where(real, order, input_ids.shape[1]), axis=1)
    positions = np.where(real, positions, 0)

    chosen = np.take_along_axis(random, positions[..., None], axis=1)
    labels = np.where(real, np.take_along_axis(input_ids, positions, axis=1), IGNORED)
    fate = chosen[..., 1] * 2.0**-32
    word = words[scale(chosen[..., 2] << np.uint64(32) | chosen[..., 3], len(words))]
    shown = np.where(
        fate < settings.mask_token_fraction,
        mask_id,
        np.where(fate < settings.mask_token_fraction + settings.random_token_fraction, word, labels),
    )
    masked = input_ids.copy()
    rows = np.broadcast_to(np.arange(len(input_ids))[:, None], positions.shape)
    masked[rows[real], positions[real]] = shown[real]
    return Masked(masked, positions, labels, counts)
