"""Pretraining batches of random ids: for what is timed or counted, and learns nothing."""

from __future__ import annotations

import torch

from bertwright.batches.pretraining import PretrainingBatch


def random_batch(vocab_size: int, rows: int, length: int, predictions: int) -> PretrainingBatch:
    """Full rows of one pair each, with `predictions` words to guess in each row; the same ones in every call.

    Those words are not replaced by [MASK], and any place may be one: a step takes as long either way.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocab_size, (rows, length), generator=generator)
    places = torch.rand((rows, length), generator=generator).argsort(dim=1)[:, :predictions].sort(dim=1).values
    return PretrainingBatch(
        input_ids=ids,
        token_type_ids=(torch.arange(length) >= length // 2).long().expand(rows, length).contiguous(),
        attention_mask=torch.ones((rows, length), dtype=torch.int64),
        first_positions=torch.zeros((rows, 1), dtype=torch.int64),
        masked_positions=places,
        masked_labels=ids.gather(1, places).flatten(),
        next_sentence_labels=torch.arange(rows) % 2,
    )
