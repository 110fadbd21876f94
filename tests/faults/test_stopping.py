"""A run that is stopped or killed goes on, and ends in the very same weights."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bertwright.cli.main import main
from tests.made_text import write_rows
from tests.small_runs import prepare_shards, wait_for, weights

# Dropout is on, so that its random numbers are part of what must come out the same.
SETTINGS = [
    "--set", "model.preset=bert-tiny",
    "--set", "model.hidden_dropout_prob=0.1",
    "--set", "model.attention_probs_dropout_prob=0.1",
    "--set", "examples.max_length=48",
    "--set", "training.steps=60",
    "--set", "training.batch_size=7",
    "--set", "training.precision=fp32",
    "--set", "training.log_every=5",
    "--set", "training.evaluate_every=30",
    "--set", "training.save_every=10",
]  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_shards(tmp_path_factory.mktemp("stopping"))


@pytest.fixture(scope="module")
def straight(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("straight") / "model"
    assert main(["pretrain", "quickstart", "--data", str(shards), "--out", str(out), *SETTINGS]) == 0
    return weights(out)


def command(shards: Path, out: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "bertwright",
        "pretrain",
        "quickstart",
        "--data",
        str(shards),
        "--out",
        str(out),
        *SETTINGS,
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_disturbed_run_ends_in_the_same_weights(
    shards: Path, straight: str, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "model"
    process = subprocess.Popen(command(shards, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Three reports are 15 steps: past the first checkpoint, far from the end.
    wait_for(out / "run/metrics.jsonl", 3, process)
    process.send_signal(number)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert "and saved; go on with --resume" in talk
    assert not (out / "config.json").exists()

    again = subprocess.run([*command(shards, out), "--resume"], capture_output=True, text=True, check=True)
    assert "going on from step" in again.stderr
    assert weights(out) == straight
    steps = [line for line in (out / "run/metrics.jsonl").read_text().splitlines() if '"learning_rate"' in line]
    assert len(steps) == len(set(steps))


def test_a_second_process_is_kept_out(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    process = subprocess.Popen(command(shards, out), stderr=subprocess.PIPE, text=True)
    wait_for(out / "run/metrics.jsonl", 1, process)
    # Held still, so that the run cannot end before the other has asked: it lasts no longer than an import of torch.
    process.send_signal(signal.SIGSTOP)
    other = subprocess.run([*command(shards, out), "--resume"], capture_output=True, text=True, check=False)
    process.kill()
    process.communicate()
    assert other.returncode == 2
    assert "another process is writing this directory" in other.stderr


def test_a_resume_with_another_recipe_is_refused(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model")
    short = [*SETTINGS, "--set", "training.steps=2"]
    assert main(["pretrain", "quickstart", "--data", str(shards), "--out", out, *short]) == 0
    for name, was, wanted in (("learning_rate", "0.001", "0.5"), ("steps", "2", "4")):
        changed = [*short, "--set", f"training.{name}={wanted}", "--resume"]
        assert main(["pretrain", "quickstart", "--data", str(shards), "--out", out, *changed]) == 2
        message = capsys.readouterr().err.splitlines()[-1]
        assert message == (
            f"bertwright: {out}: the run began otherwise: `{name}` was {was} and is {wanted}; "
            "resume it with everything that it began with, "
            f"or, once its model is there, go on from that with --init {out} and another --out"
        )


def test_fine_tuning_goes_on_too(shards: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    assert main(["pretrain", "quickstart", "--data", str(shards), "--out", str(model), *SETTINGS]) == 0
    train = write_rows(tmp_path / "train.jsonl", 200, 1)
    dev = write_rows(tmp_path / "dev.jsonl", 30, 2)
    arguments = [sys.executable, "-m", "bertwright", "finetune", str(model), "--task", "classify"]
    arguments += ["--train", str(train), "--dev", str(dev), "--set", "epochs=6", "--set", "batch_size=4"]
    arguments += ["--set", "precision=fp32", "--set", "dropout=0.1"]
    straight, disturbed = tmp_path / "straight", tmp_path / "disturbed"
    subprocess.run([*arguments, "--out", str(straight)], check=True, capture_output=True)
    process = subprocess.Popen([*arguments, "--out", str(disturbed)], stderr=subprocess.PIPE, text=True)
    wait_for(disturbed / "run/metrics.jsonl", 8, process)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    subprocess.run([*arguments, "--out", str(disturbed), "--resume"], check=True, capture_output=True)
    assert weights(straight) == weights(disturbed)
    for name in ("classes.json", "errors.jsonl"):
        assert (straight / "dev" / name).read_bytes() == (disturbed / "dev" / name).read_bytes()
    # Once more, after the end: what it showed is shown again.
    (disturbed / "dev/classes.json").unlink()
    (disturbed / "dev/scatter.png").write_bytes(b"of another task")
    subprocess.run([*arguments, "--out", str(disturbed), "--resume"], check=True, capture_output=True)
    assert sorted(path.name for path in (disturbed / "dev").iterdir()) == sorted(
        path.name for path in (straight / "dev").iterdir()
    )


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    shards: Path, straight: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    process = subprocess.Popen(command(shards, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(out / "run/run.json", 1, process)
    process.kill()
    process.communicate()
    # Had it come further than its first lines, what it left is that of a run that had not.
    for state in (out / "run/checkpoints").iterdir():
        shutil.rmtree(state)
    arguments = ["pretrain", "quickstart", "--data", str(shards), "--out", str(out), *SETTINGS]
    assert main([*arguments, "--resume"]) == 0
    assert "no checkpoint had been written yet: beginning again with step 0 of 60\n" in capsys.readouterr().err
    assert weights(out) == straight


def test_a_run_that_was_killed_before_it_was_written_down_is_simply_started_again(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    arguments = ["pretrain", "quickstart", "--data", str(shards), "--out", str(out), *SETTINGS]
    arguments += ["--set", "training.steps=1"]
    (out / "run/checkpoints").mkdir(parents=True)
    (out / "run/.run.json.bertwright-partial").write_text('{"recipe"')
    assert main([*arguments, "--resume"]) == 2
    told = f"bertwright: {out}: holds no run to go on with; start it without --resume"
    assert capsys.readouterr().err.splitlines()[-1] == told
    assert main([*arguments, "--resume", "--overwrite"]) == 2
    assert "`--overwrite` would clear away what `--resume` goes on with" in capsys.readouterr().err
    assert main(arguments) == 0
    assert (out / "config.json").exists()


@pytest.mark.parametrize("name", ["thesis.txt", "run/thesis.txt", "run/checkpoints/thesis.txt"])
def test_a_folder_that_only_looks_like_one_is_not_touched(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = tmp_path / "model"
    (out / "run/checkpoints").mkdir(parents=True)
    (out / name).write_text("mine")
    assert main(["pretrain", "quickstart", "--data", str(shards), "--out", str(out), *SETTINGS]) == 2
    told = f"bertwright: {out}: exists and is not empty; choose another name, or give --overwrite"
    assert capsys.readouterr().err.splitlines()[-1] == told
    assert (out / name).read_text() == "mine"
