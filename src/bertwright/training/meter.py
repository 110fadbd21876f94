"""Figures of the steps since the last report: their means, and the rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from bertwright.training.world import World


@dataclass(frozen=True, slots=True)
class Report:
    """Means over the steps since the last report that were not skipped; no figures where all were.

    `tokens_per_second` counts the real tokens of all processes.
    """

    step: int
    learning_rate: float
    figures: dict[str, float]
    tokens_per_second: float
    skipped: int = 0


class Meter:
    """Sums figures on their device, so that a step never waits for them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.restart()

    def restart(self) -> None:
        """Forget what was not reported."""
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._skipped = 0
        # Real tokens of this process.
        self.tokens = 0
        self._start = time.perf_counter()

    def leave_out(self, seconds: float) -> None:
        """Time that went to something else than steps."""
        self._start += seconds

    def add(self, figures: dict[str, Tensor]) -> None:
        """A step's figures, of which this process has its part."""
        for name, value in figures.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1

    def skip(self) -> None:
        """A step that moved nothing."""
        self._skipped += 1

    def report(self, step: int, rate: float) -> Report:
        """Means over steps and sums over processes, and begin anew."""
        means: dict[str, float] = {}
        if self._sums:
            summed = self._world.sum_tensor(torch.stack([value.float() for value in self._sums.values()]))
            means = {name: value / self._steps for name, value in zip(self._sums, summed.tolist(), strict=True)}
        (tokens,) = self._world.sum([self.tokens])
        # Reading the sums has waited for the device: only now is the time that of the work.
        elapsed = time.perf_counter() - self._start
        report = Report(step, rate, means, tokens / elapsed, self._skipped)
        self.restart()
        return report
