"""Texts and pairs as padded batches: `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bertwright.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Framed:
    """One input: ids and segments, of the same length; `cut` counts the tokens that did not fit."""

    ids: list[int]
    segments: list[int]
    cut: int = 0


@dataclass(frozen=True, slots=True)
class InputBatch:
    """Padded inputs, each (batch, length): ids and segments int64, the mask bool and false on padding."""

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return int(self.attention_mask.sum())

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""
        return type(self)(self.input_ids.to(device), self.token_type_ids.to(device), self.attention_mask.to(device))


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """Inputs with a class each: labels (batch,) int64."""

    inputs: InputBatch
    labels: Tensor

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return self.inputs.tokens

    @property
    def counts(self) -> dict[str, int]:
        """What the mean of the loss is over."""
        return {"rows": len(self.labels)}

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""
        return type(self)(self.inputs.to(device), self.labels.to(device))


def frame(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> Framed:
    """A text or a pair of texts as the encoder wants it, cut to `max_length` tokens.

    A pair that is too long loses tokens at the end of its longer text, as in the original `run_classifier.py`.
    """
    return frame_ids(tokenizer, [tokenizer.ids(text) for text in texts], max_length)


def frame_ids(tokenizer: Tokenizer, parts: Sequence[list[int]], max_length: int) -> Framed:
    """The same from ids without special tokens."""
    vocabulary = tokenizer.vocabulary
    room = max_length - 1 - len(parts)
    kept = list(parts)
    total = sum(map(len, kept))
    if len(kept) == 1:
        kept = [kept[0][:room]]
    else:
        a, b = kept
        while len(a) + len(b) > room:
            # One slice instead of the original's one token at a time: down to the other's length, or to what is needed.
            over = len(a) + len(b) - room
            if len(a) > len(b):
                a = a[: len(a) - min(over, len(a) - len(b))]
            elif len(b) > len(a):
                b = b[: len(b) - min(over, len(b) - len(a))]
            else:
                a, b = a[: len(a) - over // 2], b[: len(b) - (over + 1) // 2]
        kept = [a, b]
    ids, segments = [vocabulary.cls_id], [0]
    for segment, part in enumerate(kept):
        ids += [*part, vocabulary.sep_id]
        segments += [segment] * (len(part) + 1)
    return Framed(ids, segments, total - sum(map(len, kept)))


def pad(sequences: Sequence[Framed], pad_id: int) -> InputBatch:
    """Sequences side by side, padded to the longest."""
    length = max(len(sequence.ids) for sequence in sequences)
    ids = torch.full((len(sequences), length), pad_id)
    segments = torch.zeros_like(ids)
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        size = len(sequence.ids)
        ids[row, :size] = torch.tensor(sequence.ids)
        segments[row, :size] = torch.tensor(sequence.segments)
        mask[row, :size] = True
    return InputBatch(ids, segments, mask)


def by_length(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Positions of `lengths` in batches of like length, longest first, each at most `token_budget` with its padding."""
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    batch: list[int] = []
    for position in order:
        if batch and lengths[batch[0]] * (len(batch) + 1) > token_budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
