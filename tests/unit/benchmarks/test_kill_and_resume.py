"""What benchmarks/kill_and_resume.py aims at, and that it sees a difference of one bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.kill_and_resume import differences, draw_instants
from bertwright.cli.main import main
from tests.made_text import write_corpus

SCRIPT = Path(__file__).parents[3] / "benchmarks/kill_and_resume.py"


def test_instants_come_in_order_and_follow_from_the_seed() -> None:
    instants = draw_instants(50, 0, 1000, 20, 2)
    assert instants == draw_instants(50, 0, 1000, 20, 2) != draw_instants(50, 1, 1000, 20, 2)
    aims = Counter(instant.aim for instant in instants)
    assert aims.total() == 50
    assert aims["writing"] >= 18  # 20 of 50, two of which may have made room for the first and the last
    assert aims["finishing"] == 1
    assert aims["starting"] >= 3
    assert instants[0].aim == "anywhere"
    assert instants[0].step < 20  # before the first checkpoint
    assert instants[-1].step == 1000
    steps = [instant.step for instant in instants if instant.aim in ("anywhere", "writing")]
    assert steps == sorted(steps)
    assert {instant.rank for instant in instants} == {None, 0, 1}
    assert {instant.rank for instant in draw_instants(50, 0, 1000, 20, 1)} == {None}


def write_run(out: Path) -> Path:
    """What the script looks at of a finished run."""
    state = out / "run/checkpoints/step-00000002"
    state.mkdir(parents=True)
    for path in (out / "model.safetensors", state / "model.safetensors"):
        save_file({"weight": torch.tensor([0.5, 0.0])}, path)
    save_file({"weight/exp_avg": torch.tensor([0.25, 1.0])}, state / "optimizer.safetensors")
    (state / "state.json").write_text(json.dumps({"values": {"seconds": 1.0, "best": 3.5}}))
    rows: list[dict[str, object]] = [{"step": 1, "loss": 4.0, "seconds": 0.1, "tokens_per_second": 70.0}]
    rows += [{"step": 1, "event": "went on, 1 processes"}, {"step": 2, "loss": 3.5, "seconds": 0.2}]
    (out / "run/metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return out


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    one = write_run(tmp_path / "one")
    return one, Path(shutil.copytree(one, tmp_path / "other"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_rates_seconds_and_events_do_not_count(runs: tuple[Path, Path]) -> None:
    change(runs[1] / "run/metrics.jsonl", "70.0", "35.0")
    change(runs[1] / "run/metrics.jsonl", '"seconds": 0.2', '"seconds": 0.4')
    change(runs[1] / "run/metrics.jsonl", '{"step": 1, "event": "went on, 1 processes"}\n', "")
    change(runs[1] / "run/checkpoints/step-00000002/state.json", '"seconds": 1.0', '"seconds": 2.0')
    assert differences(*runs) == []


def test_a_bit_of_the_weights_counts(runs: tuple[Path, Path]) -> None:
    path = runs[1] / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80  # 0 becomes -0
    path.write_bytes(content)
    assert torch.equal(load_file(path)["weight"], load_file(runs[0] / path.name)["weight"])
    assert differences(*runs) == ["model.safetensors"]


def test_a_bit_of_the_moments_counts(runs: tuple[Path, Path]) -> None:
    path = runs[1] / "run/checkpoints/step-00000002/optimizer.safetensors"
    content = bytearray(path.read_bytes())
    content[-4] ^= 1
    path.write_bytes(content)
    assert differences(*runs) == ["optimizer.safetensors: weight/exp_avg"]


def test_figures_and_missing_reports_count(runs: tuple[Path, Path]) -> None:
    change(runs[1] / "run/checkpoints/step-00000002/state.json", "3.5", "3.25")
    change(runs[1] / "run/metrics.jsonl", "4.0", "4.5")
    assert differences(*runs) == ["state.json: best", "metrics.jsonl, step 1: loss"]
    change(runs[1] / "run/metrics.jsonl", '{"step": 2, "loss": 3.5, "seconds": 0.2}\n', "")
    assert "metrics.jsonl: 2 rows, 1" in differences(*runs)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the script needs /proc")
def test_a_run_that_is_killed_twice(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 60)
    assert main(["vocab", str(corpus), "--size", "120", "--out", str(tmp_path / "vocab")]) == 0
    shards = tmp_path / "shards"
    arguments = ["--vocab", str(tmp_path / "vocab"), "--out", str(shards), "--held-out", "0.1"]
    assert main(["prepare", str(corpus), *arguments]) == 0
    command = [sys.executable, str(SCRIPT), "--kills", "2", "--steps", "100", "--shards", str(shards), "--json"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["ours"], row["identical"], row["differences"]) == (2, True, [])
    log = [json.loads(line) for line in (tmp_path / "kills.jsonl").read_text().splitlines()]
    assert [kill["kill"] for kill in log] == [1, 2]
    assert "going on from step" in (tmp_path / "talk/last.txt").read_text()
