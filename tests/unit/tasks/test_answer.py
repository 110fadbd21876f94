from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bertwright.batches.windows import Lengths
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import RowError
from bertwright.heads.model import Bert
from bertwright.tasks.answer import Answered, AnswerSpan, AnswerTask, metric_of
from bertwright.tasks.questions import Answer, Question
from bertwright.tasks.task import Item
from bertwright.tokens.tokenizer import Tokenizer
from tests.support import letters

TOKENIZER = Tokenizer(letters())
# 20 tokens of context, [CLS] and a question of one and two [SEP]: 8 of the context in a window, 3 of them shared.
CONTEXT = "a b c d e f g h i j k l m n o p q r s t"
SHORT = Lengths(max_length=12, overlap=3)


def asked(*answers: str, context: str = CONTEXT, question: str = "z", name: str = "q") -> Question:
    placed = tuple(Answer(text, context.index(text)) for text in answers)
    return Question(name, question, context, placed, "rows.jsonl:1")


def item_of(row: Question, lengths: Lengths = SHORT) -> Item:
    (item,) = AnswerTask(lengths=lengths).items([row], TOKENIZER)
    return item


def said_of(item: Item, **scores: tuple[float, float]) -> list[NDArray[np.float32]]:
    """Zeros, and for the letters that are named their scores as start and as end; `cls` is [CLS], all windows alike."""
    found = []
    for window in item.windows:
        said = np.zeros((len(window), 2), dtype=np.float32)
        for name, pair in scores.items():
            where = [0] if name == "cls" else np.flatnonzero(window.ids == TOKENIZER.vocabulary.ids[name])
            said[where] = pair
        found.append(said)
    return found


def test_each_window_is_taught_what_of_the_answer_lies_in_it() -> None:
    item = item_of(asked("h i", "a"))
    assert [window.ids[3:-1].tolist() for window in item.windows] == [
        TOKENIZER.ids(part) for part in ("a b c d e f g h", "f g h i j k l m", "k l m n o p q r", "m n o p q r s t")
    ]
    #                             h alone     [CLS] z [SEP] f g h i
    assert item.target.places == ((0, 0), (5, 6), (0, 0), (0, 0))
    assert item_of(asked("g h")).target.places == ((9, 10), (4, 5), (0, 0), (0, 0)), "both that see it learn it"
    assert item_of(asked()).target.places == ((0, 0),) * 4


def test_an_answer_longer_than_a_window_is_told() -> None:
    task = AnswerTask(lengths=SHORT, longest=3)
    items = task.items([asked("b c d e f g h i j"), asked("b c d e"), asked("b"), asked()], TOKENIZER)
    assert set(items[0].target.places) == {(0, 0)}
    assert task.remarks(items) == [
        "1 answers lie in no window of 12 tokens as a whole: taught as not being there",
        "2 answers are longer than max_answer_tokens = 3: never given as a whole",
    ]
    assert task.remarks(items[2:]) == []


def test_a_batch_may_find_answers_in_the_context_and_at_the_first_token() -> None:
    task = AnswerTask(lengths=SHORT)
    items = task.items([asked("a", context="a b"), asked(context="c")], TOKENIZER)
    batch = task.batch(task.lessons(items), 0)
    starts, ends, allowed = batch.targets
    assert (starts.tolist(), ends.tolist()) == ([3, 0], [3, 0])
    assert allowed.int().tolist() == [
        [1, 0, 0, 1, 1, 0],  # [CLS] z [SEP] a b [SEP]
        [1, 0, 0, 1, 0, 0],  # [CLS] z [SEP] c [SEP] [PAD]
    ]
    assert batch.inputs.token_type_ids.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0]]
    assert batch.counts == {"windows": 2.0}


def test_lessons_are_windows() -> None:
    task = AnswerTask(lengths=SHORT)
    lessons = task.lessons(task.items([asked("h i"), asked("a", context="a b")], TOKENIZER))
    assert [lesson.target for lesson in lessons] == [(0, 0), (5, 6), (0, 0), (0, 0), (3, 3)]
    assert all(len(lesson.windows) == 1 for lesson in lessons)


