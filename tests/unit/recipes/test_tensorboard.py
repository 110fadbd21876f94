"""What TensorBoard is told of a run: all that metrics.jsonl has, once."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from bertwright.cli.main import main
from bertwright.recipes.tensorboard import Board
from tests.made_text import write_corpus, write_rows

SETTINGS = [
    "--set", "model.preset=bert-tiny",
    "--set", "examples.max_length=32",
    "--set", "evaluation_examples=8",
    "--set", "training.steps=8",
    "--set", "training.batch_size=4",
    "--set", "training.precision=fp32",
    "--set", "training.log_every=2",
    "--set", "training.evaluate_every=4",
    "--set", "training.save_every=4",
    "--set", "machine.keep_checkpoints=9",
]  # fmt: skip


@dataclass
class StandIn:
    """torch's SummaryWriter, as far as it is used: it leaves a file, and tells."""

    folder: str
    purge_step: int
    told: list[tuple[Any, ...]] = field(default_factory=list)
    every: ClassVar[list[StandIn]] = []

    def __post_init__(self) -> None:
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        (Path(self.folder) / f"events.out.tfevents.{len(self.every)}").write_text("written")
        self.every.append(self)

    def add_scalar(self, tag: str, value: float, step: int, when: float) -> None:
        self.told.append((step, tag, value, when))

    def add_text(self, tag: str, text: str, step: int, when: float) -> None:
        self.told.append((step, tag, text, when))

    def flush(self) -> None:
        self.told.append(("flush",))

    def close(self) -> None:
        self.told.append(("close",))


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    """TensorBoard where it is not installed."""
    package, ours = ModuleType("tensorboard"), ModuleType("torch.utils.tensorboard")
    package.__spec__ = ModuleSpec("tensorboard", None)
    ours.SummaryWriter = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorboard", package)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", ours)
    monkeypatch.setattr(StandIn, "every", [])
    return StandIn.every


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tensorboard")
    corpus = write_corpus(home / "corpus.jsonl", 40)
    assert main(["vocab", str(corpus), "--size", "120", "--out", str(home / "vocab")]) == 0
    arguments = ["--vocab", str(home / "vocab"), "--out", str(home / "shards"), "--held-out", "0.1"]
    assert main(["prepare", str(corpus), *arguments]) == 0
    return home / "shards"


def pretrain(shards: Path, out: Path, *arguments: str) -> int:
    return main(["pretrain", "quickstart", "--data", str(shards), "--out", str(out), *SETTINGS, *arguments])


def metrics(out: Path) -> list[tuple[Any, ...]]:
    """(step, name, value) of every number and event in metrics.jsonl."""
    rows = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines()]
    return [
        (row["step"], name, value)
        for row in rows
        for name, value in row.items()
        if name != "step" and not isinstance(value, list)
    ]


def untagged(board: StandIn) -> list[tuple[Any, ...]]:
    """What a board was told, under the names of metrics.jsonl."""
    names = {"training/": "", "held_out/": "held_out_", "dev/": "dev_", "events": "event"}
    found = []
    for step, tag, value, _ in (told for told in board.told if len(told) > 1):
        beginning = next(each for each in names if tag.startswith(each))
        found.append((step, names[beginning] + tag.removeprefix(beginning), value))
    return found


def kill_after(out: Path, step: int) -> None:
    """Leave what a kill left that came before the next checkpoint."""
    for state in (out / "run/checkpoints").iterdir():
        if int(state.name.removeprefix("step-")) > step:
            shutil.rmtree(state)
    (out / "config.json").unlink()


