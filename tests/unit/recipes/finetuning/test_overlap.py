from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bertwright.recipes.finetuning.overlap import overlap_of
from bertwright.tasks.questions import Answer, Question
from bertwright.tasks.rows import Row
from bertwright.tasks.tagged_rows import TaggedRow


def rows(*labelled: tuple[str, str]) -> list[Row]:
    return [Row((text,), label, f"rows:{number}") for number, (text, label) in enumerate(labelled, 1)]


TRAIN = rows(("good film", "yes"), ("Bad film", "no"), ("bad  film", "no"), ("so so", "yes"), ("so so", "no"))


def test_rows_are_met_again_by_their_texts() -> None:
    found = overlap_of(
        TRAIN, rows(("good film", "yes"), ("a new film", "no"), ("BAD\u00a0film ", "no"), ("ｓｏ so", "x"))
    )
    assert found.shared == (True, False, True, True)
    assert found.kept("abcd") == ["b"]
    assert found.record() == {
        "rows": 3,
        "share_of_dev": 0.75,
        "exact": 1,
        "other_label": 1,
        "repeated_in_train": 2,
        "disputed_in_train": 2,
    }
    assert list(found.told()) == [
        "dev rows that stand in train too: 3 (75.0%), with another label there: 1",
        "training rows that repeat an earlier one: 2; whose texts stand there with another label too: 2",
    ]


def test_a_label_that_one_of_the_repeated_rows_has_is_not_another() -> None:
    assert overlap_of(TRAIN, rows(("so so", "yes"), ("so so", "no"))).other_label == 0
    assert overlap_of(TRAIN, rows(("good film", "no"))).other_label == 1


def test_nothing_in_common_is_nothing_to_tell() -> None:
    found = overlap_of(rows(("one", "a"), ("two", "b")), rows(("three", "a")))
    assert list(found.told()) == []
    assert found.rows == 0


def test_texts_of_a_pair_stay_apart_and_in_order() -> None:
    train = [Row(("a b", "c"), "same", "1")]
    dev = [Row(pair, "same", "1") for pair in (("a b", "c"), ("c", "a b"), ("a", "b c"))]
    assert overlap_of(train, dev).shared == (True, False, False)


QUESTION = Question("1", "Who?", "Ada wrote it.", (Answer("Ada", 0),), "q:1")
LABELS = ("b", "a")


@pytest.mark.parametrize(
    ("train", "dev", "other"),
    [
        ([Row(("t",), None, "1", labels=("a", "b"))], [Row(("t",), None, "1", labels=LABELS)], 0),
        ([Row(("t",), None, "1", labels=("a",))], [Row(("t",), None, "1", labels=LABELS)], 1),
        ([Row(("t", "u"), None, "1", score=3.0)], [Row(("t", "u"), None, "1", score=4.0)], 1),
        ([Row(("t", "u"), None, "1")], [Row(("t", "u"), None, "1")], 0),
        ([TaggedRow(("In", "Rome"), ("O", "B-LOC"), "1")], [TaggedRow(("in", "Rome"), ("O", "B-LOC"), "1")], 0),
        ([TaggedRow(("In", "Rome"), ("O", "B-LOC"), "1")], [TaggedRow(("In", "Rome"), ("O", "O"), "1")], 1),
        ([QUESTION], [Question("9", "who?", "Ada wrote it.", (Answer("Ada", 0),), "q:2")], 0),
        ([QUESTION], [Question("9", "Who?", "Ada wrote it.", (), "q:2")], 1),
    ],
)
def test_every_kind_of_row_is_known(train: Sequence[Any], dev: Sequence[Any], other: int) -> None:
    found = overlap_of(train, dev)
    assert (found.rows, found.other_label) == (1, other)


def test_the_same_question_of_another_text_is_another_row() -> None:
    other = Question("1", "Who?", "Bob wrote it.", (Answer("Bob", 0),), "q:1")
    assert overlap_of([QUESTION], [other]).rows == 0
