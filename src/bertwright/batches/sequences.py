"""Windows side by side as padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from bertwright.batches.windows import Window


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
    """What a step of fine-tuning learns from.

    owners: (windows,) int64, which of the batch's items a window belongs to, counted from 0 without gaps. targets: as
    the task has them. counts: what the means of its losses are over.
    """

    inputs: InputBatch
    owners: Tensor
    targets: tuple[Tensor, ...]
    counts: dict[str, float]

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return self.inputs.tokens

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""
        targets = tuple(target.to(device) for target in self.targets)
        return type(self)(self.inputs.to(device), self.owners.to(device), targets, self.counts)


def pad(windows: Sequence[Window], pad_id: int) -> InputBatch:
    """Windows side by side, padded to the longest."""
    shape = len(windows), max(map(len, windows))
    ids = np.full(shape, pad_id, dtype=np.int64)
    segments = np.zeros(shape, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.bool_)
    for row, window in enumerate(windows):
        size = len(window)
        ids[row, :size] = window.ids
        segments[row, window.second : size] = 1
        mask[row, :size] = True
    return InputBatch(torch.from_numpy(ids), torch.from_numpy(segments), torch.from_numpy(mask))


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
