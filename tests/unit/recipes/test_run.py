from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import Bert, Parts
from bertwright.progress import Silent
from bertwright.recipes.run import Run, open_run
from bertwright.training.loop import Trainee
from bertwright.training.settings import MachineSettings
from bertwright.training.world import World, alone

CPU = torch.device("cpu")
SMALL = EncoderConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)


class Told(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def begun(out: Path, progress: Silent, world: World | None = None) -> Run:
    run = Run(out, MachineSettings(), world or alone(CPU), progress, tensorboard=False)
    run.folder.mkdir(exist_ok=True)
    return run


def fill(disk: Path) -> Path:
    """Take all that is left of a disk."""
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(1 << 20))
    return ballast


def test_on_a_full_disk_metrics_wait_and_no_half_line_stays(small_disk: Path) -> None:
    told = Told()
    run = begun(small_disk, told)
    run.record({"step": 1})
    ballast = fill(small_disk)
    # A part of it would fit into the page that the file has already.
    run.record({"step": 2, "event": "long" * 2000})
    run.record({"step": 3})
    assert run.metrics_path.read_text() == '{"step": 1}\n'
    ballast.unlink()
    run.record({"step": 4})
    assert [row["step"] for row in run.metrics()] == [1, 2, 3, 4]
    assert told.lines == []


def test_what_finds_no_room_to_the_end_is_told(small_disk: Path) -> None:
    told = Told()
    run = begun(small_disk, told)
    fill(small_disk)
    run.record({"step": 1})
    run.record({"step": 2})
    run._close_metrics()
    assert told.lines == [f"{run.metrics_path}: the disk is full, and its last 2 lines are lost"]


def test_one_process_alone_writes(tmp_path: Path) -> None:
    run = begun(tmp_path, Silent(), World(CPU, 1, 2))
    run.record({"step": 1})
    assert not run.metrics_path.exists()


def test_where_nothing_was_saved_what_was_measured_before_the_first_step_comes_again(tmp_path: Path) -> None:
    run = begun(tmp_path, Silent())
    run.checkpoints.mkdir()
    run.record({"step": 0, "general_mlm_loss": 2.5})
    assert run.restore(Trainee(Bert(SMALL, Parts()), ()), steps=10) == {}
    assert run.metrics() == []


def test_the_time_that_a_run_took_is_that_of_its_last_report(tmp_path: Path) -> None:
    run = begun(tmp_path, Silent())
    assert run.told_seconds() == 0
    run.record({"step": 1, "seconds": 1.5})
    run.record({"step": 2, "seconds": 4.0})
    run.record({"step": 2, "event": "one step was skipped"})
    assert run.told_seconds() == 4.0


def test_beginning_anew_removes_what_a_fine_tuning_showed_and_no_more(tmp_path: Path) -> None:
    # A model alone, as it was copied: without the run that made it.
    (tmp_path / "dev").mkdir()
    for name in ("config.json", "dev/confusion.png", "dev/errors.jsonl", "dev/notes.txt"):
        (tmp_path / name).write_text("{}")
    with open_run(tmp_path, {}, world=alone(CPU), resume=False, overwrite=True, progress=Silent()):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["dev", "run"]
        assert [path.name for path in (tmp_path / "dev").iterdir()] == ["notes.txt"]
