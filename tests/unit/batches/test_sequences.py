from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.batches.sequences import Framed, by_length, frame, frame_ids, pad
from bertwright.tokens.tokenizer import Tokenizer
from tests.support import PETS

TOKENIZER = Tokenizer(PETS)
CLS, SEP = PETS.cls_id, PETS.sep_id


def shown(framed: Framed) -> str:
    return " ".join(PETS.pieces[number] for number in framed.ids)


def test_a_text_and_a_pair() -> None:
    text = frame(TOKENIZER, ["The cats sat"], 16)
    assert shown(text) == "[CLS] the cat ##s sat [SEP]"
    assert text.segments == [0, 0, 0, 0, 0, 0]
    pair = frame(TOKENIZER, ["The cats", "dog ran"], 16)
    assert shown(pair) == "[CLS] the cat ##s [SEP] dog ran [SEP]"
    assert pair.segments == [0, 0, 0, 0, 0, 1, 1, 1]
    assert (text.cut, pair.cut) == (0, 0)
    assert shown(frame(TOKENIZER, [""], 16)) == "[CLS] [SEP]"
    assert shown(frame(TOKENIZER, ["[SEP] cat", ""], 16)) == "[CLS] [UNK] [UNK] [UNK] cat [SEP] [SEP]"


def test_what_does_not_fit_is_cut_and_counted() -> None:
    text = frame(TOKENIZER, ["the cat sat the dog ran"], 6)
    assert shown(text) == "[CLS] the cat sat the [SEP]"
    assert text.cut == 2
    pair = frame(TOKENIZER, ["the cat sat home", "the dog"], 7)
    assert shown(pair) == "[CLS] the cat [SEP] the dog [SEP]"
    assert pair.cut == 2


@given(st.integers(0, 40), st.integers(0, 40), st.integers(3, 40))
def test_a_pair_is_cut_as_by_the_loop_of_the_original(a: int, b: int, max_length: int) -> None:
    first, second = list(range(100, 100 + a)), list(range(200, 200 + b))
    framed = frame_ids(TOKENIZER, [first, second], max_length)
    kept_a, kept_b = list(first), list(second)
    while len(kept_a) + len(kept_b) > max_length - 3:
        (kept_a if len(kept_a) > len(kept_b) else kept_b).pop()
    assert framed.ids == [CLS, *kept_a, SEP, *kept_b, SEP]
    assert framed.segments == [0] * (len(kept_a) + 2) + [1] * (len(kept_b) + 1)
    assert framed.cut == a + b - len(kept_a) - len(kept_b)
    assert (first, second) == (list(range(100, 100 + a)), list(range(200, 200 + b)))  # the caller's lists are whole


def test_padding() -> None:
    batch = pad([Framed([2, 5, 3], [0, 0, 0]), Framed([2, 5, 3, 6, 3], [0, 0, 0, 1, 1])], pad_id=9)
    assert batch.input_ids.tolist() == [[2, 5, 3, 9, 9], [2, 5, 3, 6, 3]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]]
    assert batch.attention_mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert batch.tokens == 8


@pytest.mark.parametrize(
    ("lengths", "budget", "expected"),
    [
        ([3, 9, 5, 9], 18, [[1, 3], [2, 0]]),
        ([3, 9, 5, 9], 17, [[1], [3], [2, 0]]),
        ([100, 2], 10, [[0], [1]]),  # what is longer than the budget goes alone
        ([], 10, []),
        ([4, 4, 4], 8, [[0, 1], [2]]),
    ],
)
def test_batches_of_like_length(lengths: list[int], budget: int, expected: list[list[int]]) -> None:
    assert list(by_length(lengths, budget)) == expected


@given(st.lists(st.integers(1, 50)), st.integers(1, 200))
def test_every_row_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(by_length(lengths, budget))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[position] for position in batch) * len(batch) <= budget
