"""One, two and four processes train the same model, with copies of it or with shares, and one takes over from two."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.small_runs import prepare_shards

pytestmark = pytest.mark.slow

# Twelve examples go to 1, 2, 4 and 5 processes; five at once make parts of unequal size. Dropout is on.
SETTINGS = [
    "--set", "model.preset=bert-tiny",
    "--set", "model.hidden_dropout_prob=0.1",
    "--set", "model.attention_probs_dropout_prob=0.1",
    "--set", "examples.max_length=32",
    "--set", "evaluation_examples=20",
    "--set", "training.steps=12",
    "--set", "training.batch_size=12",
    "--set", "training.precision=fp32",
    "--set", "training.log_every=3",
    "--set", "training.evaluate_every=4",
    "--set", "training.save_every=4",
]  # fmt: skip


@dataclass
class Kit:
    shards: Path
    home: Path

    def run(self, name: str, processes: int, *arguments: str, nodes: int = 1) -> Path:
        """Pretrain in so many processes, on so many nodes (here all on this machine); returns the model directory."""
        out = self.home / name
        command = ["-m", "bertwright", "pretrain", "quickstart", "--data", str(self.shards), "--out", str(out)]
        command += [*SETTINGS, *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        started = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for node in range(nodes):
            launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes // nodes}", f"--nnodes={nodes}"]
            launcher += [f"--node-rank={node}", "--master-addr=127.0.0.1", f"--master-port={port}"]
            whole = [sys.executable, *(launcher if processes > 1 else []), *command]
            started.append(subprocess.Popen(whole, stderr=subprocess.PIPE, text=True, env=environment))
        for process in started:
            _, talk = process.communicate(timeout=300)
            assert process.returncode == 0, talk
        return out


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    home = tmp_path_factory.mktemp("processes")
    return Kit(prepare_shards(home), home)


@pytest.fixture(scope="module")
def alone(kit: Kit) -> Path:
    return kit.run("alone", 1)


def curve(out: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines()]
    told = ("learning_rate", "loss", "mlm_accuracy", "nsp_accuracy", "gradient_norm", "held_out_mlm_loss")
    return [{name: row[name] for name in ("step", *told) if name in row} for row in rows if "event" not in row]


def assert_same(out: Path, wanted: Path) -> None:
    found, expected = curve(out), curve(wanted)
    assert [row["step"] for row in found] == [3, 4, 4, 6, 8, 8, 9, 12, 12]  # twice where held-out text is measured
    for row, same in zip(found, expected, strict=True):
        assert row == pytest.approx(same, rel=2e-5)
    weights, others = (load_file(path / "model.safetensors") for path in (out, wanted))
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("processes", "nodes", "arguments"),
    [
        (1, 1, ["machine.micro_batch_size=5"]),
        (2, 1, []),
        (4, 1, ["machine.micro_batch_size=2"]),
        (5, 1, ["machine.micro_batch_size=1"]),  # two parts on three of them, three on the others
        (2, 1, ["machine.sharding=fsdp"]),
        (4, 2, ["machine.sharding=hybrid", "machine.micro_batch_size=2"]),
    ],
)
def test_any_number_of_processes_trains_the_same_model(
    kit: Kit, alone: Path, processes: int, nodes: int, arguments: list[str]
) -> None:
    name = "-".join([f"{processes}x{nodes}", *arguments]).replace("=", "-")
    flags = [flag for setting in arguments for flag in ("--set", setting)]
    assert_same(kit.run(name, processes, *flags, nodes=nodes), alone)


def test_a_run_goes_on_with_another_number_of_processes(kit: Kit, alone: Path) -> None:
    """Two processes to step 8 with shares of the weights, then one, as after the loss of a machine."""
    out = kit.run("moved", 2, "--set", "machine.sharding=fsdp", "--set", "machine.keep_checkpoints=9")
    # What a kill after the checkpoint of step 8 leaves.
    states = out / "run/checkpoints"
    for state in sorted(states.iterdir())[2:]:
        for file in state.iterdir():
            file.unlink()
        state.rmdir()
    (out / "config.json").unlink()
    assert sorted(state.name for state in states.iterdir()) == ["step-00000004", "step-00000008"]
    kit.run("moved", 1, "--resume")
    assert_same(out, alone)


def test_what_is_wrong_is_told_once(kit: Kit, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "bertwright", "pretrain"]
    command += ["quickstart", "--data", str(kit.shards), "--out", str(tmp_path), *SETTINGS]
    (tmp_path / "thesis.txt").write_text("mine")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("bertwright:")]
    assert told == [f"bertwright: {tmp_path}: exists and is not empty; choose another name, or give --overwrite"]


def test_more_processes_than_examples(kit: Kit, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "bertwright", "pretrain"]
    command += ["quickstart", "--data", str(kit.shards), "--out", str(tmp_path / "out"), *SETTINGS]
    done = subprocess.run([*command, "--set", "training.batch_size=1"], capture_output=True, text=True, check=False)
    cure = "start fewer processes, or set training.batch_size higher"
    assert f"bertwright: a step has 1 examples, and there are 2 processes; {cure}" in done.stderr
    assert not (tmp_path / "out").exists()
