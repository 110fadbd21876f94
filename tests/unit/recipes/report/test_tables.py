from __future__ import annotations

from pathlib import Path

from bertwright.progress import Silent
from bertwright.recipes.report.runs import RunRecord, read_runs
from bertwright.recipes.report.tables import differences, events, final_figures
from tests.unit.recipes.report.made_runs import IDENTITY, pretraining, tuning, write_run


def read(*paths: Path) -> list[RunRecord]:
    return read_runs(paths, Silent())


def test_final_figures_of_two_kinds_of_runs(tmp_path: Path) -> None:
    tuned = write_run(tmp_path / "tuned", list(tuning()), identity={"settings": {"epochs": 3}, "task": "classify"})
    table = final_figures(read(write_run(tmp_path / "model", list(pretraining())), tuned))
    measured = ["held out masked-word loss", "held out masked-word accuracy", "held out next-sentence accuracy"]
    scored = ["dev accuracy", "dev macro F1", "dev Matthews correlation"]
    assert list(table.header) == ["run", "step", "time", *measured, *scored, "tokens/s, median"]
    assert table.rows == [
        ("model", "100 of 100", "10 s", "8.5", "25.0%", "60.0%", "–", "–", "–", "30,055"),
        ("tuned", "30", "60 s", "–", "–", "–", "75.0%\nbest 80.0% at 20", "65.0%\nbest 70.0% at 20", "50.0%", "5"),
    ]


def test_training_tells_where_nothing_was_measured(tmp_path: Path) -> None:
    rows = [{"step": 2, "mlm_loss": 9.25, "mlm_accuracy": 0.03, "loss": 9.95}]
    table = final_figures(read(write_run(tmp_path / "model", rows)))
    assert table.header[3:5] == ("training masked-word loss", "training masked-word accuracy")
    assert table.rows == [("model", "2 of 100", "–", "9.25", "3.0%", "9.95", "–")]


def test_how_recipes_differ(tmp_path: Path) -> None:
    training = {"steps": 100, "learning_rate": 5e-4, "seed": None}
    other = {"recipe": {"model": {"preset": "bert-tiny"}, "training": training}}
    rows = [{"step": 1, "loss": 1.0}]
    different, common = differences(
        read(write_run(tmp_path / "a", rows, identity=IDENTITY), write_run(tmp_path / "b", rows, identity=other))
    )
    assert different.header == ("setting", "a", "b")
    assert different.rows == [
        ("training.learning_rate", "0.001", "0.0005"),
        ("data", "a", "–"),
        ("training.seed", "–", "none"),
    ]
    assert common.rows == [("model.preset", "bert-tiny"), ("training.steps", "100")]


def test_long_values_differ_where_they_are_cut(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 1.0}]
    paths = [write_run(tmp_path / end, rows, identity={"init": "x" * 100 + end}) for end in "ab"]
    different, _ = differences(read(*paths))
    assert different.rows == [("init", "x" * 59 + "…", "x" * 59 + "…")]


def test_settings_nested_without_end(tmp_path: Path) -> None:
    nested: dict[str, object] = {"x": 1}
    for _ in range(900):
        nested = {"x": nested}
    _, common = differences(read(write_run(tmp_path / "a", [{"step": 1, "loss": 1.0}], identity={"x": nested})))
    assert [(key, value[:10]) for key, value in common.rows] == [("x.x.x.x.x.x.x.x.x", '{"x": {"x"')]


def test_events_by_their_first_step(tmp_path: Path) -> None:
    skipped = [{"step": step, "event": "skipped"} for step in (1200, 1300, 1400)]
    rows = [{"step": 1, "loss": 1.0}, *skipped, {"step": 1250, "event": "plateau"}]
    assert events(read(write_run(tmp_path / "a", rows))).rows == [
        ("a", "skipped", "3", "1,200", "1,400"),
        ("a", "plateau", "1", "1,250", ""),
    ]


def test_very_many_kinds_of_events_are_counted(tmp_path: Path) -> None:
    rows = [{"step": 1, "event": f"kind {number}"} for number in range(60)]
    table = events(read(write_run(tmp_path / "a", rows)))
    assert len(table.rows) == 51
    assert table.rows[-1] == ("a", "and 10 kinds more", "", "", "")
