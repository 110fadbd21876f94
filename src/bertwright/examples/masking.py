"""Choosing the words to predict, as in the paper (section 3.1, task 1) and its `create_masked_lm_predictions`.

In each sequence round(15% of its tokens, [CLS] and [SEP] counted) positions are chosen, at least one, never [CLS] or
[SEP]. Of the chosen, 80% become [MASK], 10% a random word, 10% stay. The draw is keyed by epoch and example, so every
epoch masks anew.

Whole words and spans are chosen as the original's `do_whole_word_mask` does: in a random order, and each is left out
that would go over the number wanted, so that number is met, or missed by less than the shortest word left. What becomes
of a chosen token is drawn for each by itself in every mode.
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


# The key of what is never chosen: above all random ones.
_NEVER = np.uint64(1) << np.uint64(32)

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
    starts: NDArray[np.bool_],
    lengths: NDArray[np.int64],
    examples: NDArray[np.int64],
    settings: ExampleSettings,
    stream: Stream,
    mask_id: int,
    words: NDArray[np.int64],
) -> Masked:
    """Hide words of a batch.

    input_ids, candidates, starts: (batch, length), candidates true where a token may be chosen, starts where a word
    begins. lengths: (batch,) tokens with [CLS] and [SEP]. examples: (batch,) number of each example in its epoch.
    `stream` is keyed by seed and epoch.
    """
    width = settings.max_predictions
    # One block of four random words for each position, addressed by (example, position): the rest of the batch and the
    # padded length change nothing.
    random = stream.words(examples[:, None], np.arange(input_ids.shape[1])[None, :])

    wanted = np.round(lengths * settings.masked_fraction).astype(np.int64)
    counts = np.minimum(np.clip(wanted, 1, width), candidates.sum(axis=1))
    keys = np.where(candidates, random[..., 0], _NEVER)
    if settings.masked_unit == "token":
        # The candidates with the smallest random keys are a uniform choice without replacement.
        order = np.argsort(keys, axis=1, kind="stable")[:, :width]
    else:
        longest = settings.longest_span if settings.masked_unit == "span" else 1
        # Words of the stream past all positions: what becomes of a token has nothing to do with how long its span is.
        lanes = stream.words(examples[:, None], (1 << 32) + np.arange(input_ids.shape[1])[None, :])
        taken = choose_units(keys, candidates, starts, counts, span_lengths(lanes[..., 0], longest))
        counts = taken.sum(axis=1)
        order = np.argsort(~taken, axis=1, kind="stable")[:, :width]
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


def span_lengths(random: NDArray[np.uint64], longest: int) -> NDArray[np.int64]:
    """Words in the span that would begin at each position: n with a chance that falls as 1/n. random: 32 bits each."""
    chances = 1 / np.arange(1, longest + 1)
    return 1 + np.searchsorted(np.cumsum(chances / chances.sum())[:-1], random * 2.0**-32, side="right")


def choose_units(
    keys: NDArray[np.uint64],
    candidates: NDArray[np.bool_],
    starts: NDArray[np.bool_],
    counts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Choose words, or runs of them, until `counts` tokens are chosen; (batch, length), true where a token is.

    keys: random, the smallest is tried first. starts: where words begin. lengths: words in the run that would begin
    there. A run ends before a token that is no candidate. Where it does not fit any more, its first word is tried
    alone.
    """
    batch, length = keys.shape
    rows = np.arange(batch)
    # A token that is no candidate ends a word, and is one by itself.
    word = np.cumsum(starts | ~candidates | ~np.pad(candidates, ((0, 0), (1, 0)))[:, :-1], axis=1)
    begins = candidates & (np.diff(word, axis=1, prepend=0) > 0)
    # The last word that a run may reach: that of the position before the next one that is no candidate.
    stretch = np.cumsum(~candidates, axis=1)
    order = np.argsort(np.where(begins, keys, _NEVER), axis=1, kind="stable")
    taken = np.zeros_like(candidates)
    left = counts.copy()
    alone = np.ones_like(lengths)
    # Where all are tried alone from the start, a second time would find nothing that fits.
    for words in (lengths,) if np.array_equal(lengths, alone) else (lengths, alone):
        for rank in range(int(begins.sum(axis=1).max(initial=0))):
            place = order[:, rank]
            first = word[rows, place][:, None]
            within = candidates & (word >= first) & (word < first + words[rows, place][:, None])
            within &= stretch == stretch[rows, place][:, None]
            size = within.sum(axis=1)
            fits = begins[rows, place] & (size <= left) & ~(within & taken).any(axis=1)
            taken |= within & fits[:, None]
            left -= np.where(fits, size, 0)
            if not left.any():
                return taken
    # Not one word was short enough: the beginning of the first one drawn is better than nothing to predict.
    nothing = ~taken.any(axis=1) & (counts > 0)
    place = order[:, 0]
    offset = np.arange(length)[None, :] - place[:, None]
    return taken | (nothing[:, None] & candidates & (offset >= 0) & (offset < counts[:, None]))
