from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bertwright.batches.windows import Lengths
from bertwright.recipes.finetuning import dev_report
from bertwright.recipes.finetuning.curve import best_scoring
from bertwright.recipes.finetuning.dev_folder import clear_dev
from bertwright.recipes.finetuning.dev_report import show_on_dev
from bertwright.recipes.finetuning.pictures import draw_confusion, most_confused
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.tasks.classify import Classified, Classify
from bertwright.tasks.regress import Measured, Regress
from bertwright.tasks.rows import Row
from bertwright.tasks.tag import Tag, Tagged
from bertwright.tasks.tagged_rows import TaggedRow

LENGTHS = Lengths(max_length=16, overlap=4)
METRICS: list[dict[str, Any]] = [
    {"step": 10, "loss": 2.0, "learning_rate": 1e-3},
    {"step": 10, "dev_accuracy": 0.5},
    {"step": 15, "event": "went on, one process"},
    {"step": 20, "loss": 1.0, "learning_rate": 5e-4},
    {"step": 20, "dev_accuracy": 0.75},
    {"step": 30, "dev_accuracy": 0.75},
]
PICTURES = {"confusion.png", "reliability.png", "curve.png"}


def classifier() -> Classify:
    return Classify("classify", labels=("cat", "dog"), columns=("text",), label_column="label", lengths=LENGTHS)


def cats(*probabilities: float) -> tuple[list[Row], list[Classified]]:
    """Rows that are all cats, and how likely each was found to be one."""
    rows, given = [], []
    for number, cat in enumerate(probabilities, 1):
        both = sorted({"cat": cat, "dog": 1 - cat}.items(), key=lambda pair: -pair[1])
        rows.append(Row((f"text {number}",), "cat", f"dev:{number}"))
        given.append(Classified(both[0][0], dict(both), 0))
    return rows, given


def show(out: Path, *probabilities: float) -> tuple[dict[str, Any], list[str]]:
    """What was recorded and what was said."""
    rows, given = cats(*probabilities)
    said: list[str] = []
    task = classifier()
    return show_on_dev(out, rows, (task, given), (task, given), METRICS, "accuracy", said.append), said


def test_the_worst_errors_come_first(tmp_path: Path) -> None:
    record, said = show(tmp_path, 0.9, 0.4, 0.1, 0.3)
    lines = [json.loads(line) for line in (tmp_path / "dev/errors.jsonl").read_text().splitlines()]
    assert [line["where"] for line in lines] == ["dev:3", "dev:4", "dev:2"]
    assert lines[0] == {
        "where": "dev:3",
        "text": "text 3",
        "gold": "cat",
        "predicted": "dog",
        "probability": 0.9,
        "probability_of_gold": 0.1,
        "loss": pytest.approx(2.302585),
    }
    assert record["errors"] == {"rows": 3, "written": 3}
    assert said == [f"classes, errors and pictures: {tmp_path / 'dev'}"]


def test_more_errors_than_anyone_reads_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev_report, "MOST_ERRORS", 2)
    record, said = show(tmp_path, 0.4, 0.1, 0.3)
    lines = (tmp_path / "dev/errors.jsonl").read_text().splitlines()
    assert [json.loads(line)["where"] for line in lines] == ["dev:2", "dev:3"]
    assert record["errors"] == {"rows": 3, "written": 2}
    assert said[0] == f"{tmp_path / 'dev/errors.jsonl'}: the worst 2 of 3; the others are left out"


