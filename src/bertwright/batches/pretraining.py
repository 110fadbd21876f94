"""Pretraining batches: numbered examples become tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from bertwright.examples.masking import IGNORED, mask_tokens, random_words
from bertwright.randomness import Stream
from bertwright.tokens.wordpiece import CONTINUATION

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from bertwright.examples.plan import Cursor, ExamplePlan
    from bertwright.tokens.vocabulary import Vocabulary

_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class PretrainingBatch:
    """Examples of masked words and next sentences, as tensors (all int64 but the mask).

    input_ids, token_type_ids: (batch, length). attention_mask: (batch, length) bool, false on padding.
    masked_positions: (batch, predictions); masked_labels: (batch * predictions,) the words that stood there, IGNORED
    where a shorter example has fewer. next_sentence_labels: (batch,), 0 where B follows A and 1 where it does not, as
    in the original code.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    masked_positions: Tensor
    masked_labels: Tensor
    next_sentence_labels: Tensor

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return int(self.attention_mask.sum())

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""
        return type(self)(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


class PretrainingBatches:
    """Builds the batch of any range of examples; a pure function of the plan and the numbers asked for."""

    def __init__(self, plan: ExamplePlan, vocabulary: Vocabulary, *, fixed_shape: bool = False) -> None:
        """`fixed_shape` pads every batch to the full length, as compiled models want it."""
        self.plan = plan
        self._fixed_shape = fixed_shape
        self._vocabulary = vocabulary
        self._words = random_words(vocabulary)
        self._begins_word = np.array([not piece.startswith(CONTINUATION) for piece in vocabulary.pieces])

    def build(self, cursor: Cursor, size: int) -> PretrainingBatch:
        """The `size` examples from `cursor` on; past the end of an epoch the next one begins."""
        settings = self.plan.settings
        longest = np.zeros(size, dtype=np.int64)
        input_ids = np.full((size, settings.max_length), self._vocabulary.pad_id, dtype=np.int64)
        token_types = np.zeros_like(input_ids)
        is_next = np.zeros(size, dtype=bool)
        masked_ids = np.empty_like(input_ids)
        positions = np.zeros((size, settings.max_predictions), dtype=np.int64)
        labels = np.full_like(positions, IGNORED)

        first = 0
        for run, count in self.plan.locate(cursor, size):
            rows = slice(first, first + count)
            self._fill(run, count, input_ids[rows], token_types[rows], longest[rows], is_next[rows])
            masked = mask_tokens(
                input_ids[rows],
                self._candidates(input_ids[rows], longest[rows]),
                self._begins_word[input_ids[rows]],
                longest[rows],
                run.index + np.arange(count),
                settings,
                Stream(self.plan.seed, "masking", self.plan.drawn_epoch(run.epoch)),
                self._vocabulary.mask_id,
                self._words,
            )
            masked_ids[rows], positions[rows], labels[rows] = masked.input_ids, masked.positions, masked.labels
            first += count

        # Padding only up to the longest example, in steps that keep the kernels' blocks full.
        length = min(settings.max_length, -(-int(longest.max()) // _ALIGNMENT) * _ALIGNMENT)
        if self._fixed_shape:
            length = settings.max_length
        return PretrainingBatch(
            input_ids=torch.from_numpy(masked_ids[:, :length].copy()),
            token_type_ids=torch.from_numpy(token_types[:, :length].copy()),
            attention_mask=torch.from_numpy(np.arange(length)[None, :] < longest[:, None]),
            masked_positions=torch.from_numpy(positions),
            masked_labels=torch.from_numpy(labels.flatten()),
            next_sentence_labels=torch.from_numpy((~is_next).astype(np.int64)),
        )

    def _fill(  # rows of one batch, filled in place
        self,
        cursor: Cursor,
        count: int,
        input_ids: NDArray[np.int64],
        token_types: NDArray[np.int64],
        lengths: NDArray[np.int64],
        is_next: NDArray[np.bool_],
    ) -> None:
        """Write [CLS] A [SEP] B [SEP], its segments, lengths and labels into the rows given."""
        cls_id, sep_id = self._vocabulary.cls_id, self._vocabulary.sep_id
        for shard, rows, pairs in self.plan.pairs(cursor, count):
            lengths[rows] = pairs.a_length + pairs.b_length + 3
            is_next[rows] = pairs.is_next
            for row, a, a_length, b, b_length in zip(
                rows.tolist(),
                pairs.a_start.tolist(),
                pairs.a_length.tolist(),
                pairs.b_start.tolist(),
                pairs.b_length.tolist(),
                strict=True,
            ):
                ids = input_ids[row]
                middle, end = a_length + 1, a_length + b_length + 2
                ids[0] = cls_id
                ids[1:middle] = shard.tokens[a : a + a_length]
                ids[middle] = sep_id
                ids[middle + 1 : end] = shard.tokens[b : b + b_length]
                ids[end] = sep_id
                token_types[row, middle + 1 : end + 1] = 1

    def _candidates(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where a word may be chosen: on text, not on [CLS], [SEP] or padding."""
        inside = np.arange(input_ids.shape[1])[None, :] < lengths[:, None]
        frame = (input_ids == self._vocabulary.cls_id) | (input_ids == self._vocabulary.sep_id)
        return inside & ~frame
