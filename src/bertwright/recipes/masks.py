"""What masking does to a text, in every mode, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from bertwright.examples.masking import mask_tokens, random_words
from bertwright.examples.settings import ExampleSettings, MaskedUnit
from bertwright.randomness import Stream
from bertwright.text.chinese import Segmenter
from bertwright.tokens.segmented import segmented_pieces
from bertwright.tokens.tokenizer import Tokenizer

UNITS: tuple[MaskedUnit, ...] = get_args(MaskedUnit)


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text as a model would see it in one mode.

    `pieces` are those of the text, `shown` what stands there instead, the same where nothing was chosen; `chosen` are
    the places whose piece is to be told. `left_out` counts the pieces that an example has no room for.
    """

    unit: MaskedUnit
    pieces: tuple[str, ...]
    shown: tuple[str, ...]
    chosen: tuple[int, ...]
    left_out: int = 0


def masked_text(
    text: str,
    tokenizer: Tokenizer,
    settings: ExampleSettings,
    *,
    segmenter: Segmenter = "none",
    seed: int,
    epoch: int,
) -> MaskedText:
    """Mask the beginning of a text, as much as an example of these settings holds."""
    vocabulary = tokenizer.vocabulary
    found = segmented_pieces(tokenizer, [text], segmenter)
    ids, starts = (values[: settings.max_length - 2].tolist() for values in (found.ids, found.word_starts))
    framed = np.array([[vocabulary.cls_id, *ids, vocabulary.sep_id]])
    candidates = np.ones_like(framed, dtype=bool)
    candidates[0, [0, -1]] = False
    pieces = tokenizer.pieces(framed[0].tolist())
    masked = mask_tokens(
        framed,
        candidates,
        np.array([[True, *starts, True]]),
        np.array([framed.shape[1]]),
        np.zeros(1, dtype=np.int64),
        settings,
        Stream(seed, "masking", epoch),
        vocabulary.mask_id,
        random_words(vocabulary),
    )
    chosen = masked.positions[0, : masked.counts[0]] - 1
    shown = tokenizer.pieces(masked.input_ids[0, 1:-1].tolist())
    return MaskedText(
        settings.masked_unit, tuple(pieces[1:-1]), tuple(shown), tuple(chosen.tolist()), len(found.ids) - len(ids)
    )
