"""The expected values are what the official scripts gave (evaluate-v1.1.py and evaluate-v2.0.py of rajpurkar's SQuAD).

The scripts are not ours to copy. Besides the questions below, they and these functions agreed on 400 random sets.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.metrics.squad import exact_match, normalise, squad2_scores, squad_scores, token_f1

# Predicted, gold, and (exact match, F1) by the script of 1.1. That of 2.0 gives the same but where a third is named.
TABLE = [
    ("the Eiffel Tower", ["Eiffel Tower"], (1, 1)),
    ("Eiffel  tower!", ["The Eiffel Tower", "a tower in Paris"], (1, 1)),
    ("in Paris, France", ["Paris", "France, Paris"], (0, 0.8)),
    ("new new york", ["new york new york"], (0, 6 / 7)),  # repeated words count as often as both have them
    ("An apple a day", ["apple day", "day"], (1, 1)),
    ("$1,000", ["1000 dollars"], (0, 2 / 3)),
    ("rock-n-roll", ["rock n roll", "rocknroll"], (1, 1)),
    ("a.m.", ["am"], (1, 1)),
    ("A-team", ["team"], (0, 0)),  # ateam: the hyphen goes before the article can
    ("theatre", ["the atre"], (0, 0)),
    ("one\u00a0two\tthree\n", ["one two three"], (1, 1)),
    ("", ["Paris"], (0, 0)),
    ("Paris", [""], (0, 0)),
    ("the", ["a"], (1, 0, 1)),  # articles only
    ("", ["an"], (1, 0, 1)),
    ("!?", ["the"], (1, 0, 1)),
    ("“Paris”", ["Paris"], (0, 0)),  # only ASCII punctuation goes
    ("Beyoncé’s", ["Beyoncé's"], (0, 0)),
    ("ÉCOLE", ["école"], (1, 1)),
    ("İstanbul", ["istanbul"], (0, 0)),  # lower-cased to two code points
    ("Straße", ["STRASSE"], (0, 0)),
    ("２０２６", ["2026"], (0, 0)),
]


@pytest.mark.parametrize(("predicted", "golds", "expected"), TABLE)
def test_scores_are_those_of_the_scripts(predicted: str, golds: list[str], expected: tuple[float, ...]) -> None:
    exact, f1 = expected[:2]
    assert exact_match(predicted, golds) == exact
    assert token_f1(predicted, golds) == pytest.approx(f1)
    assert squad_scores([predicted], [golds]) == pytest.approx({"exact_match": exact, "f1": f1})
    second = squad2_scores([predicted], [golds])
    assert (second["exact_match"], second["f1"]) == pytest.approx((exact, expected[-1]))


def test_normalise() -> None:
    assert normalise("  The “Cat” sat, on\tAN (old) mat. ") == "“cat” sat on old mat"
    assert normalise("the-end a.n") == "theend"  # a.n has become an article


def test_means_over_questions() -> None:
    assert squad_scores(["Paris", "the Seine", "1889"], [["Paris"], ["Seine river", "river"], ["1887"]]) == {
        "exact_match": pytest.approx(1 / 3),
        "f1": pytest.approx((1 + 2 / 3 + 0) / 3),
    }


QUESTIONS: list[tuple[str, list[str], float]] = [
    ("Paris", ["Paris"], -5.0),
    ("", ["the"], -3.0),  # counts as answerable, and "" is right
    ("Seine river", ["the Seine"], -2.0),
    ("Orsay", ["Louvre"], 1.0),
    ("1889", [], 3.0),
    ("", [], 4.0),
    ("Rhine", ["Rhine"], 6.0),
]


def test_unanswerable_questions_and_thresholds() -> None:
    predicted, golds, odds = zip(*QUESTIONS, strict=True)
    # From "" everywhere, 2 right: exact 3 and 4 by the odds -5 and -3; F1 also 2/3 more at -2; then 3 costs one, and 6
    # only brings it back.
    assert squad2_scores(predicted, golds, null_odds=odds) == pytest.approx(
        {
            "exact_match": 4 / 7,
            "f1": (4 + 2 / 3) / 7,
            "has_answer_exact": 3 / 5,
            "has_answer_f1": (3 + 2 / 3) / 5,
            "no_answer_accuracy": 1 / 2,
            "best_exact": 4 / 7,
            "best_exact_threshold": -3.0,
            "best_f1": (4 + 2 / 3) / 7,
            "best_f1_threshold": -2.0,
        }
    )


def test_without_odds_there_is_no_threshold() -> None:
    predicted, golds, _ = zip(*QUESTIONS, strict=True)
    assert [name for name in squad2_scores(predicted, golds) if "best" in name] == []


def test_a_share_of_no_questions_is_left_out() -> None:
    assert squad2_scores(["Paris"], [["Paris"]]) == {
        "exact_match": 1.0,
        "f1": 1.0,
        "has_answer_exact": 1.0,
        "has_answer_f1": 1.0,
    }
    assert squad2_scores(["the"], [[]]) == {"exact_match": 1.0, "f1": 1.0, "no_answer_accuracy": 1.0}


@pytest.mark.parametrize(
    ("predicted", "golds", "best", "threshold"),
    [
        # Among equal odds the script stops after the first question that helps, though no threshold parts the two.
        (["yes", "yes"], [["yes"], []], 1.0, 2.5),
        (["yes", "yes"], [[], ["yes"]], 0.5, 0.0),
        # "" is as right before the threshold as behind it.
        (["", "yes"], [[], ["yes"]], 1.0, 2.5),
        # Nothing beats "" everywhere.
        (["yes", "yes"], [[], []], 1.0, 0.0),
        # "the" is as good as "" in the scores, yet the script takes it for an answer here.
        (["the", "yes"], [[], ["yes"]], 0.5, 0.0),
    ],
)
def test_thresholds_as_in_the_script(
    predicted: list[str], golds: list[list[str]], best: float, threshold: float
) -> None:
    scores = squad2_scores(predicted, golds, null_odds=[2.5, 2.5])
    assert (scores["best_exact"], scores["best_exact_threshold"]) == (best, threshold)
    assert (scores["best_f1"], scores["best_f1_threshold"]) == (best, threshold)


def test_every_question_needs_a_prediction_and_odds() -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        squad_scores(["Paris"], [["Paris"], ["Rome"]])
    with pytest.raises(ValueError, match=r"zip\(\)"):
        squad2_scores(["Paris"], [["Paris"]], null_odds=[1.0, 2.0])


TEXT = st.lists(st.sampled_from(["the", "A", "Paris", "paris,", "new", "York", "-", "“x”", ""]), max_size=5).map(
    " ".join
)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_laws(predicted: str, golds: list[str], other: str) -> None:
    f1 = token_f1(predicted, golds)
    assert 0 <= f1 <= 1
    assert normalise(normalise(predicted)) == normalise(predicted)
    assert token_f1(predicted, [other]) == pytest.approx(token_f1(other, [predicted]))
    assert token_f1(predicted, [*golds, other]) == max(f1, token_f1(predicted, [other]))
    if exact_match(predicted, golds) and normalise(predicted):
        assert f1 == 1
    # An answer that normalises to nothing aside, 2.0 on answerable questions is 1.1.
    if all(normalise(gold) for gold in golds):
        assert squad2_scores([predicted], [golds]) == pytest.approx(
            {"exact_match": exact_match(predicted, golds), "f1": f1}
            | {"has_answer_exact": exact_match(predicted, golds), "has_answer_f1": f1}
        )
