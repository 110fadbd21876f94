"""Comparing two forms: what is the same, what is not, and what cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bertwright.batches.sequences import InputBatch
from bertwright.errors import ModelError
from bertwright.inference.engines.engine import Arrays
from bertwright.interchange.check import report
from bertwright.interchange.parity import compare
from bertwright.tokens.tokenizer import Tokenizer
from tests.support import letters

TEXTS = ["a b c", "", "d " * 30]


class Made:
    """An engine that says what it is told to say of each token."""

    form = "made"
    task = ""
    longest = 12

    def __init__(
        self, *, add: float = 0.0, name: str = "last_hidden_state", lower: bool = True, segments: int = 2
    ) -> None:
        tokenizer = Tokenizer(letters(), lowercase=lower)
        self.vocabulary = tokenizer.vocabulary
        self.ids = tokenizer.ids
        self.segments = segments
        self._add, self._name = add, name
        self.seen: list[InputBatch] = []

    def run(self, batch: InputBatch) -> Arrays:
        self.seen.append(batch)
        ids = batch.input_ids.numpy().astype(np.float32)
        # What stands at padding is nobody's business.
        said = np.where(batch.attention_mask.numpy(), ids + self._add, np.nan)
        values: NDArray[np.float32] = np.stack([said, -said], axis=-1)
        return {self._name: values if self._name != "sentence_embedding" else values[:, 0]}


def test_what_is_the_same_passes() -> None:
    found = compare(Made(), Made(), TEXTS, tolerance=0.0)
    assert found.passed
    assert [(each.worst, each.mean) for each in found.differences] == [(0.0, 0.0)]
    assert "PASS: worst difference 0.0e+00, tolerance 0" in report(found)


def test_texts_are_cut_and_stand_in_pairs_too() -> None:
    engine = Made()
    found = compare(engine, Made(), TEXTS, tolerance=0.0)
    lengths = sorted(int(row.sum()) for batch in engine.seen for row in batch.attention_mask)
    #  [CLS] [SEP]; a b c; both; the second text and the third in one window of 12, and the third in three of 10 each
    assert lengths == [2, 5, 6, 12, 12, 12, 12]
    assert found.tokens == sum(lengths)
    assert any(batch.token_type_ids.any() for batch in engine.seen)
    alone = Made(segments=1)
    compare(alone, Made(), TEXTS, tolerance=0.0)
    assert not any(batch.token_type_ids.any() for batch in alone.seen)


def test_a_difference_fails_where_it_is_greater_than_the_tolerance() -> None:
    found = compare(Made(), Made(add=0.25), TEXTS, tolerance=0.1)
    assert not found.passed
    assert (found.differences[0].worst, found.differences[0].mean) == (0.25, 0.25)
    assert report(found)[-1] == "FAIL: worst difference 2.5e-01, tolerance 0.1"
    assert compare(Made(), Made(add=0.25), TEXTS, tolerance=0.25).passed
    assert found.as_json()["passed"] is False


def test_numbers_that_are_none_never_pass() -> None:
    assert not compare(Made(), Made(add=float("nan")), TEXTS, tolerance=1e9).passed
    found = compare(Made(), Made(add=float("nan")), TEXTS, tolerance=float("inf"))
    assert not found.passed
    assert found.as_json()["differences"][0]["worst"] is None
    assert found.as_json()["tolerance"] is None


def test_each_label_of_several_is_a_choice_of_its_own() -> None:
    one, other = Made(name="logits"), Made(name="logits", add=-6.0)
    one.task = other.task = "multilabel"
    # a is 5 and falls below 0, as does [SEP]; [CLS] is above it no more; b stays at 0, and c and d above.
    agreement = compare(one, other, ["d"], tolerance=100.0).differences[0].agreement
    assert agreement == pytest.approx(1 / 3)


def test_predictions_are_compared_by_what_they_choose() -> None:
    found = compare(Made(name="logits"), Made(name="logits", add=-8.0), TEXTS, tolerance=100.0)
    # a to c are 5 to 7, and d is 8: with 8 less the second score is the greater one, or as great, for all but [SEP]...
    assert found.differences[0].agreement is not None
    assert 0 < found.differences[0].agreement < 1
    assert compare(Made(name="logits"), Made(name="logits"), TEXTS, tolerance=0.0).differences[0].agreement == 1
    vectors = compare(Made(name="sentence_embedding"), Made(name="sentence_embedding"), TEXTS, tolerance=0.0)
    assert vectors.differences[0].least_cosine == pytest.approx(1)


def test_other_tokens_fail_and_are_told() -> None:
    found = compare(Made(), Made(lower=False), ["a", "A b"], tolerance=1e9)
    assert (found.passed, found.unlike) == (False, "A b")
    assert found.differences == [], "nothing was run: one of the two might not know the tokens of the other"
    assert report(found)[-2:] == ["  tokens differ, first of: 'A b'", "FAIL: the tokens differ, tolerance 1e+09"]


def test_two_that_say_different_things() -> None:
    with pytest.raises(ModelError, match="the one says logits, the other last_hidden_state: there is nothing to comp"):
        compare(Made(name="logits"), Made(), TEXTS, tolerance=0.0)
