from __future__ import annotations

import warnings

import pytest
import seqeval.metrics
from hypothesis import example, given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

from bertwright.metrics.classification import ClassScore
from bertwright.metrics.tagging import Entity, entities, kind_scores, tagging_scores


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", ""),
        ("O O O", ""),
        ("B-PER I-PER O B-LOC", "PER:0-2 LOC:3-4"),
        ("I-PER I-PER O", "PER:0-2"),  # I- at the beginning
        ("O I-PER", "PER:1-2"),
        ("B-PER I-LOC I-LOC", "PER:0-1 LOC:1-3"),  # another kind without B-
        ("B-PER B-PER", "PER:0-1 PER:1-2"),
        ("B-PER O I-PER", "PER:0-1 PER:2-3"),
        ("B-PER I-PER E-PER S-LOC", "PER:0-3 LOC:3-4"),
        ("S-PER S-PER I-PER", "PER:0-1 PER:1-2 PER:2-3"),
        ("E-PER E-PER", "PER:0-1 PER:1-2"),
        ("B-PER E-LOC", "PER:0-1 LOC:1-2"),
        ("B-ORG-CO I-ORG-CO I-ORG", "ORG-CO:0-2 ORG:2-3"),  # hyphens in the kind
        ("B I O I", "_:0-2 _:3-4"),
        ("B- I-", "_:0-2"),
    ],
)
def test_entities(tags: str, expected: str) -> None:
    assert " ".join(f"{kind}:{start}-{end}" for kind, start, end in entities(tags.split())) == expected


def test_scores_by_hand() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"], ["O"]]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "I-LOC"], ["S-ORG"]]
    # Three in the gold, four found, one of them right; words: 3 + 1 + 0 of 7.
    assert tagging_scores(gold, predicted) == {
        "precision": 1 / 4,
        "recall": 1 / 3,
        "f1": 2 / 7,
        "accuracy": 4 / 7,
    }
    kinds = kind_scores(gold, predicted)
    assert kinds == {
        "LOC": ClassScore(0.0, 0.0, 0.0, 2),
        "ORG": ClassScore(0.0, 0.0, 0.0, 0),
        "PER": ClassScore(1 / 2, 1.0, 2 / 3, 1),
    }
    assert list(kinds) == ["LOC", "ORG", "PER"]


def test_a_text_without_entities_scores_nothing() -> None:
    assert tagging_scores([["O", "O"]], [["O", "O"]]) == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 1}
    assert kind_scores([["O", "O"]], [["O", "O"]]) == {}


@pytest.mark.parametrize(("gold", "predicted"), [([["O"]], []), ([["O", "O"]], [["O"]])])
def test_each_word_needs_its_tag(gold: list[list[str]], predicted: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        tagging_scores(gold, predicted)


TAGS = st.sampled_from(
    ["O", *(f"{mark}{kind}" for mark in "BIES" for kind in ("-PER", "-LOC", "-A-B", "-A-C", "", "-"))]
)


@given(st.lists(TAGS, max_size=12))
def test_entities_are_those_of_seqeval(tags: list[str]) -> None:
    expected = [Entity(kind, start, end + 1) for kind, start, end in get_entities(tags)]
    assert entities(tags) == expected


@given(st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=8), min_size=1, max_size=5))
@example([[("O", "O")]])
@example([[("B-PER", "B-PER")], [("I-PER", "B-PER")]])  # an entity does not reach into the next sentence
def test_scores_are_those_of_seqeval(rows: list[list[tuple[str, str]]]) -> None:
    gold, predicted = [[[pair[side] for pair in row] for row in rows] for side in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of shares of nothing
        precision, recall, f1, support = precision_recall_fscore_support(gold, predicted, average=None)
        expected = {
            "precision": seqeval.metrics.precision_score(gold, predicted),
            "recall": seqeval.metrics.recall_score(gold, predicted),
            "f1": seqeval.metrics.f1_score(gold, predicted),
            "accuracy": seqeval.metrics.accuracy_score(gold, predicted),
        }
    assert tagging_scores(gold, predicted) == pytest.approx(expected, abs=1e-12)
    ours = list(kind_scores(gold, predicted).values())
    assert [score.support for score in ours] == list(support)
    for name, column in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert [getattr(score, name) for score in ours] == pytest.approx(list(column), abs=1e-12)
