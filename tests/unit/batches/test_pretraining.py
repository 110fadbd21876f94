from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch

from bertwright.batches.pretraining import PretrainingBatch, PretrainingBatches
from bertwright.examples.masking import IGNORED
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from tests.support import letters, numbered, shard_of, shards_of

VOCABULARY = letters(26)
# Three documents: (a b)(c d e), (f g h)(i), (j k)(l m).
THREE = [[[5, 6], [7, 8, 9]], [[10, 11, 12], [13]], [[14, 15], [16, 17]]]


def three(*, fixed_shape: bool = False) -> PretrainingBatch:
    plan = ExamplePlan([shard_of(THREE)], ExampleSettings(max_length=12, short_fraction=0, too_long="trim"), seed=1)
    assert plan.size(0) == 4
    return PretrainingBatches(plan, VOCABULARY, fixed_shape=fixed_shape).build(Cursor(), 4)


def grid(rows: torch.Tensor) -> list[str]:
    return [" ".join(str(value) for value in row) for row in rows.long().tolist()]


def test_the_layout_of_a_batch() -> None:
    batch = three()
    pieces = VOCABULARY.pieces
    assert [" ".join(pieces[number] for number in row) for row in batch.input_ids.tolist()] == [
        "[CLS] f g [MASK] [SEP] l m [SEP]",
        "[CLS] l [SEP] k [SEP] [PAD] [PAD] [PAD]",
        "[CLS] [MASK] b [SEP] c d e [SEP]",
        "[CLS] j [MASK] [SEP] f g h [SEP]",
    ]
    assert grid(batch.token_type_ids) == [
        "0 0 0 0 0 1 1 1",
        "0 0 0 1 1 0 0 0",
        "0 0 0 0 1 1 1 1",
        "0 0 0 0 1 1 1 1",
    ]
    assert grid(batch.attention_mask) == [
        "1 1 1 1 1 1 1 1",
        "1 1 1 1 1 0 0 0",
        "1 1 1 1 1 1 1 1",
        "1 1 1 1 1 1 1 1",
    ]
    # 15% of 12 is 2 words at most; of 8 it is 1, so the second place of each row is empty.
    assert grid(batch.masked_positions) == ["3 0", "3 0", "1 0", "2 0"]
    hidden = [pieces[number] if number != IGNORED else "-" for number in batch.masked_labels.tolist()]
    assert " ".join(hidden) == "h - m - a - k -"  # in row 2 a random word, k, stands where m stood
    assert batch.next_sentence_labels.tolist() == [1, 0, 0, 1]
    assert batch.tokens == 29
    kinds = {name.name: getattr(batch, name.name).dtype for name in fields(batch)}
    assert kinds.pop("attention_mask") is torch.bool
    assert set(kinds.values()) == {torch.int64}


def test_a_fixed_shape_is_the_same_batch_with_more_padding() -> None:
    loose, fixed = three(), three(fixed_shape=True)
    assert fixed.input_ids.shape == (4, 12)
    assert torch.equal(fixed.input_ids[:, :8], loose.input_ids)
    assert (fixed.input_ids[:, 8:] == VOCABULARY.pad_id).all()
    assert not fixed.attention_mask[:, 8:].any()
    assert torch.equal(fixed.masked_labels, loose.masked_labels)


# Law 1: an example is the same whatever it is built together with.

RANDOM = np.random.default_rng(3)
LENGTHS = [RANDOM.integers(1, 12, size=RANDOM.integers(1, 6)).tolist() for _ in range(80)]
DOCUMENTS = [[[5 + token % 26 for token in part] for part in document] for document in numbered(LENGTHS)]
SHARDS = shards_of(DOCUMENTS, 4)  # 20 shards: windows of 8, 8 and 4


def builder() -> PretrainingBatches:
    return PretrainingBatches(ExamplePlan(SHARDS, ExampleSettings(max_length=24), seed=5), VOCABULARY, fixed_shape=True)


def rows(batch: PretrainingBatch) -> list[tuple[object, ...]]:
    size = len(batch.input_ids)
    columns = [getattr(batch, field.name).reshape(size, -1).tolist() for field in fields(batch)]
    return list(zip(*columns, strict=True))


def test_a_row_depends_on_its_number_alone() -> None:
    one = builder()
    total = one.plan.size(0) + 40
    straight = rows(one.build(Cursor(), total))
    assert straight[one.plan.size(0) :] != straight[:40]
    for size in (1, 16, 33):
        other, found = builder(), []
        for start in range(0, total, size):
            found += rows(other.build(other.plan.advance(Cursor(), start), size))
        assert found[:total] == straight
    other = builder()
    for start in np.random.default_rng(0).integers(0, total - 8, size=40).tolist():
        assert rows(other.build(other.plan.advance(Cursor(), start), 8)) == straight[start : start + 8]


def test_the_same_example_is_masked_anew_in_the_next_epoch() -> None:
    one = builder()
    first, second = (one.build(Cursor(epoch), 100) for epoch in (0, 1))
    assert not torch.equal(first.masked_positions, second.masked_positions)