def model_of(task: AnswerTask) -> Bert:
    config = EncoderConfig(
        num_hidden_layers=1,
        hidden_size=16,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=len(TOKENIZER.vocabulary),
        max_position_embeddings=32,
    )
    model = Bert(config, task.parts)
    model.initialise(0)
    return model.eval()


def test_the_loss_of_a_step_is_the_same_in_parts_and_trains_without_any_answer() -> None:
    task = AnswerTask(lengths=SHORT)
    lessons = task.lessons(task.items([asked(), asked("h i"), asked("a", context="a b")], TOKENIZER))
    model = model_of(task)
    whole, figures = task.loss(model, task.batch(lessons, 0), {"windows": len(lessons)})
    parts = [task.loss(model, task.batch(some, 0), {"windows": len(lessons)}) for some in (lessons[:4], lessons[4:])]
    assert sum(part.item() for part, _ in parts) == pytest.approx(whole.item(), rel=1e-5)
    assert sum(part["right"].item() for _, part in parts) == pytest.approx(figures["right"].item())
    nothing = task.batch(lessons[:4], 0)
    assert not nothing.targets[0].any()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        task.loss(model, nothing, nothing.counts)[0].backward()
        optimizer.step()
    loss, figures = task.loss(model, nothing, nothing.counts)
    assert loss.item() < 0.1
    assert figures["right"] == 1


def test_a_model_that_knows_nothing_shares_its_belief_among_the_allowed_places() -> None:
    task = AnswerTask(lengths=SHORT)
    lessons = task.lessons(task.items([asked("h i"), asked("a", context="a b")], TOKENIZER))
    model = model_of(task)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    loss, _ = task.loss(model, task.batch(lessons, 0), {"windows": 5.0})
    # Four windows of eight tokens and one of two, each with [CLS].
    assert loss.item() == pytest.approx((4 * math.log(9) + math.log(3)) / 5)


def test_the_answer_is_found_in_a_later_window() -> None:
    row = asked("p q")
    item = item_of(row)
    found = AnswerTask(lengths=SHORT).decode(row, item, said_of(item, p=(4, 0), q=(0, 3)))
    assert (found.text, found.start, found.end, found.score, found.cut) == ("p q", 30, 33, 7.0, 0)
    assert CONTEXT[found.start : found.end] == "p q"


def test_a_start_is_believed_where_its_window_sees_most_around_it() -> None:
    row = asked("g")
    item = item_of(row)
    # f, g and h stand in the first two windows; the middle of what they share is the border.
    assert [window.decides for window in item.windows] == [(0, 6), (6, 11), (11, 15), (15, 20)]
    said = said_of(item)
    said[0][9] = 50, 50  # g, at the edge of the first window
    said[1][4] = 1, 1  # g, of the second
    said[1][3] = 40, 40  # f, at its edge
    task = AnswerTask(lengths=SHORT, longest=1)
    assert (task.decode(row, item, said).text, task.decode(row, item, said).score) == ("g", 2.0)


def test_no_text_comes_twice_and_probabilities_are_shares() -> None:
    row = asked("a", context="a b a b a")
    item = item_of(row)
    task = AnswerTask(lengths=SHORT, longest=2, best=10)
    found = task.decode(row, item, said_of(item, a=(2, 2), b=(1, 1)))
    assert [(span.text, span.start, span.score) for span in found.best] == [
        ("a", 0, 4.0),
        ("a b", 0, 3.0),
        ("b a", 2, 3.0),
        ("b", 2, 2.0),
    ]
    powers = np.exp([4, 3, 3, 2])
    assert [span.probability for span in found.best] == pytest.approx((powers / powers.sum()).tolist())
    assert found.probability == found.best[0].probability
    two = AnswerTask(lengths=SHORT, longest=2, best=2).decode(row, item, said_of(item, a=(2, 2), b=(1, 1)))
    assert two.best == found.best[:2], "probabilities do not hang on how many are told"


