from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.tasks.tag_schemes import BIO2, labels_of_tags, mend
from bertwright.tasks.tag_sequences import best_sequence, bio2_steps, log_probabilities

LABELS = ("O", "B-per", "I-per", "B-loc", "I-loc")


def best(rows: list[list[float]], labels: tuple[str, ...] = LABELS[:3]) -> list[str]:
    """The best sequence of words whose tags have these probabilities."""
    with np.errstate(divide="ignore"):
        scores = np.log(np.array(rows, dtype=np.float64).reshape(len(rows), len(labels)))
    return [labels[number] for number in best_sequence(scores, bio2_steps(labels))]


def test_what_may_follow_what() -> None:
    steps = bio2_steps(LABELS)
    assert steps.first.astype(int).tolist() == [1, 1, 0, 1, 0]
    assert steps.after.astype(int).tolist() == [
        # O  B-per I-per B-loc I-loc
        [1, 1, 0, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 1, 1],
        [1, 1, 0, 1, 1],
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Of the four, the last word may not be the I- that it would like to be.
        ([[0.1, 0.5, 0.4], [0.2, 0.2, 0.6], [0.6, 0.1, 0.3], [0.3, 0.2, 0.5]], "B-per I-per O O"),
        # The likelier the end, the more the beginning gives way.
        ([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]], "B-per I-per"),
        ([[0.6, 0.1, 0.3], [0.3, 0.2, 0.5]], "O O"),
        # A sentence does not begin with I-.
        ([[0.1, 0.2, 0.7]], "B-per"),
        ([[1.0, 0.0, 0.0], [0.0, 0.1, 0.9]], "O B-per"),
        ([], ""),
    ],
)
def test_by_hand(rows: list[list[float]], expected: str) -> None:
    assert best(rows) == expected.split()


@given(st.data())
def test_it_is_the_best_of_all_allowed_ones(data: st.DataObject) -> None:
    labels = LABELS[: data.draw(st.sampled_from([1, 3, 5]))]
    words = data.draw(st.integers(1, 4))
    scores = np.array(
        data.draw(st.lists(st.lists(st.floats(-9, 0), min_size=len(labels), max_size=len(labels)), min_size=words,
                           max_size=words))
    )  # fmt: skip
    allowed = [
        ways
        for ways in itertools.product(range(len(labels)), repeat=words)
        if mend(tags := [labels[number] for number in ways], BIO2) == (tuple(tags), 0)
    ]
    found = tuple(best_sequence(scores, bio2_steps(labels)).tolist())
    assert found in allowed
    sums = [scores[range(words), ways].sum() for ways in allowed]
    assert scores[range(words), found].sum() == pytest.approx(max(sums))


@given(st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y-z", "I-y-z"]), max_size=12))
def test_what_is_allowed_already_stays(tags: list[str]) -> None:
    tags = list(mend(tags, BIO2)[0])
    labels = labels_of_tags([["B-x", "B-y-z"]])
    scores = np.zeros((len(tags), len(labels)))
    scores[range(len(tags)), [labels.index(tag) for tag in tags]] = 0.1
    assert [labels[number] for number in best_sequence(scores, bio2_steps(labels))] == tags


def test_probabilities_of_great_scores_are_numbers() -> None:
    found = log_probabilities(np.array([[1e30, 0.0], [2.0, 2.0]], dtype=np.float32))
    assert np.exp(found).tolist() == [[1, 0], [pytest.approx(0.5), pytest.approx(0.5)]]
