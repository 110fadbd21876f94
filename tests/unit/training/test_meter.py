from __future__ import annotations

import pytest
import torch

from bertwright.training.meter import Meter, Report
from bertwright.training.world import alone


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows: its one value may be set."""
    now = [100.0]
    monkeypatch.setattr("bertwright.training.meter.time.perf_counter", lambda: now[0])
    return now


def test_means_over_the_steps_and_tokens_a_second(clock: list[float]) -> None:
    meter = Meter(alone(torch.device("cpu")))
    for loss in (3.0, 1.0):
        meter.add({"loss": torch.tensor(loss), "accuracy": torch.tensor(0.5, dtype=torch.bfloat16)})
        meter.tokens += 300
    clock[0] += 2.0
    assert meter.report(7, 0.1) == Report(7, 0.1, {"loss": 2.0, "accuracy": 0.5}, 300.0, skipped=0)


def test_skipped_steps_are_counted_and_are_in_no_mean(clock: list[float]) -> None:
    meter = Meter(alone(torch.device("cpu")))
    meter.add({"loss": torch.tensor(3.0)})
    meter.skip()
    meter.skip()
    clock[0] += 1.0
    assert meter.report(3, 0.1) == Report(3, 0.1, {"loss": 3.0}, 0.0, skipped=2)


def test_where_all_steps_were_skipped_there_is_no_figure(clock: list[float]) -> None:
    meter = Meter(alone(torch.device("cpu")))
    meter.skip()
    clock[0] += 1.0
    assert meter.report(1, 0.1) == Report(1, 0.1, {}, 0.0, skipped=1)


def test_a_report_and_a_restart_begin_anew(clock: list[float]) -> None:
    meter = Meter(alone(torch.device("cpu")))
    for forget in (lambda: meter.report(1, 0.1), meter.restart):
        meter.add({"loss": torch.tensor(9.0)})
        meter.skip()
        meter.tokens += 1000
        clock[0] += 5.0
        forget()
    # What is measured begins with the restart: neither its tokens nor its time are those of the steps.
    meter.add({"loss": torch.tensor(1.0)})
    meter.tokens += 8
    clock[0] += 4.0
    assert meter.report(2, 0.1) == Report(2, 0.1, {"loss": 1.0}, 2.0, skipped=0)
