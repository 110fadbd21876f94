from __future__ import annotations

from pathlib import Path

from bertwright.recipes.adapting.outcome import Adapted, measured_of, overlong

BEFORE = {"task_mlm_loss": 3.0, "task_mlm_accuracy": 0.25, "general_mlm_loss": 2.0, "general_mlm_accuracy": 0.5}
AFTER = {"task_mlm_loss": 1.0, "task_mlm_accuracy": 0.75, "general_mlm_loss": 2.5, "general_mlm_accuracy": 0.4}


def test_the_table_has_a_row_a_text_and_a_column_a_stage() -> None:
    measured = measured_of([("task", {"before": BEFORE, "after": AFTER})], head_is_new=False)
    assert [line.split() for line in Adapted(Path("out"), measured).table()] == [
        ["held-out", "text:", "MLM", "loss", "(accuracy)", "before", "after", "task"],
        ["task", "3.000", "(25.0%)", "1.000", "(75.0%)"],
        ["general", "2.000", "(50.0%)", "2.500", "(40.0%)"],
    ]
    assert Adapted(Path("out"), measured).as_json()["measured"] == [
        {"after": "before", **BEFORE},
        {"after": "task", **AFTER},
    ]


def test_where_nothing_was_measured_a_line_says_so() -> None:
    (line,) = Adapted(Path("out"), measured_of([("task", {})], head_is_new=False)).table()
    assert line == "nothing was held out, so nothing was measured: give more text, or a larger held_out"


def test_a_new_head_has_no_before() -> None:
    measured = measured_of(
        [("head", {"before": BEFORE, "after": AFTER}), ("task", {"before": AFTER, "after": BEFORE})], head_is_new=True
    )
    assert [(found.after, found.figures) for found in measured] == [("head", AFTER), ("task", BEFORE)]


def test_a_loss_that_rose_again_is_told() -> None:
    rows = [{"step": step, "task_mlm_loss": loss} for step, loss in ((0, 3.0), (10, 1.0), (20, 1.5))]
    assert overlong("task", rows) == (
        "task text: the held-out loss was lowest at step 10 (1.000) and is 1.500 at the end: "
        "fewer steps may be better, as with --set task.most_steps=10"
    )
    assert overlong("task", rows[:2]) is None
    assert overlong("field", rows) is None
