"""What tasks choose on dev and show of their answers, with probabilities that a reader can follow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bertwright.batches.windows import Lengths
from bertwright.metrics.classification import ClassScore
from bertwright.tasks.answer import Answered, AnswerTask
from bertwright.tasks.classify import Classified, Classify
from bertwright.tasks.embed import Embed, Embedded
from bertwright.tasks.multilabel import Labelled, Multilabel
from bertwright.tasks.questions import Answer, Question
from bertwright.tasks.regress import Measured, Regress
from bertwright.tasks.rows import Row
from bertwright.tasks.showing import worst_first
from bertwright.tasks.tag import Tag, Tagged, TaggedSpan
from bertwright.tasks.tagged_rows import TaggedRow
from bertwright.tasks.task import Item

LENGTHS = Lengths(max_length=16, overlap=4)
ABOUT = {"columns": ("text",), "label_column": "label", "lengths": LENGTHS}


def classifier(**more: object) -> Classify:
    return Classify("classify", labels=("cat", "dog"), **ABOUT, **more)  # type: ignore[arg-type]


def animals(labels: str) -> list[Row]:
    """c is a cat, d a dog."""
    names = {"c": "cat", "d": "dog"}
    return [Row((f"text {number}",), names[one], f"dev:{number}") for number, one in enumerate(labels, 1)]


def answers(task: Classify, *cat: float) -> list[Classified]:
    """Those of a model that gives `cat` these probabilities before any temperature."""
    row = Row(("",), None, "")
    return [task.decode(row, Item(()), [np.log(np.array([each, 1 - each]))]) for each in cat]


def test_the_temperature_says_how_often_it_is_right() -> None:
    task, rows = classifier(calibrate=True), animals("ccccccdddd")
    tuned = task.tuned(rows, answers(task, *[0.9] * 10))
    assert tuned.temperature == pytest.approx(math.log(0.9 / 0.1) / math.log(0.6 / 0.4))
    assert answers(tuned, 0.9)[0].probabilities["cat"] == pytest.approx(0.6)
    assert tuned.record()["temperature"] == tuned.temperature
    assert tuned.chosen == ("probabilities are those of the temperature 5.419, which fits the 10 dev rows best",)
    assert task.temperature == 1
    assert classifier().tuned(rows, answers(task, *[0.9] * 10)).temperature == 1


def test_no_temperature_is_told_by_rows_that_are_all_right() -> None:
    task = classifier(calibrate=True)
    tuned = task.tuned(animals("cd"), answers(task, 0.9, 0.2))
    assert tuned.temperature == 1
    assert tuned.chosen == ("every dev row was answered right, so that no temperature can be told; it stays as it is",)


def test_a_temperature_at_the_end_of_its_range_is_none() -> None:
    """The surer the answer, the wronger: the scores say less than nothing."""
    task = classifier(calibrate=True)
    tuned = task.tuned(animals("dddccd"), answers(task, 0.9, 0.9, 0.9, 0.1, 0.1, 0.2))
    assert tuned.temperature == 1
    assert tuned.chosen == ("no temperature was chosen: what fits the 6 dev rows best lies above 20",)


@pytest.mark.parametrize("calibrate", [False, True])
def test_the_threshold_brings_the_accuracy_that_was_wanted(calibrate: bool) -> None:
    task, rows = classifier(calibrate=calibrate, abstain_accuracy=0.75), animals("cccdd")
    given = (0.99, 0.98, 0.97, 0.96, 0.95)
    tuned = task.tuned(rows, answers(task, *given))
    kept = answers(tuned, *given)
    assert [each.label for each in kept] == ["cat", "cat", "cat", "cat", None]
    scores = tuned.scores(rows, kept)
    assert (scores["coverage"], scores["accuracy_where_sure"]) == (0.8, 0.75)
    told = "given: to 80.0% of the dev rows, of which 75.0% are right"
    assert tuned.chosen[-1].endswith(told)
    if not calibrate:
        assert tuned.abstain_below == pytest.approx(0.955)


def test_an_accuracy_out_of_reach_sets_no_threshold() -> None:
    task = classifier(abstain_accuracy=0.9)
    tuned = task.tuned(animals("dc"), answers(task, 0.9, 0.8))
    assert tuned.abstain_below == 0
    assert tuned.chosen == (
        "no threshold brings the accuracy to 90.0%: of the surest answers 0.0% are right; a label is always given",
    )


def test_an_accuracy_that_is_there_needs_no_threshold() -> None:
    task = classifier(abstain_accuracy=0.5)
    tuned = task.tuned(animals("cd"), answers(task, 0.9, 0.8))
    assert tuned.abstain_below == 0
    assert tuned.chosen == ("all answers together are right in 50.0% already; a label is always given",)


def test_a_classifier_shows_its_classes_and_its_faults() -> None:
    task, rows = classifier(), animals("ccdd")
    found = task.showing(rows, answers(task, 0.8, 0.4, 0.9, 0.3))
    assert found.confusion is not None
    assert found.confusion.tolist() == [[1, 1], [1, 1]]
    assert found.classes == {"cat": ClassScore(0.5, 0.5, 0.5, 2), "dog": ClassScore(0.5, 0.5, 0.5, 2)}
    assert found.sure is not None
    assert found.right is not None
    assert found.sure.tolist() == pytest.approx([0.8, 0.6, 0.9, 0.7])
    assert found.right.tolist() == [True, False, False, True]
    first, second = worst_first(found.faults)
    assert first.row == {"where": "dev:3", "text": "text 3"}
    assert first.answer == {
        "gold": "dog",
        "predicted": "cat",
        "probability": pytest.approx(0.9),
        "probability_of_gold": pytest.approx(0.1),
    }
    assert first.loss == pytest.approx(-math.log(0.1))
    assert second.row["where"] == "dev:2"


def test_a_fault_of_a_classifier_that_abstains_says_whether_it_was_given() -> None:
    task = classifier(abstain_below=0.75)
    found = task.showing(animals("dd"), answers(task, 0.7, 0.8))
    assert [fault.answer["given"] for fault in found.faults] == [False, True]


def test_several_labels_show_what_is_missing_and_what_is_too_many() -> None:
    task = Multilabel(labels=("red", "blue", "old"), **ABOUT)  # type: ignore[arg-type]
    rows = [Row(("one",), None, "dev:1", labels=("red", "old")), Row(("two",), None, "dev:2", labels=("blue",))]
    given = [
        Labelled(("red", "blue"), {"red": 0.9, "blue": 0.8, "old": 0.4}, 0),
        Labelled(("blue",), {"blue": 0.7, "old": 0.2, "red": 0.1}, 0),
    ]
    found = task.showing(rows, given)
    assert found.classes["old"] == ClassScore(0, 0, 0, 1)
    assert found.classes["blue"] == ClassScore(0.5, 1, 2 / 3, 1)
    (fault,) = found.faults
    assert fault.row == {"where": "dev:1", "text": "one"}
    assert fault.answer == {
        "gold": ["red", "old"],
        "predicted": ["red", "blue"],
        "missing": ["old"],
        "too_many": ["blue"],
        "probabilities": {"old": 0.4, "blue": 0.8},
    }
    assert fault.loss == pytest.approx(-(math.log(0.9) + math.log(0.2) + math.log(0.4)) / 3)
    assert found.sure is not None
    assert found.right is not None
    assert found.sure.tolist() == [0.9, 0.8, 0.4, 0.1, 0.7, 0.2]
    assert found.right.tolist() == [True, False, True, False, True, False]


def test_numbers_are_wrong_by_their_distance() -> None:
    task = Regress(**ABOUT)  # type: ignore[arg-type]
    rows = [Row(("one",), None, "dev:1", score=2.0), Row(("two",), None, "dev:2", score=3.0)]
    found = task.showing(rows, [Measured(2.5, 0), Measured(1.0, 0)])
    assert [(fault.loss, fault.answer) for fault in worst_first(found.faults)] == [
        (2.0, {"gold": 3.0, "predicted": 1.0}),
        (0.5, {"gold": 2.0, "predicted": 2.5}),
    ]


EAST, NORTH = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)


def test_vectors_are_wrong_by_what_their_cosine_should_be() -> None:
    task = Embed(columns=("text_a", "text_b"), label_column="score", lengths=LENGTHS, top=5)
    rows = [Row(("a", "b"), None, "dev:1", score=5.0), Row(("c", "d"), None, "dev:2", score=5.0)]
    found = task.showing(rows, [Embedded((EAST, EAST), 0), Embedded((EAST, NORTH), 0)])
    (fault,) = found.faults
    assert fault.row == {"where": "dev:2", "text_a": "c", "text_b": "d"}
    assert (fault.loss, fault.answer) == (1.0, {"gold": 5.0, "similarity": 0.0})
    assert found.gold is not None
    assert found.measured is not None
    assert (found.gold.tolist(), found.measured.tolist()) == ([5, 5], [5, 0])


def test_vectors_without_scores_are_wrong_where_another_text_is_nearer() -> None:
    task = Embed(columns=("text_a", "text_b"), lengths=LENGTHS)
    rows = [Row(("a", "b"), None, "dev:1"), Row(("c", "d"), None, "dev:2")]
    found = task.showing(rows, [Embedded((EAST, EAST), 0), Embedded((EAST, NORTH), 0)])
    (fault,) = found.faults
    assert fault.row["where"] == "dev:2"
    assert fault.answer == {"predicted": "b", "similarity": 0.0, "similarity_of_predicted": 1.0}
    assert fault.loss == 1.0


def test_a_tagger_shows_its_kinds_and_the_sentences_with_wrong_tags() -> None:
    task = Tag(labels=("O", "B-per", "I-per"), lengths=LENGTHS)
    words = ("Ada", "Lovelace", "wrote")
    rows = [TaggedRow(words, ("B-per", "I-per", "O"), "dev:1"), TaggedRow(words, ("B-per", "I-per", "O"), "dev:5")]
    whole = TaggedSpan("per", 0, 12, "Ada Lovelace", (0, 2), 0.9)
    half = TaggedSpan("per", 0, 3, "Ada", (0, 1), 0.6)
    found = task.showing(
        rows,
        [
            Tagged(words, ("B-per", "I-per", "O"), (whole,), "Ada Lovelace wrote"),
            Tagged(words, ("B-per", "O", "O"), (half,), "Ada Lovelace wrote"),
        ],
    )
    assert found.classes == {"per": ClassScore(0.5, 0.5, 0.5, 2)}
    assert found.sure is not None
    assert found.right is not None
    assert (found.sure.tolist(), found.right.tolist()) == ([0.9, 0.6], [True, False])
    (fault,) = found.faults
    assert fault.loss == 1
    assert fault.row == {"where": "dev:5", "words": ["Ada", "Lovelace", "wrote"]}
    assert fault.answer == {"gold": ["B-per", "I-per", "O"], "predicted": ["B-per", "O", "O"]}


def test_questions_show_what_an_answer_lacks_of_a_full_f1() -> None:
    task = AnswerTask(lengths=LENGTHS, metric="squad", null_threshold=0.0)

    def question(*golds: str) -> Question:
        return Question("q", "Where?", "By the old sea.", tuple(Answer(gold, 0) for gold in golds), "dev:1")

    def answered(text: str) -> Answered:
        return Answered(text, None, None, 0.0, 0.5, 0.0, (), 0)

    rows = [question("the old sea"), question("old sea"), question(), question()]
    found = task.showing(rows, [answered("the sea"), answered("the old sea"), answered(""), answered("sea")])
    assert found.right is not None
    assert found.right.tolist() == [False, True, True, False]
    assert [fault.loss for fault in found.faults] == [pytest.approx(1 / 3), 1.0]
    assert found.faults[1].answer == {"gold": [], "predicted": "sea", "start": None, "probability": 0.5}
    assert found.faults[0].row["context"] == "By the old sea."
