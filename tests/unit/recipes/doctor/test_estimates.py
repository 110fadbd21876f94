from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bertwright.batches.random_rows import random_batch
from bertwright.cli.main import main
from bertwright.encoder.config import PRESETS
from bertwright.examples.settings import ExampleSettings
from bertwright.heads.model import PRETRAINING, parameter_table
from bertwright.recipes.doctor import estimates
from bertwright.recipes.doctor.estimates import Speed, time_preset
from bertwright.tasks.operations import operations_per_token
from bertwright.training.signals import StopWish
from tests.made_text import write_corpus


def test_operations_are_some_six_a_weight_of_the_layers() -> None:
    # The rule of thumb is 6 for each weight; attention adds to it, the last layer and the head (at 15%) take from it.
    for name, config in PRESETS.items():
        rows = {row.name: row.parameters for row in parameter_table(config, PRETRAINING)}
        layers = rows[f"{config.num_hidden_layers} layers"]
        head = 0.15 * (config.vocab_size + config.hidden_size) * config.hidden_size
        found = operations_per_token(config, ExampleSettings())
        assert 0.7 < found / (6 * (layers + head)) < 1.1, name
    longer = ExampleSettings(max_length=512)
    assert operations_per_token(PRESETS["bert-base"], longer) > operations_per_token(
        PRESETS["bert-base"], ExampleSettings()
    )


def test_operations_are_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from bertwright.heads.model import Bert
    from bertwright.tasks.pretrain import objective

    config, examples = PRESETS["bert-mini"].replaced(["vocab_size=5000"]), ExampleSettings()
    model = Bert(config, PRETRAINING)
    model.initialise(0)
    batch = random_batch(config.vocab_size, 2, examples.max_length, examples.max_predictions)
    with FlopCounterMode(display=False) as counter:
        loss, _ = objective(model, batch, batch.counts)
        loss.backward()
    ours = operations_per_token(config, examples) * 2 * examples.max_length
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_rates_between_two_widths_lie_between() -> None:
    speeds = [
        Speed(preset=name, threads=1, busy=False, operations_per_second=rate, batch_size=1, seconds_a_step=1)
        for name, rate in (("bert-tiny", 1e9), ("bert-small", 4e9))
    ]
    found = [estimates._rate(PRESETS[f"bert-{name}"], speeds) for name in ("tiny", "mini", "small", "large")]
    assert found == pytest.approx([1e9, 2e9, 4e9, 4e9])
    assert estimates._rate(PRESETS["bert-base"], speeds[:1]) == pytest.approx(1e9)


def test_a_step_is_timed_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "_SECONDS", 0.01)
    monkeypatch.setattr(estimates, "_SHORTEST_STEP", 0.0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    speed = time_preset("bert-tiny", 100, ExampleSettings(max_length=16), torch.device("cpu"), StopWish())
    assert torch.equal(before, torch.get_rng_state())
    assert speed.operations_per_second > 0
    assert speed.seconds_a_step > 0


def test_cores_that_others_keep_busy_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    steps = iter([3.0, 0.2, 0.1, 0.2])  # with all threads, with one; on a busy machine, on a quiet one
    monkeypatch.setattr(estimates, "_step_seconds", lambda *_, **__: next(steps))
    found = [time_preset("bert-tiny", 100, ExampleSettings(), torch.device("cpu"), StopWish()) for _ in range(2)]
    assert [(speed.threads, speed.busy, speed.seconds_a_step) for speed in found] == [(1, True, 0.2), (2, False, 0.1)]
    assert set_to == [1, 2, 1, 2]


def test_times_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(estimates, "_SECONDS", 0.01)
    corpus = write_corpus(tmp_path / "corpus.jsonl", 100)
    assert main(["doctor", str(corpus), "--workers", "1", "--epochs", "3", "--json"]) == 0
    timing = json.loads(capsys.readouterr().out)["timing"]
    assert [row["preset"] for row in timing["presets"]] == list(PRESETS)
    seconds = [row["epoch_seconds"] for row in timing["presets"]]
    assert seconds == sorted(seconds)
    assert all(row["epochs_seconds"] == pytest.approx(3 * row["epoch_seconds"]) for row in timing["presets"])
    assert timing["prepare_seconds_one_core"] > 0
    assert main(["doctor", str(corpus), "--workers", "1", "--epochs", "3"]) == 0
    told = capsys.readouterr().out
    assert "bert-large" in told
    assert "3 epochs" in told