def test_no_answer_where_its_odds_are_above_the_threshold() -> None:
    row = asked()
    item = item_of(row)
    said = said_of(item, a=(1, 1), cls=(3, 3))
    said[2][0] = 2, 1.5  # the window that is least sure that there is none
    always, maybe = AnswerTask(lengths=SHORT), AnswerTask(lengths=SHORT, null_threshold=1.0)
    assert always.decode(row, item, said).text == "a"
    found = maybe.decode(row, item, said)
    assert (found.text, found.start, found.end, found.score, found.null_odds) == ("", None, None, 3.5, 1.5)
    assert found.best[0].text == "a"
    assert found.probability > found.best[0].probability
    assert AnswerTask(lengths=SHORT, null_threshold=1.5).decode(row, item, said).text == "a"
    assert maybe.shown(found)["null_odds"] == 1.5
    assert "null_odds" not in always.shown(found)


@pytest.mark.parametrize("context", ["", " ", "\u200b"])
@pytest.mark.parametrize("threshold", [None, 0.0])
def test_a_context_without_a_token_holds_no_answer(context: str, threshold: float | None) -> None:
    row = asked(context=context)
    item = item_of(row)
    task = AnswerTask(lengths=SHORT, null_threshold=threshold)
    found = task.decode(row, item, said_of(item, cls=(-3, -3)))
    assert found == Answered("", None, None, -6.0, 1.0, math.inf, (), 0)
    assert "Infinity" not in json.dumps(task.shown(found))


def test_a_question_that_fills_the_window_is_cut_and_told() -> None:
    item = item_of(asked("p q", question="z y x w v u z y x w"))
    assert item.lost == 6  # 9 places: 5 for the context, 4 for the question
    assert max(len(window) for window in item.windows) == 12


def answered(text: str, odds: float) -> Answered:
    best = () if odds == math.inf else (AnswerSpan(text, 0, len(text), 1.0, 0.5),)
    return Answered("", None, None, 0.0, 0.5, odds, best, 0)


def test_the_threshold_of_the_best_f1_lies_between_two_odds() -> None:
    rows = [asked("a"), asked("b"), asked(), asked("c"), asked()]
    predictions = [answered("a", -2), answered("b", 1), answered("x", 4), answered("c", 8), answered("y", math.inf)]
    task = AnswerTask(lengths=SHORT, null_threshold=0.0)
    # Answers up to odds of 1 give 4 of 5; those up to 8 as well, the x that is no answer being paid for c.
    assert task.tuned(rows, predictions).null_threshold == 2.5
    assert task.null_threshold == 0.0
    assert task.tuned(rows[:2], predictions[:2]).null_threshold == 0.0, "nothing to choose by"
    assert AnswerTask(lengths=SHORT).tuned(rows, predictions).null_threshold is None


def test_a_model_that_always_answers_is_told_the_threshold_that_would_pay() -> None:
    rows = [asked("b"), asked("c"), asked(), asked()]
    found = [answered("b", -4.0), answered("c", -1.0), answered("e", 2.0), answered("d", 3.0)]
    always = AnswerTask(lengths=SHORT)
    what = "2 of 4 questions have no answer, and this model always gives one"
    best = "--null-threshold 0.5, the best on these rows, would bring F1 1.0000"
    assert always.advice(rows, found) == [f"{what}; {best}"]
    assert always.advice(rows[:2], found[:2]) == []
    assert AnswerTask(lengths=SHORT, null_threshold=0.0).advice(rows, found) == []


def test_where_no_answer_is_better_than_any_none_is_given() -> None:
    rows = [asked("a"), asked(), asked()]
    task = AnswerTask(lengths=SHORT, null_threshold=0.0)
    assert task.tuned(rows, [answered("x", -5), answered("y", -3), answered("z", 2)]).null_threshold == -6.0
    everything = task.tuned([asked("a"), asked()], [answered("a", -5), answered("y", math.inf)])
    assert everything.null_threshold == -4.5


