"""Pretraining with damaged checkpoints, a full disk, gradients that are no numbers, and processes that go away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bertwright.checkpoints import writer
from bertwright.checkpoints.training_state import TrainingState, write_state
from bertwright.cli.main import main
from bertwright.recipes import pretrain as pretraining
from bertwright.tasks.pretrain import held_out_scores
from tests.small_runs import SMALL, events, flags, metrics, prepare_shards, wait_for, weights

# Twelve steps, three checkpoints of some 120 kB. Dropout is on, so that its draws are part of what comes out the same.
SETTINGS = [
    *SMALL,
    "model.hidden_dropout_prob=0.1",
    "evaluation_examples=20",
    "training.steps=12",
    "training.batch_size=7",
    "training.log_every=2",
    "training.evaluate_every=6",
    "training.save_every=4",
]
PLAIN = ["-m", "bertwright"]
NEWEST = "step-00000012"
# The command line with a disk that takes two seconds for a checkpoint.
SLOW = """
import sys, time
import bertwright.checkpoints.writer as under_test
from bertwright.cli.main import main

def slowly(*state, original=under_test.write_state, **how):
    time.sleep(2)
    return original(*state, **how)

under_test.write_state = slowly
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_shards(tmp_path_factory.mktemp("pretraining"))


@pytest.fixture(scope="module")
def straight(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("straight") / "model"
    assert main(arguments(shards, out)) == 0
    return out


@pytest.fixture
def killed(straight: Path, tmp_path: Path) -> Path:
    """What a kill after the last checkpoint leaves of that run."""
    out = tmp_path / "model"
    shutil.copytree(straight / "run", out / "run")
    return out


def arguments(shards: Path, out: Path, *settings: str) -> list[str]:
    every = flags([*SETTINGS, *settings])
    return ["pretrain", "quickstart", "--data", str(shards), "--out", str(out), *every]


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def states(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "run/checkpoints").iterdir())


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_ends_in_the_same_weights(
    shards: Path, straight: Path, killed: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = killed / "run/checkpoints" / NEWEST / name
    flip(damaged)
    assert main([*arguments(shards, killed), "--resume"]) == 0
    lines = told(capsys)
    (line,) = [line for line in lines if "going back" in line]
    assert line.startswith(f"{damaged}: ")
    assert line.endswith(f"; going back to step 8, and the damaged checkpoint is kept as {NEWEST}.damaged")
    assert "going on from step 8 of 12" in lines
    assert weights(killed) == weights(straight)
    assert states(killed) == ["step-00000008", NEWEST, f"{NEWEST}.damaged"]
    assert events(killed) == [(8, line), (8, "went on, one process")]


def test_what_a_kill_left_half_written_is_named_and_kept_with_the_figures(
    shards: Path, straight: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = killed / "run/checkpoints"
    partial = checkpoints / f".{NEWEST}.bertwright-partial"
    (checkpoints / NEWEST).rename(partial)
    assert main([*arguments(shards, killed), "--resume"]) == 0
    line = f"{partial}: a checkpoint that was being written or removed when the run was killed; removed"
    assert line in told(capsys)
    assert events(killed) == [(8, line), (8, "went on, one process")]
    assert weights(killed) == weights(straight)
    # Before the first one was whole, there is nothing to go on from, and the figures say so all the same.
    (checkpoints / NEWEST).rename(partial)
    shutil.rmtree(checkpoints / "step-00000008")
    assert main([*arguments(shards, killed), "--resume"]) == 0
    assert events(killed) == [(0, line)]
    assert weights(killed) == weights(straight)


def test_where_all_checkpoints_are_damaged_one_line_says_so(
    shards: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in states(killed):
        flip(killed / "run/checkpoints" / name / "model.safetensors")
    before = states(killed)
    assert main([*arguments(shards, killed), "--resume"]) == 2
    assert told(capsys)[-1] == (
        f"bertwright: {killed}/run/checkpoints/{NEWEST}/model.safetensors: does not match its checksum; "
        "no earlier checkpoint is left to go back to: begin anew with --overwrite"
    )
    assert states(killed) == before
    assert not (killed / "config.json").exists()


@pytest.fixture
def full_disk(straight: Path, small_disk: Path) -> Path:
    """A disk with room for the first checkpoint, and not for a second beside it; for a model it would do."""
    state = sum(path.stat().st_size for path in (straight / "run/checkpoints" / NEWEST).iterdir())
    subprocess.run(["mount", "-o", f"remount,size={state * 9 // 5}", str(small_disk)], check=True)
    return small_disk


def test_on_a_full_disk_it_stops_and_goes_on_once_there_is_room(
    shards: Path, straight: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = full_disk / "model"
    assert main(arguments(shards, out)) == 1
    assert told(capsys)[-1] == (
        f"bertwright: {out}/run/checkpoints: the disk is full, so the checkpoint of step 8 was not kept; "
        "that of step 4 is. Free some space and go on with --resume"
    )
    assert states(out) == ["step-00000004"]
    assert not (out / "config.json").exists()
    subprocess.run(["mount", "-o", "remount,size=16m", str(full_disk)], check=True)
    assert main([*arguments(shards, out), "--resume"]) == 0
    assert "going on from step 4 of 12" in told(capsys)
    assert weights(out) == weights(straight)


def test_on_a_full_disk_it_may_go_on(
    shards: Path, straight: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = full_disk / "model"
    assert main(arguments(shards, out, 'machine.when_disk_full="go on"')) == 0
    lines = told(capsys)
    full = [
        f"{out}/run/checkpoints: the disk is full, so the checkpoint of step {step} was not kept; "
        "that of step 4 is. Training goes on, and the next save tries again"
        for step in (8, 12)
    ]
    assert [line for line in lines if "checkpoint of" in line] == full
    assert events(out) == [(8, full[0]), (12, full[1])]
    assert states(out) == ["step-00000004"]
    assert weights(out) == weights(straight)
    assert [row["step"] for row in metrics(out) if "loss" in row] == [2, 4, 6, 8, 10, 12]  # nothing of it is lost
    # The picture is larger than what is left.
    assert f"{out}/run/curves.png: the disk is full, so the curves were not drawn" in lines


def test_a_best_state_that_found_no_room_is_not_the_best(
    shards: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full while the state of step 8 is written: of those that are there, that of step 12 is the best."""
    losses = iter([3.0, 1.0, 2.0])

    def write(folder: Path, state: TrainingState, **how: bool) -> Path:
        ballast = small_disk / "ballast"
        if state.step == 8:
            ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 50_000))
        try:
            return write_state(folder, state, **how)
        finally:
            ballast.unlink(missing_ok=True)

    def scores(*of: Any) -> dict[str, float]:
        return held_out_scores(*of) | {"mlm_loss": next(losses)}

    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    monkeypatch.setattr(writer, "write_state", write)
    monkeypatch.setattr(pretraining, "held_out_scores", scores)
    out = small_disk / "model"
    how = ['machine.when_disk_full="go on"', "training.evaluate_every=4"]
    assert main(arguments(shards, out, *how)) == 0
    heads = [json.loads((out / "run/checkpoints" / name / "state.json").read_text()) for name in states(out)]
    kept = [(head["step"], head["best"], head["values"]["best"]) for head in heads]
    assert kept == [(4, True, 3.0), (12, True, 2.0)]


def test_a_model_that_finds_no_room_is_written_later(
    shards: Path, straight: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = full_disk / "model"
    shutil.copytree(straight / "run", out / "run", ignore=shutil.ignore_patterns("step-00000008", "*.png"))
    (full_disk / "ballast").write_bytes(bytes(shutil.disk_usage(full_disk).free - 50_000))
    assert main([*arguments(shards, out), "--resume"]) == 1
    what = "the disk is full, so the model was not written; free some space and go on with --resume"
    assert told(capsys)[-1] == f"bertwright: {out}: {what}"
    (full_disk / "ballast").unlink()
    assert main([*arguments(shards, out), "--resume"]) == 0
    assert weights(out) == weights(straight)


def test_gradients_that_are_no_numbers(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At such a rate the first step throws the weights so far away that nothing can be computed with them."""
    out = tmp_path / "model"
    wild = ['training.optimizer="adamw"', "training.learning_rate=1e30", "training.warmup_fraction=0"]
    wild += ["training.max_skipped_steps=5"]
    assert main(arguments(shards, out, *wild)) == 1
    lines = told(capsys)
    assert lines[-1] == (
        "bertwright: the gradient was not finite in 5 steps in a row, the last of them step 6 (learning rate 5.83e+29, "
        "examples 35 to 41 of epoch 0); they were skipped. Begin anew with a lower learning_rate or a longer warm-up, "
        "or look at those examples"
    )
    assert "step 4: 2 steps were skipped: the gradient was not finite" in lines
    before = {name: (out / "run/checkpoints" / name / "state.json").read_bytes() for name in states(out)}
    # What was saved is whole, and the end is the same again.
    assert main([*arguments(shards, out, *wild), "--resume"]) == 1
    assert told(capsys)[-1] == lines[-1]
    assert before == {name: (out / "run/checkpoints" / name / "state.json").read_bytes() for name in before}
    assert events(out) == [
        (2, "one step was skipped: the gradient was not finite"),
        (4, "2 steps were skipped: the gradient was not finite"),
        (4, "went on, one process"),
        (6, "ended: the gradient was not finite in 5 steps in a row"),
    ]
    assert main(["report", str(out), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "the gradient was not finite" in page
    assert "went on, one process" in page


def test_the_machine_may_change_on_the_way_and_the_training_may_not(
    shards: Path, straight: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(killed / "run/checkpoints" / NEWEST)
    assert main([*arguments(shards, killed, "training.seed=1"), "--resume"]) == 2
    assert told(capsys)[-1] == (
        f"bertwright: {killed}: the run began otherwise: `seed` was 0 and is 1; "
        "resume it with everything that it began with, "
        f"or, once its model is there, go on from that with --init {killed} and another --out"
    )
    machine = ["recompute=true", "keep_checkpoints=1", 'when_disk_full="go on"', 'sharding="hybrid"']
    assert main([*arguments(shards, killed, *(f"machine.{each}" for each in machine)), "--resume"]) == 0
    assert weights(killed) == weights(straight)
    assert states(killed) == [NEWEST]


def two_processes(program: Sequence[str], shards: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    # Sixty steps last long enough for a signal to hit one of them.
    command += [*program, *arguments(shards, out, "training.steps=60"), *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """The exit code and what our own processes said last, without what torchrun says of them."""
    _, talk = process.communicate(timeout=120)
    return process.returncode, [line for line in talk.splitlines() if line.startswith("bertwright: ")]


def process_of(launcher: subprocess.Popen[str], rank: int) -> int:
    """The number of the process of a rank."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().split(b"\0")
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == launcher.pid and f"RANK={rank}".encode() in variables:
            return int(path.parent.name)
    raise AssertionError("it has ended")


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_and_then_one_is_told_to_stop(shards: Path, tmp_path: Path) -> None:
    """Either ends the whole run with one line, and going on twice ends in the weights of a run left in peace."""
    straight, out, slow = tmp_path / "straight", tmp_path / "model", tmp_path / "slow.py"
    slow.write_text(SLOW)
    process = two_processes(PLAIN, shards, straight)
    assert ended(process) == (0, [])

    process = two_processes(PLAIN, shards, out)
    wait_for(out / "run/metrics.jsonl", 5, process)
    os.kill(process_of(process, 1), signal.SIGKILL)
    code, lines = ended(process)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("bertwright: process 0 of 2: another process of the run is gone (")
    assert lines[0].endswith("); go on with --resume")

    # The one that writes the checkpoints is told, and takes its time: the other, done at once, waits for it.
    process = two_processes([str(slow)], shards, out, "--resume")
    wait_for(out / "run/metrics.jsonl", 2, process, after="went on")
    os.kill(process_of(process, 0), signal.SIGTERM)
    code, lines = ended(process)
    assert code == 1  # torchrun's own, whatever the processes end with
    assert len(lines) == 1
    assert lines[0].startswith("bertwright: stopped at step ")
    assert lines[0].endswith(" of 60 and saved; go on with --resume")
    stopped = int(lines[0].split()[4])
    assert states(out)[-1] == f"step-{stopped:08d}"

    process = two_processes(PLAIN, shards, out, "--resume")
    assert ended(process) == (0, [])
    assert (stopped, "went on, 2 processes") in events(out)
    assert weights(out) == weights(straight)