def test_the_classes_are_recorded_and_written(tmp_path: Path) -> None:
    record, _ = show(tmp_path, 0.9, 0.8, 0.7, 0.1)
    assert record["classes"] == {
        "cat": {"precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7), "support": 4},
        "dog": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
    }
    assert json.loads((tmp_path / "dev/classes.json").read_text()) == record["classes"]
    # In bins of a tenth, each with one row: 0.7, 0.8, 0.9 that are right, and 0.9 that is wrong.
    assert record["calibration"]["ece_after"] == pytest.approx((0.3 + 0.2 + 2 * 0.4) / 4)


def test_the_pictures_are_drawn_where_there_is_something_to_draw(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    show(tmp_path, 0.9, 0.1)
    assert {path.name for path in (tmp_path / "dev").glob("*.png")} == PICTURES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "dev").glob("*.png"))
    task = Regress(columns=("text",), label_column="score", lengths=LENGTHS)
    rows = [Row(("one",), None, "dev:1", score=2.0), Row(("two",), None, "dev:2", score=3.0)]
    given = [Measured(2.5, 0), Measured(1.0, 0)]
    show_on_dev(tmp_path, rows, (task, given), (task, given), METRICS, "spearman", lambda _: None)
    assert {path.name for path in (tmp_path / "dev").iterdir()} == {"errors.jsonl", "scatter.png", "curve.png"}


def test_without_matplotlib_all_but_the_pictures_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/confusion.png").write_bytes(b"of an earlier run")
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else real(name))
    _, said = show(tmp_path, 0.9, 0.1)
    assert {path.name for path in (tmp_path / "dev").iterdir()} == {"classes.json", "errors.jsonl"}
    assert said[0] == "pictures were not drawn: install matplotlib with pip install 'bertwright[report]'"


def test_a_tagger_that_finds_nothing_has_no_reliability(tmp_path: Path) -> None:
    task = Tag(labels=("O", "B-x", "I-x"), lengths=LENGTHS)
    rows = [TaggedRow(("a", "b"), ("O", "B-x"), "dev:1")]
    nothing = [Tagged(("a", "b"), ("O", "O"), (), "a b")]
    record = show_on_dev(tmp_path, rows, (task, nothing), (task, nothing), METRICS, "accuracy", lambda _: None)
    assert "calibration" not in record
    assert record["errors"] == {"rows": 1, "written": 1}
    assert not (tmp_path / "dev/reliability.png").exists()


def test_what_lies_beside_is_not_touched(tmp_path: Path) -> None:
    show(tmp_path, 0.9, 0.1)
    (tmp_path / "dev/notes.txt").write_text("mine")
    clear_dev(tmp_path)
    assert [path.name for path in (tmp_path / "dev").iterdir()] == ["notes.txt"]
    (tmp_path / "dev/notes.txt").unlink()
    clear_dev(tmp_path)
    assert not (tmp_path / "dev").exists()
    clear_dev(tmp_path)


def test_of_many_labels_the_most_confused_are_drawn(tmp_path: Path) -> None:
    confusion = np.diag([9, 9, 9, 9])
    confusion[3, 1] = 2
    confusion[0, 3] = 1
    assert most_confused(confusion, 2) == [1, 3]
    assert most_confused(confusion, 3) == [0, 1, 3]
    pytest.importorskip("matplotlib")
    labels = ["a$b$", "line\nbreak", "分類", "x" * 90, *map(str, range(60))]
    draw_confusion(np.eye(64, dtype=np.int64), labels, tmp_path / "many.png")
    assert (tmp_path / "many.png").stat().st_size < 200_000


def test_the_best_is_the_latest_of_equals() -> None:
    best = best_scoring([*METRICS, {"step": 90, "dev_accuracy": 0.1}], "accuracy")
    assert best is not None
    assert best["step"] == 30
    assert best_scoring(METRICS, "mcc") is None


def test_a_short_training_has_a_curve_all_the_same() -> None:
    told = {steps: FinetuneSettings(epochs=1).training(steps).log_every for steps in (1, 8, 100, 5000)}
    assert told == {1: 1, 8: 1, 100: 5, 5000: 10}


def test_a_threshold_is_given_or_chosen() -> None:
    with pytest.raises(ValidationError, match="`abstain_below` is a threshold and `abstain_accuracy` chooses one"):
        FinetuneSettings(abstain_below=0.5, abstain_accuracy=0.9)
