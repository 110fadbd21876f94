"""Several fine-tunings in one directory, with runs that are made up: what is kept, what is done again."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError, SettingsError, UserFault
from bertwright.files import PARTIAL, beside, write_atomic
from bertwright.heads.model import Parts
from bertwright.progress import Silent
from bertwright.recipes.finetuning.search import PAPER, check_grid, grid_of, search
from bertwright.recipes.finetuning.seeds import repeat
from bertwright.recipes.finetuning.series import Series, open_series
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.finetuning.sitting import Finetuned
from tests.unit.checkpoints.small import TOKENIZER, small_model

SETTINGS = FinetuneSettings()


class Trainer:
    """Stands for a fine-tuning: the score is a function of the settings, and every call is noted."""

    def __init__(self, fail_at: int = -1) -> None:
        self.calls: list[FinetuneSettings] = []
        self.fail_at = fail_at

    def __call__(self, settings: FinetuneSettings, place: Path) -> Finetuned:
        if len(self.calls) == self.fail_at:
            raise KeyboardInterrupt
        self.calls.append(settings)
        scores = {"accuracy": (settings.seed * 7 % 5) / 10 + settings.learning_rate * 1000}
        (place / "run/checkpoints/step-1").mkdir(parents=True)
        (place / "run/best.safetensors").write_bytes(b"")
        (place / "run/metrics.jsonl").write_text(f'{{"step": 1, "seed": {settings.seed}}}\n')
        (place / "dev").mkdir()
        (place / "dev/curve.png").write_bytes(b"")
        rows = {"file": "rows.jsonl", "rows": 9, "in_windows": 0, "cut_rows": 0, "cut_tokens": 0}
        data = {"train": rows, "dev": rows}
        record = {"task": "classify", "metrics": scores, "data": data, "seed": settings.seed}
        write_model(place, small_model(Parts(labels=2)), TOKENIZER, labels=("no", "yes"), record=record)
        return Finetuned(place, scores, {}, ("no", "yes"), "accuracy", 1.5)


def in_series(out: Path, trainer: Trainer, work: Any, *, resume: bool = False, overwrite: bool = False) -> Any:
    with open_series(out, {"model": 1}, trainer, resume=resume, overwrite=overwrite) as series:
        return work(series)


def five_seeds(series: Series) -> Any:
    found = repeat(series, SETTINGS, 5, Silent())
    scores = {name: each._asdict() for name, each in found.intervals.items()}
    series.adopt(found.kept.name, {"seeds": {"kept": found.seed, "scores": scores}})
    return found


def test_the_run_of_the_median_score_is_kept(tmp_path: Path) -> None:
    trainer = Trainer()
    found = in_series(tmp_path / "out", trainer, five_seeds)
    # Seeds 0 to 4 score 0, 2, 4, 1 and 3 tenths, and the rate adds a twentieth.
    assert [settings.seed for settings in trainer.calls] == [0, 1, 2, 3, 4]
    assert found.seed == 1
    middle = found.intervals["accuracy"]
    assert (middle.mean, middle.count) == (pytest.approx(0.25), 5)
    assert middle.deviation == pytest.approx(0.1581, abs=1e-4)
    loaded = read_model(tmp_path / "out")
    assert (loaded.record["seed"], loaded.record["seeds"]["kept"]) == (1, 1)
    assert (tmp_path / "out/run/metrics.jsonl").read_text() == '{"step": 1, "seed": 1}\n'
    card = (tmp_path / "out/README.md").read_text().splitlines()
    assert card[5] == "# out"
    assert "The run of the median score of 5, that of seed 1." in card
    assert "| accuracy | 0.2500 | 0.1581 | 0.0537 to 0.4463 |" in card
    assert any("(dev/curve.png)" in line for line in card)
    assert sorted(entry.name for entry in (tmp_path / "out/series").iterdir()) == ["results.jsonl", "series.json"]
    assert len((tmp_path / "out/series/results.jsonl").read_text().splitlines()) == 5


def test_of_an_even_number_the_lower_of_the_two_in_the_middle_is_kept(tmp_path: Path) -> None:
    found = in_series(tmp_path / "out", Trainer(), lambda series: repeat(series, SETTINGS, 4, Silent()))
    assert [0, 2, 4, 1][found.seed] == 1


def test_a_kill_before_its_first_file_leaves_nothing_to_clear_away(tmp_path: Path) -> None:
    begun, other = tmp_path / "out", tmp_path / "other"
    (begun / "series").mkdir(parents=True)
    beside(begun / "series/series.json", PARTIAL).write_text("{")
    assert in_series(begun, Trainer(), five_seeds).seed == 1
    (other / "series").mkdir(parents=True)
    (other / "series/notes.txt").write_text("mine")
    with pytest.raises(UserFault, match="not empty"):
        in_series(other, Trainer(), five_seeds)


def test_a_series_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        in_series(out, Trainer(fail_at=3), five_seeds)
    assert not (out / "config.json").exists()
    with pytest.raises(ModelError, match="holds a series of runs; go on with --resume, or begin anew with --overwrite"):
        in_series(out, Trainer(), five_seeds)
    trainer = Trainer()
    in_series(out, trainer, five_seeds, resume=True)
    assert [settings.seed for settings in trainer.calls] == [3, 4]
    assert read_model(out).record["seed"] == 1
    # Finished, it is done at once, and the model stays.
    again = Trainer()
    in_series(out, again, five_seeds, resume=True)
    assert again.calls == []
    assert read_model(out).record["seed"] == 1
    afresh = Trainer()
    in_series(out, afresh, five_seeds, overwrite=True)
    assert len(afresh.calls) == 5


def test_labels_may_hold_what_ends_a_line_elsewhere(tmp_path: Path) -> None:
    class Odd(Trainer):
        def __call__(self, settings: FinetuneSettings, place: Path) -> Finetuned:
            return replace(super().__call__(settings, place), labels=("a\u2028b", "c\x85d"))

    with pytest.raises(KeyboardInterrupt):
        in_series(tmp_path / "out", Odd(fail_at=3), five_seeds)
    trainer = Odd()
    in_series(tmp_path / "out", trainer, five_seeds, resume=True)
    assert len(trainer.calls) == 2


@pytest.mark.parametrize("at", range(8))
def test_a_kill_while_it_is_cleared_leaves_what_can_be_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    out = tmp_path / "out"
    in_series(out, Trainer(), five_seeds)
    (out / "series/seed-9").mkdir()
    calls = 0

    def dying(original: Any) -> Any:
        def called(*given: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > at:
                raise KeyboardInterrupt
            return original(*given, **named)

        return called

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", dying(Path.unlink))
        patched.setattr("bertwright.recipes.finetuning.series.shutil.rmtree", dying(shutil.rmtree))
        patched.setattr("bertwright.recipes.finetuning.series.write_atomic", dying(write_atomic))
        with pytest.raises(KeyboardInterrupt):
            in_series(out, Trainer(fail_at=0), five_seeds, overwrite=True)
    if not json.loads((out / "series/series.json").read_text()):
        with pytest.raises(
            ModelError, match="was being cleared by --overwrite when that was killed; give it once more"
        ):
            in_series(out, Trainer(), five_seeds, resume=True)
    trainer = Trainer()
    in_series(out, trainer, five_seeds, overwrite=True)
    assert len(trainer.calls) == 5
    assert read_model(out).record["seed"] == 1


def test_a_kill_while_the_model_is_moved_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    moved = 0
    moving = Path.replace

    def dying(self: Path, target: Path) -> Path:
        nonlocal moved
        if target.parent == out:
            moved += 1
            if moved == 4:
                raise KeyboardInterrupt
        return moving(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            in_series(out, Trainer(), five_seeds)
    assert not (out / "config.json").exists()
    in_series(out, Trainer(fail_at=0), five_seeds, resume=True)
    assert read_model(out).record["seed"] == 1


def test_other_things_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserFault, match="exists and is not empty"):
        in_series(tmp_path, Trainer(), five_seeds)
    with pytest.raises(ModelError, match="holds no series to go on with; start it without --resume"):
        in_series(tmp_path, Trainer(), five_seeds, resume=True)
    in_series(tmp_path / "out", Trainer(), five_seeds)
    with (
        pytest.raises(ModelError, match="the series began otherwise: `model` was 1 and is 2; resume it with"),
        open_series(tmp_path / "out", {"model": 2}, Trainer(), resume=True, overwrite=False),
    ):
        pass


def test_a_grid_is_tried_whole_and_the_best_kept(tmp_path: Path) -> None:
    trainer = Trainer()
    grid: dict[str, list[Any]] = {"learning_rate": [1e-5, 9e-5, 3e-5], "epochs": [1, 2]}

    def work(series: Series) -> Any:
        best = search(series, SETTINGS, grid, Silent())
        left = sorted(entry.name for entry in series.folder.iterdir() if entry.is_dir())
        return best, left

    best, left = in_series(tmp_path / "out", trainer, work)
    assert [(settings.learning_rate, settings.epochs) for settings in trainer.calls] == [
        (1e-5, 1), (1e-5, 2), (9e-5, 1), (9e-5, 2), (3e-5, 1), (3e-5, 2),
    ]  # fmt: skip
    assert best.settings == {"learning_rate": 9e-5, "epochs": 1}
    assert left == [best.name]


def test_optuna_suggests_the_same_when_a_search_goes_on(tmp_path: Path) -> None:
    grid: dict[str, list[Any]] = {"learning_rate": [1e-5, 1e-4], "batch_size": [16, 32]}

    def work(series: Series) -> Any:
        return search(series, SETTINGS, grid, Silent(), trials=8)

    whole = Trainer()
    in_series(tmp_path / "whole", whole, work)
    assert all(1e-5 <= settings.learning_rate <= 1e-4 and settings.batch_size in (16, 32) for settings in whole.calls)
    assert len({settings.learning_rate for settings in whole.calls}) == 8
    broken, rest = Trainer(fail_at=5), Trainer()
    with pytest.raises(KeyboardInterrupt):
        in_series(tmp_path / "parted", broken, work)
    in_series(tmp_path / "parted", rest, work, resume=True)
    assert broken.calls + rest.calls == whole.calls


def test_what_a_search_takes() -> None:
    assert grid_of(["paper"]) == PAPER
    assert grid_of(["learning_rate = [1e-5, 2e-5]", "epochs=[2]"]) == {"learning_rate": [1e-5, 2e-5], "epochs": [2]}
    for wish in ("epochs", "epochs=3", "epochs=[]", "epochs=[2", "epochs=[2]\nseed=[1]\n["):
        with pytest.raises(
            SettingsError, match=r'is no list of values; as in --search "epochs=\[...\]" with its values'
        ):
            grid_of([wish])
    for wishes, told in (
        (["papers"], "--search: `papers` is no setting; did you mean `paper`?"),
        (["epoch=[2]"], "--search: `epoch` is no setting; did you mean `epochs`?"),
        (["zzz=[2]"], "--search: `zzz` is no setting; known are epochs, "),
        (["paper", "epochs=[2]"], "`--search paper` is a whole grid, and stands beside another; give it alone, or"),
        (["epochs=[2]", "epochs=[3]"], "`--search epochs=...` stands twice; give all its values in one list"),
    ):
        with pytest.raises(SettingsError, match="^" + re.escape(told)):
            grid_of(wishes)


def test_results_are_lines_of_json(tmp_path: Path) -> None:
    in_series(tmp_path / "out", Trainer(), five_seeds)
    lines = (tmp_path / "out/series/results.jsonl").read_text().splitlines()
    assert json.loads(lines[2]) == {
        "name": "seed-2",
        "settings": {"seed": 2},
        "scores": {"accuracy": pytest.approx(0.45)},
        "baseline": {},
        "labels": ["no", "yes"],
        "best_by": "accuracy",
        "seconds": 1.5,
    }


def test_what_cannot_be_compared_is_no_axis_and_what_no_trial_can_have_is_told_at_once() -> None:
    config = EncoderConfig(num_hidden_layers=6, max_position_embeddings=256)
    for grid, what in (
        ({"keep_best_by": ["accuracy", "mcc"]}, "`--search keep_best_by=...` would compare what cannot be compared"),
        ({"seed": [0, 1]}, "`--search seed=...` would compare what cannot be compared; try seeds with --seeds"),
        ({"max_length": [128, 512]}, "`max_length` is 512, but the model has 256 positions"),
        ({"freeze": [2, 8]}, "`freeze` is 8, but the model has 6 layers"),
        ({"pooling": ["mean", "cls"]}, "`pooling` is 'mean', but it is for embed, and not for classify"),
    ):
        with pytest.raises(SettingsError) as caught:
            check_grid(SETTINGS, grid, "classify", config)
        assert str(caught.value).startswith(what)


def test_overwrite_begins_a_series_where_a_single_run_was_stopped(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    with pytest.raises(UserFault, match="not empty"):
        in_series(tmp_path, Trainer(), five_seeds)
    assert in_series(tmp_path, Trainer(), five_seeds, overwrite=True).seed == 1