def test_names_times_and_flushes(boards: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.recipes.tensorboard.time.time", lambda: 1000.0)
    earlier = [{"step": 2, "loss": 7.5, "seconds": 10.0}]
    board = Board(tmp_path, earlier, seconds=30.0)
    board.add({"step": 4, "held_out_mlm_loss": 7.25, "held_out_by_frequency": [{"from": 1, "to": 9}]})
    board.add({"step": 4, "event": "one step was skipped"})
    board.close()
    assert boards[0].told == [
        (2, "training/loss", 7.5, 980.0),  # ten seconds of the run; it is at thirty now
        (2, "training/seconds", 10.0, 980.0),
        ("flush",),
        (4, "held_out/mlm_loss", 7.25, 980.0),
        ("flush",),
        (4, "events", "one step was skipped", 980.0),
        ("flush",),
        ("close",),
    ]


def test_a_run_that_went_on_is_told_once(boards: list[StandIn], shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert pretrain(shards, out, "--tensorboard") == 0
    assert untagged(boards[0]) == metrics(out)
    kill_after(out, 4)
    assert pretrain(shards, out, "--resume", "--tensorboard") == 0
    first, second = boards
    assert first.told[-1] == second.told[-1] == ("close",)
    assert second.purge_step == 0
    assert untagged(second) == metrics(out)
    steps = [step for step, name, _ in untagged(second) if name == "loss"]
    assert steps == [2, 4, 6, 8]
    # The steps that were done again are not beside those of before.
    files = {path.name: path.read_text() for path in (out / "run/tensorboard").iterdir()}
    assert files == {"events.out.tfevents.0": "", "events.out.tfevents.1": "written"}


def test_a_run_begun_without_it(boards: list[StandIn], shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert pretrain(shards, out) == 0
    assert boards == []
    assert not (out / "run/tensorboard").exists()
    kill_after(out, 4)
    assert pretrain(shards, out, "--resume", "--tensorboard") == 0
    assert untagged(boards[0]) == metrics(out)


def test_begun_anew(boards: list[StandIn], shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert pretrain(shards, out, "--tensorboard") == 0
    assert pretrain(shards, out, "--overwrite") == 0
    assert len(boards) == 1
    assert not (out / "run/tensorboard").exists()


def test_fine_tuning_has_it_too(boards: list[StandIn], shards: Path, tmp_path: Path) -> None:
    assert pretrain(shards, tmp_path / "model") == 0
    rows = write_rows(tmp_path / "rows.jsonl", 40, 1)
    task = ["--task", "classify", "--train", str(rows), "--dev", str(rows), "--set", "max_length=32"]
    out = tmp_path / "classifier"
    arguments = [*task, "--set", "epochs=1", "--set", "batch_size=8", "--out", str(out), "--tensorboard"]
    assert main(["finetune", str(tmp_path / "model"), *arguments]) == 0
    assert untagged(boards[0]) == metrics(out)
    assert "dev/accuracy" in {told[1] for told in boards[0].told if len(told) > 1}


def test_without_the_package_nothing_is_written(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    out = tmp_path / "model"
    assert pretrain(shards, out, "--tensorboard") == 2
    rows = write_rows(tmp_path / "rows.jsonl", 10, 1)
    arguments = ["--task", "classify", "--train", str(rows), "--dev", str(rows), "--out", str(out), "--tensorboard"]
    assert main(["finetune", str(tmp_path), *arguments]) == 2
    wanted = "bertwright: `--tensorboard` needs TensorBoard; pip install 'bertwright[tensorboard]'"
    assert capsys.readouterr().err.splitlines() == [wanted, wanted]
    assert not out.exists()


def test_tensorboard_reads_it(shards: Path, tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "model"
    assert pretrain(shards, out, "--tensorboard") == 0
    looking = reading.EventAccumulator(str(out / "run/tensorboard"))
    looking.Reload()
    kill_after(out, 4)
    assert pretrain(shards, out, "--resume", "--tensorboard") == 0
    wanted = [(step, value) for step, name, value in metrics(out) if name == "loss"]
    assert [step for step, _ in wanted] == [2, 4, 6, 8]
    # Both one that begins to look now, and one that looked on all the while.
    for reader in (reading.EventAccumulator(str(out / "run/tensorboard")), looking):
        reader.Reload()
        scalars = reader.Scalars("training/loss")
        assert [(each.step, each.value) for each in scalars] == [(step, pytest.approx(value)) for step, value in wanted]
        assert [each.step for each in reader.Scalars("held_out/mlm_loss")] == [4, 8]
        assert [each.step for each in reader.Tensors("events/text_summary")] == [4]
