from __future__ import annotations

import math
from pathlib import Path

import pytest

from bertwright.cli.main import main
from bertwright.errors import ModelError
from bertwright.progress import Silent
from bertwright.recipes.report.runs import RunRecord, Series, read_runs
from tests.unit.recipes.report.made_runs import BANDS, write_run


def read(*paths: Path) -> list[RunRecord]:
    return read_runs(paths, Silent())


def told(series: Series) -> list[list[float]]:
    return [column.tolist() for column in (series.steps, series.seconds, series.tokens, series.values)]


def test_each_figure_with_its_places(tmp_path: Path) -> None:
    rows = [
        {"step": 5, "loss": 3.0, "seconds": 1.5, "tokens_seen": 640},
        {"step": 5, "held_out_mlm_loss": 2.5},
        {"step": 10, "loss": 2, "seconds": 4.0, "tokens_seen": 1280},
    ]
    (run,) = read(write_run(tmp_path / "out", rows))
    assert run.figures.keys() == {"loss", "held_out_mlm_loss"}
    assert told(run.figures["loss"]) == [[5, 10], [1.5, 4], [640, 1280], [3, 2]]
    # An evaluation tells no time: it is that of the report before.
    assert told(run.figures["held_out_mlm_loss"]) == [[5], [1.5], [640], [2.5]]
    assert (run.name, run.reports, run.last_step, run.seconds, run.tokens) == ("out", 3, 10, 4.0, 1280.0)


def test_a_run_without_tokens_has_no_such_axis(tmp_path: Path) -> None:
    (run,) = read(write_run(tmp_path / "out", [{"step": 5, "loss": 3.0, "seconds": 1.5}]))
    assert math.isnan(run.tokens)
    places, values = run.figures["loss"].along("tokens")
    assert (len(places), len(values)) == (0, 0)


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    for number, tail in enumerate(('{"step": 10, "lo', '{"step": 10, "loss": 1', '{"step": 10, "loss": 1.0}')):
        (run,) = read(write_run(tmp_path / str(number), [{"step": 5, "loss": 3.0}], tail=tail))
        assert told(run.figures["loss"])[3] == [3.0]
        assert run.left_out == 0


def test_lines_that_are_no_reports_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"step": 5, "loss": 3.0},
        "not JSON",
        "[1]",
        {"loss": 1.0},
        {"step": "six"},
        "[" * 5000,
        "",
        '{"step": NaN}',
    ]
    out = write_run(tmp_path / "out", rows)
    (run,) = read(out)
    assert (run.reports, run.left_out) == (1, 6)
    assert main(["report", str(out), "--out", str(tmp_path / "page.html")]) == 0
    assert "out: 6 lines of its metrics.jsonl are no reports; left out\n" in capsys.readouterr().err


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    rows = [
        {"step": 1, "gradient_norm": float("inf"), "loss": 2.0, "note": "warm", "fine": True},
        {"step": 2, "gradient_norm": 10**400, "loss": None},
        {"step": 3, "gradient_norm": 1.5, "loss": float("nan")},
    ]
    (run,) = read(write_run(tmp_path / "out", rows))
    assert run.not_finite == {"gradient_norm": 2, "loss": 1}
    assert told(run.figures["gradient_norm"])[3] == [1.5]
    assert run.figures.keys() == {"gradient_norm", "loss"}


def test_events_are_grouped_by_their_words(tmp_path: Path) -> None:
    rows = [
        {"step": 5, "loss": 3.0, "seconds": 1.0},
        {"step": 7, "event": "skipped", "gradient_norm": float("inf")},
        {"step": 9, "event": "skipped", "gradient_norm": float("inf")},
        {"step": 9, "event": "resumed", "from": 5},
    ]
    (run,) = read(write_run(tmp_path / "out", rows))
    assert [(event.what, event.steps.tolist(), event.seconds.tolist()) for event in run.events] == [
        ("skipped, gradient_norm inf", [7, 9], [1, 1]),
        ("resumed, from 5", [9], [1]),
    ]
    # What an event tells is of that moment: it is no point of a curve, nor a fault of one.
    assert run.figures.keys() == {"loss"}
    assert run.not_finite == {}


def test_bands_over_the_evaluations(tmp_path: Path) -> None:
    later = [band | {"accuracy": 0.75} for band in BANDS]
    rows = [
        {"step": 5, "held_out_by_frequency": BANDS},
        {"step": 9, "held_out_by_frequency": [*later, "x", {"from": 1}]},
    ]
    (run,) = read(write_run(tmp_path / "out", rows))
    assert [(band.least, band.most, band.words, band.unigram_loss) for band in run.bands] == [
        (0, 0, 2, 14.0),
        (1000, 9999, 6, 4.0),
    ]
    assert run.bands[1].accuracy.steps.tolist() == [5, 9]
    assert run.bands[1].accuracy.values.tolist() == [0.5, 0.75]


def test_names(tmp_path: Path) -> None:
    one, two, three = (write_run(tmp_path / name, [{"step": 1, "loss": 1.0}]) for name in ("a/m", "b/m", "c"))
    assert [run.name for run in read(one / "run", three)] == ["m", "c"]
    # Two of one name are told apart by the folders above them.
    assert [run.name for run in read(one, two)] == ["a/m", "b/m"]


def test_what_is_no_run(tmp_path: Path) -> None:
    good = write_run(tmp_path / "good", [{"step": 1, "loss": 1.0}])
    empty = write_run(tmp_path / "empty", [])
    cut = write_run(tmp_path / "cut", [], tail='{"step": 1')
    foreign = write_run(tmp_path / "foreign", ["a,b", "1,2"])
    damaged = write_run(tmp_path / "damaged", [{"step": 1}])
    (damaged / "run/run.json").write_text("{")
    unbegun = write_run(tmp_path / "unbegun", [])
    (unbegun / "run/metrics.jsonl").unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    cure = "give an --out of pretrain, adapt or finetune"
    waiting = "the run has reported nothing yet; wait for its first report"
    for paths, message in (
        ([tmp_path / "nothing"], f"{tmp_path}/nothing: no such directory; {cure}"),
        ([tmp_path / "file"], f"{tmp_path}/file: is no directory; {cure}"),
        ([tmp_path / "folder"], f"{tmp_path}/folder: holds no run; {cure}"),
        ([good, empty], f"{empty}/run: {waiting}"),
        ([cut], f"{cut}/run: {waiting}"),
        ([unbegun], f"{unbegun}/run: {waiting}"),
        ([foreign], f"{foreign}/run/metrics.jsonl: no line of it is a report of a run; {cure}"),
        ([good, good / "run"], f"{good}/run: is given twice; give each run once"),
    ):
        with pytest.raises(ModelError) as caught:
            read(*paths)
        assert str(caught.value) == message
    with pytest.raises(ModelError, match=r"run\.json:1: this is no JSON"):
        read(damaged)
