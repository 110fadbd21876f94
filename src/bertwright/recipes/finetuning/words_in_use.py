"""A model with the vectors of those pieces alone that the rows hold, for as long as a fine-tuning lasts.

Labelled rows hold a few thousand pieces of the vocabulary, and no gradient ever reaches the vector of another. Yet it
would be cleared, measured, clipped and moved by nothing in every step, and saved with every checkpoint: of a model of
six layers the word vectors are half of all weights. See decision 19.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from bertwright.heads.model import Bert
from bertwright.tasks.task import Item


class WordsInUse:
    """The pieces that items hold, numbered anew in the order of their ids."""

    def __init__(self, items: Iterable[Item], vocab_size: int, pad_id: int) -> None:
        held = np.zeros(vocab_size, dtype=bool)
        held[pad_id] = True
        for item in items:
            for window in item.windows:
                held[window.ids] = True
        self.ids = np.flatnonzero(held)
        self._numbers = np.cumsum(held, dtype=np.int32) - 1
        self.pad_id = int(self._numbers[pad_id])

    def renumbered(self, items: Sequence[Item]) -> list[Item]:
        """The items with the new numbers, as `narrow` makes the model read them."""
        return [
            replace(item, windows=tuple(replace(each, ids=self._numbers[each.ids]) for each in item.windows))
            for item in items
        ]

    def narrow(self, model: Bert) -> torch.Tensor:
        """Leave the model the vectors in use alone; returns the table of all, for `widen`."""
        table = model.encoder.embeddings.word.weight
        vectors = nn.Embedding.from_pretrained(table.detach()[self.ids], freeze=not table.requires_grad)
        model.encoder.embeddings.word = vectors
        return table.detach()

    def widen(self, model: Bert, table: torch.Tensor) -> None:
        """Give the model the whole table back, with the vectors in use as they are now."""
        learnt = model.encoder.embeddings.word.weight.detach()
        whole = table.to(learnt.device, copy=True)
        whole[self.ids] = learnt
        model.encoder.embeddings.word = nn.Embedding.from_pretrained(whole)
