"""How benchmarks/memory.py reads a run from outside, and the figures that it makes of it."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.memory import around, last_step, memory, slope


def test_the_slope_leaves_out_the_beginning() -> None:
    steps = np.arange(100, 1100, 100)
    held = 7 + 3 * steps
    held[0] = 10**9  # step 100 is in the first fifth
    assert slope(steps, held, 1000) == pytest.approx(3)


def test_one_sample_that_stands_out_is_not_told() -> None:
    steps, held = np.arange(1, 31), np.full(30, 50)
    held[9] = 900
    assert around(steps, held, 10) == 50


def test_the_last_step_is_that_of_the_last_whole_line(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    assert last_step(metrics) == 0
    metrics.write_text('{"step": 25, "loss": 7.0}\n{"step": 50, "loss": 6.5}\n{"step": 7')
    assert last_step(metrics) == 50


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the script needs /proc")
def test_memory_of_a_process() -> None:
    before = memory(os.getpid())
    # Fresh pages: what the process has freed before is taken again without growing.
    held = mmap.mmap(-1, 1 << 26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held.write(os.urandom(1 << 26))
    after = memory(os.getpid())
    assert before is not None
    assert after is not None
    # Resident memory holds what is a process's own, and both have grown by the block.
    assert after[0] > after[1] > before[1] + len(held) // 2
