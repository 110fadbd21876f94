"""Pretraining batches: numbered examples become tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from bertwright.examples.masking import IGNORED, Masked, mask_tokens, random_words
from bertwright.randomness import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from bertwright.examples.plan import Cursor, ExamplePlan, PlacedPairs
    from bertwright.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class PretrainingBatch:
    """Examples of masked words and next sentences, as tensors of int64.

    input_ids, token_type_ids: (batch, length). attention_mask: (batch, length), 0 on padding, and on tokens the number
    of their sequence in its row, from 1. first_positions: (batch, sequences), where each [CLS] stands.
    masked_positions: (batch, predictions). masked_labels: (batch * predictions,) the words that stood there.
    next_sentence_labels: (batch * sequences,), 0 where B follows A and 1 where it does not, as in the original code.
    Labels are IGNORED where a row has fewer, and those of next sentences throughout where there are no pairs.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    first_positions: Tensor
    masked_positions: Tensor
    masked_labels: Tensor
    next_sentence_labels: Tensor

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return int((self.attention_mask > 0).sum())

    @property
    def counts(self) -> dict[str, int]:
        """What the mean of each loss is over: `mlm`, the hidden words, and `nsp`, the labelled pairs."""
        labels = {"mlm": self.masked_labels, "nsp": self.next_sentence_labels}
        return {name: int((values != IGNORED).sum()) for name, values in labels.items()}

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""
        return type(self)(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


class PretrainingBatches:
    """Builds the batch of any range of examples; a pure function of the plan and the numbers asked for."""

    def __init__(self, plan: ExamplePlan, vocabulary: Vocabulary, *, fixed_shape: bool = False) -> None:
        """`fixed_shape` leaves room for all sequences and predictions that rows can have, as compiled models want it.

        Rows have `max_length` places in any case: what dropout takes from a row may not depend on those beside it.
        """
        self.plan = plan
        self._fixed_shape = fixed_shape
        self._vocabulary = vocabulary
        self._words = random_words(vocabulary)

    def build(self, cursor: Cursor, size: int) -> PretrainingBatch:
        """The `size` examples from `cursor` on; past the end of an epoch the next one begins."""
        settings, pad_id = self.plan.settings, self._vocabulary.pad_id
        runs = []
        first = 0
        for run, count in self.plan.locate(cursor, size):
            runs.append(self._masked_run(run, count, first))
            first += count
        masked = Masked(*(np.concatenate([getattr(run.masked, f.name) for run in runs]) for f in fields(Masked)))
        parts = {f.name: np.concatenate([getattr(run, f.name) for run in runs]) for f in fields(_Run)[1:]}
        rows, slots, starts, lengths = (parts[name] for name in ("rows", "slots", "starts", "lengths"))

        # Sequences to rows: every token of every sequence has a place.
        real = np.arange(settings.max_length)[None, :] < lengths[:, None]
        place = (rows * settings.max_length + starts)[:, None] + np.arange(settings.max_length)[None, :]
        target = place[real]

        def laid_out(values: NDArray[np.int64], fill: int) -> NDArray[np.int64]:
            grid = np.full(size * settings.max_length, fill, dtype=np.int64)
            grid[target] = np.broadcast_to(values, real.shape)[real]
            return grid.reshape(size, settings.max_length)

        sequences = settings.max_sequences if self._fixed_shape else int(slots.max()) + 1
        first_positions = np.zeros((size, sequences), dtype=np.int64)
        next_sentence = np.full((size, sequences), IGNORED, dtype=np.int64)
        first_positions[rows, slots] = starts
        if settings.segments != "none":
            next_sentence[rows, slots] = ~parts["is_next"]
        positions, labels = self._predictions(masked, rows, starts, size)
        return PretrainingBatch(
            input_ids=_tensor(laid_out(masked.input_ids, pad_id)),
            token_type_ids=_tensor(laid_out(parts["token_types"], 0)),
            attention_mask=_tensor(laid_out(slots[:, None] + 1, 0)),
            first_positions=_tensor(first_positions),
            masked_positions=_tensor(positions),
            masked_labels=_tensor(labels.flatten()),
            next_sentence_labels=_tensor(next_sentence.flatten()),
        )

    def _predictions(
        self, masked: Masked, rows: NDArray[np.int64], starts: NDArray[np.int64], size: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hidden words by row: where they stand, and what they were, each (size, predictions)."""
        settings = self.plan.settings
        # Rows stand one after the other, and so do the sequences in a row, once they are sorted by row and start.
        order = np.lexsort((starts, rows))
        hidden = (np.arange(masked.positions.shape[1])[None, :] < masked.counts[:, None])[order]
        row = np.repeat(rows[order], masked.counts[order])
        each = np.bincount(row, minlength=size)
        column = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
        width = settings.max_row_predictions if self._fixed_shape else int(each.max())
        positions = np.zeros((size, width), dtype=np.int64)
        labels = np.full((size, width), IGNORED, dtype=np.int64)
        positions[row, column] = (masked.positions + starts[:, None])[order][hidden]
        labels[row, column] = masked.labels[order][hidden]
        return positions, labels

    def _masked_run(self, cursor: Cursor, count: int, first_row: int) -> _Run:
        """The sequences of a run of examples, each from place 0 on, with words hidden."""
        settings = self.plan.settings
        placed = self.plan.pairs(cursor, count)
        total = sum(len(each.rows) for each in placed)
        input_ids = np.full((total, settings.max_length), self._vocabulary.pad_id, dtype=np.int64)
        token_types = np.zeros_like(input_ids)
        word_starts = np.ones(input_ids.shape, dtype=np.bool_)
        first = 0
        for each in placed:
            mine = slice(first, first + len(each.rows))
            self._fill(each, input_ids[mine], token_types[mine], word_starts[mine])
            first += len(each.rows)
        lengths = np.concatenate([e.pairs.a_length + e.pairs.b_length for e in placed]) + settings.frame_tokens
        numbers = np.concatenate([each.numbers for each in placed])
        masked = mask_tokens(
            input_ids,
            self._candidates(input_ids, lengths),
            word_starts,
            lengths,
            numbers,
            settings,
            Stream(self.plan.seed, "masking", self.plan.drawn_epoch(cursor.epoch)),
            self._vocabulary.mask_id,
            self._words,
        )
        return _Run(
            masked,
            token_types,
            lengths,
            np.concatenate([each.rows for each in placed]) + first_row,
            np.concatenate([each.slots for each in placed]),
            np.concatenate([each.starts for each in placed]),
            np.concatenate([each.pairs.is_next for each in placed]),
        )

    def _fill(
        self,
        placed: PlacedPairs,
        input_ids: NDArray[np.int64],
        token_types: NDArray[np.int64],
        word_starts: NDArray[np.bool_],
    ) -> None:
        """Write [CLS] A [SEP] B [SEP], or [CLS] A [SEP], its segments and where its words begin into the rows given."""
        cls_id, sep_id = self._vocabulary.cls_id, self._vocabulary.sep_id
        shard, pairs, settings = placed.shard, placed.pairs, self.plan.settings
        for row, (a, a_length, b, b_length) in enumerate(
            zip(
                pairs.a_start.tolist(),
                pairs.a_length.tolist(),
                pairs.b_start.tolist(),
                pairs.b_length.tolist(),
                strict=True,
            )
        ):
            ids = input_ids[row]
            middle, end = a_length + 1, a_length + b_length + 2
            ids[0] = cls_id
            ids[1:middle] = shard.tokens[a : a + a_length]
            ids[middle] = sep_id
            if settings.masked_unit != "token":
                word_starts[row, 1:middle] = shard.word_starts(a, a_length)
            if settings.segments == "none":
                continue
            ids[middle + 1 : end] = shard.tokens[b : b + b_length]
            ids[end] = sep_id
            token_types[row, middle + 1 : end + 1] = 1
            if settings.masked_unit != "token":
                word_starts[row, middle + 1 : end] = shard.word_starts(b, b_length)

    def _candidates(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where a word may be chosen: on text, not on [CLS], [SEP] or padding."""
        inside = np.arange(input_ids.shape[1])[None, :] < lengths[:, None]
        frame = (input_ids == self._vocabulary.cls_id) | (input_ids == self._vocabulary.sep_id)
        return inside & ~frame


@dataclass(frozen=True, slots=True)
class _Run:
    """Masked sequences and their places in a batch; token_types: (sequences, length), the others (sequences,)."""

    masked: Masked
    token_types: NDArray[np.int64]
    lengths: NDArray[np.int64]
    rows: NDArray[np.int64]
    slots: NDArray[np.int64]
    starts: NDArray[np.int64]
    is_next: NDArray[np.bool_]


def _tensor(values: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