def test_scores_are_those_of_the_data() -> None:
    task = AnswerTask(lengths=SHORT)
    found = [Answered("b c", 2, 5, 1.0, 1.0, 0.0, (), 0)]
    assert task.scores([asked("d", "b c")], found) == {"exact_match": 1.0, "f1": 1.0}
    assert task.scores([asked("c d e")], found) == {"exact_match": 0.0, "f1": pytest.approx(0.4)}
    scores = task.scores([asked("b c", "b"), asked()], [Answered("b", 2, 3, 1.0, 1.0, 0.0, (), 0), answered("x", 3.0)])
    assert scores == {
        "exact_match": 1.0,
        "f1": 1.0,
        "has_answer_exact": 1.0,
        "has_answer_f1": 1.0,
        "no_answer_accuracy": 1.0,
    }


def test_chinese_contexts_are_scored_as_in_cmrc() -> None:
    chinese = asked("北京", context="北京 is 中国的首都")
    assert metric_of([chinese]) == ("cmrc", "78% of the contexts' letters are Chinese characters")
    assert metric_of([asked("a", context="a b 中")])[0] == "squad"
    assert metric_of([chinese, asked()]) == ("squad", "1 of 2 questions have no answer")
    found = [Answered("北京的", 0, 3, 1.0, 1.0, 0.0, (), 0)]
    assert AnswerTask(lengths=SHORT).scores([chinese], found)["f1"] == pytest.approx(0.8)
    assert AnswerTask(lengths=SHORT, metric="squad").scores([chinese], found)["f1"] == 0.0


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps({"question": "z", "context": "a b"} | row) + "\n" for row in rows))
    return path


def test_reading_tells_what_was_mended_and_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl",
        {"answers": [{"text": "b", "answer_start": 0}]},
        {"answers": [{"text": "c", "answer_start": 0}]},
    )
    fault = (
        f"{path}:2: the answer 'c' of the question '2' does not stand in its context; correct it, or leave such "
        "questions out with --on-error skip"
    )
    told: list[str] = []
    assert len(AnswerTask(lengths=SHORT, metric="squad", on_error="skip").read(path, told.append)) == 1
    assert told == [
        f"{path}: 1 answers did not stand at their offset, and were found in their context",
        f"{path}: 1 questions left out; the first: {fault}",
    ]
    with pytest.raises(RowError) as caught:
        AnswerTask(lengths=SHORT).read(path, told.append)
    assert str(caught.value) == fault


def test_what_cannot_be_learnt_or_scored_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", {"answers": []})
    task = AnswerTask(lengths=SHORT)
    with pytest.raises(RowError) as caught:
        task.learning(task.read(path, lambda _: None), path)
    assert str(caught.value) == (
        f"{path}: no question has an answer, so there is nothing to find; add questions with answers"
    )
    with pytest.raises(RowError) as caught:
        AnswerTask(lengths=SHORT, metric="cmrc").read(path, lambda _: None)
    assert str(caught.value) == (
        f"{path}:1: the question '1' has no answer, which the scores of CMRC do not know; "
        'fine-tune with metric = "squad"'
    )


def test_a_model_may_answer_nothing_where_it_was_taught_to() -> None:
    task = AnswerTask(lengths=SHORT)
    assert task.learning([asked("a")], Path("x")).null_threshold is None
    assert task.learning([asked("a"), asked()], Path("x")).null_threshold == 0.0
    assert task.learning([asked("a")], Path("x")).record() == {
        "metric": "squad",
        "max_answer_tokens": 30,
        "best_size": 5,
    }


def test_without_a_model_no_question_has_an_answer() -> None:
    task = AnswerTask(lengths=SHORT)
    found = task.baseline([], [asked("c d"), asked(), asked(), asked()])
    assert (found["f1"], found["exact_match"], found["has_answer_f1"]) == (0.75, 0.75, 0)
    assert task.baseline([], [asked("c d")]) == {}
