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
    settings = ExampleSettings(max_length=12, short_fraction=0, too_long="trim", packed=False)
    plan = ExamplePlan([shard_of(THREE)], settings, seed=2)
    assert plan.size(0) == 4
    return PretrainingBatches(plan, VOCABULARY, fixed_shape=fixed_shape).build(Cursor(), 4)


def grid(rows: torch.Tensor) -> list[str]:
    return [" ".join(str(value) for value in row) for row in rows.long().tolist()]


def test_the_layout_of_a_batch() -> None:
    batch = three()
    pieces = VOCABULARY.pieces
    assert [" ".join(pieces[number] for number in row) for row in batch.input_ids.tolist()] == [
        "[CLS] [MASK] g h [SEP] i [SEP]" + 5 * " [PAD]",
        "[CLS] j k [SEP] l [MASK] [SEP]" + 5 * " [PAD]",
        "[CLS] [MASK] b [SEP] f g h [SEP]" + 4 * " [PAD]",
        "[CLS] c [MASK] [SEP] h [SEP]" + 6 * " [PAD]",
    ]
    assert grid(batch.token_type_ids) == [
        "0 0 0 0 0 1 1 0 0 0 0 0",
        "0 0 0 0 1 1 1 0 0 0 0 0",
        "0 0 0 0 1 1 1 1 0 0 0 0",
        "0 0 0 0 1 1 0 0 0 0 0 0",
    ]
    assert grid(batch.attention_mask) == [
        "1 1 1 1 1 1 1 0 0 0 0 0",
        "1 1 1 1 1 1 1 0 0 0 0 0",
        "1 1 1 1 1 1 1 1 0 0 0 0",
        "1 1 1 1 1 1 0 0 0 0 0 0",
    ]
    assert grid(batch.masked_positions) == ["1", "5", "1", "2"]  # 15% of 8, and of 6, is 1
    hidden = [pieces[number] if number != IGNORED else "-" for number in batch.masked_labels.tolist()]
    assert " ".join(hidden) == "f m a d"
    assert batch.next_sentence_labels.tolist() == [0, 0, 1, 1]
    assert batch.tokens == 28
    assert batch.first_positions.tolist() == [[0]] * 4
    assert {getattr(batch, field.name).dtype for field in fields(batch)} == {torch.int64}


def test_a_packed_batch() -> None:
    plan = ExamplePlan([shard_of(THREE)], ExampleSettings(max_length=16, short_fraction=0), seed=1)
    assert plan.size(0) == 2
    batch = PretrainingBatches(plan, VOCABULARY).build(Cursor(), 2)
    pieces = VOCABULARY.pieces
    assert [" ".join(pieces[number] for number in row) for row in batch.input_ids.tolist()] == [
        "[CLS] c d [MASK] [SEP] h [SEP] [CLS] f k [SEP] l m [SEP] [PAD] [PAD]",
        "[CLS] [MASK] b [SEP] j k l m [SEP] [CLS] f [MASK] h [SEP] i [SEP]",
    ]
    assert grid(batch.token_type_ids) == ["0 0 0 0 0 1 1 0 0 0 0 1 1 1 0 0", "0 0 0 0 1 1 1 1 1 0 0 0 0 0 1 1"]
    assert grid(batch.attention_mask) == ["1 1 1 1 1 1 1 2 2 2 2 2 2 2 0 0", "1 1 1 1 1 1 1 1 1 2 2 2 2 2 2 2"]
    assert batch.first_positions.tolist() == [[0, 7], [0, 9]]
    assert batch.masked_positions.tolist() == [[3, 8], [1, 11]]
    # In the first row a random word, f, stands where j was.
    assert [pieces[number] for number in batch.masked_labels.tolist()] == ["e", "j", "a", "g"]
    assert batch.next_sentence_labels.tolist() == [1, 0, 1, 0]


def test_packing_changes_no_sequence() -> None:
    """The same sequences with the same words hidden stand in the rows, each whole."""

    def sequences(*, packed: bool) -> list[tuple[object, ...]]:
        settings = ExampleSettings(max_length=24, packed=packed, masked_unit="whole_word")
        plan = ExamplePlan(SHARDS[:8], settings, seed=5)
        batch = PretrainingBatches(plan, VOCABULARY).build(Cursor(), plan.size(0))
        found = []
        for row in range(len(batch.input_ids)):
            for number in range(1, int(batch.attention_mask[row].max()) + 1):
                inside = batch.attention_mask[row] == number
                ids = batch.input_ids[row][inside].tolist()
                # What is hidden differs, being drawn by the number; so only the words that stand there are compared.
                hidden = dict(zip(batch.masked_positions[row].tolist(), labels_of(batch, row), strict=True))
                places = inside.nonzero().flatten().tolist()
                true = [hidden.get(place, token) for place, token in zip(places, ids, strict=True)]
                label = batch.next_sentence_labels.view(len(batch.input_ids), -1)[row, number - 1].item()
                found.append((tuple(true), tuple(batch.token_type_ids[row][inside].tolist()), label))
        return sorted(found)

    assert sequences(packed=True) == sequences(packed=False)


def labels_of(batch: PretrainingBatch, row: int) -> list[int]:
    labels = batch.masked_labels.view(len(batch.input_ids), -1)[row].tolist()
    # A place without a word is [CLS] at 0, whose id is put back.
    return [label if label != IGNORED else VOCABULARY.cls_id for label in labels]


def test_running_text_without_pairs() -> None:
    settings = ExampleSettings(max_length=16, short_fraction=0, segments="none", masked_fraction=0.01)
    plan = ExamplePlan([shard_of(THREE)], settings, seed=1)
    batch = PretrainingBatches(plan, VOCABULARY).build(Cursor(), plan.size(0))
    assert not batch.token_type_ids.any()
    assert (batch.next_sentence_labels == IGNORED).all()
    text = []
    for row in range(len(batch.input_ids)):
        ids = batch.input_ids[row].clone()
        hidden = batch.masked_labels.view(len(batch.input_ids), -1)
        real = hidden[row] != IGNORED
        ids[batch.masked_positions[row][real]] = hidden[row][real]
        text.append(" ".join(VOCABULARY.pieces[number] for number in ids[batch.attention_mask[row] > 0].tolist()))
    assert sorted(text) == ["[CLS] a b c d e [SEP] [CLS] f g h i [SEP]", "[CLS] j k l m [SEP]"]


def test_a_fixed_shape_leaves_room_for_more_predictions() -> None:
    loose, fixed = three(), three(fixed_shape=True)
    assert fixed.input_ids.shape == (4, 12)
    assert torch.equal(fixed.input_ids, loose.input_ids)
    assert torch.equal(fixed.attention_mask, loose.attention_mask)
    assert grid(fixed.masked_positions) == ["1 0", "5 0", "1 0", "2 0"]  # 15% of 12 are 2 words at most
    assert torch.equal(fixed.masked_labels[fixed.masked_labels != IGNORED], loose.masked_labels)


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
