from __future__ import annotations

from bertwright.batches.random_rows import random_batch


def test_rows_are_full_and_their_labels_are_what_stands_there() -> None:
    batch = random_batch(50, rows=3, length=8, predictions=2)
    assert (batch.tokens, batch.counts) == (24, {"mlm": 6, "nsp": 3})
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 3
    assert batch.first_positions.tolist() == [[0]] * 3
    assert batch.next_sentence_labels.tolist() == [0, 1, 0]
    ids, places = batch.input_ids.tolist(), batch.masked_positions.tolist()
    assert batch.masked_labels.tolist() == [
        row[place] for row, those in zip(ids, places, strict=True) for place in those
    ]
    assert all(0 <= first < second < 8 for first, second in places)
    assert all(0 <= token < 50 for row in ids for token in row)
    assert random_batch(50, rows=3, length=8, predictions=2).input_ids.tolist() == ids
