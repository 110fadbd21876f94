"""How long things are: counts by length, in memory that does not grow with the corpus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Lengths below this are counted each by itself; above, in 64 steps to each doubling, off by 1.1% at most.
EXACT = 1024
_STEPS = 64
_DOUBLINGS = 40


class Lengths:
    """Counts of lengths from 1 on."""

    def __init__(self) -> None:
        self._counts = np.zeros(EXACT + _STEPS * _DOUBLINGS, dtype=np.int64)
        self.count = self.total = self.longest = 0

    def add(self, lengths: NDArray[np.integer]) -> None:
        """Count lengths; zeros are passed over."""
        lengths = lengths[lengths > 0].astype(np.int64)
        if not len(lengths):
            return
        steps = EXACT + np.floor(np.log2(np.maximum(lengths, EXACT) / EXACT) * _STEPS).astype(np.int64)
        self._counts += np.bincount(np.where(lengths < EXACT, lengths, steps), minlength=len(self._counts))
        self.count += len(lengths)
        self.total += int(lengths.sum())
        self.longest = max(self.longest, int(lengths.max()))

    @property
    def mean(self) -> float:
        """The mean length; 0 where nothing was counted."""
        return self.total / max(1, self.count)

    def quantile(self, share: float) -> int:
        """The shortest length that this share of them does not exceed; exact below EXACT."""
        if not self.count:
            return 0
        place = int(np.searchsorted(np.cumsum(self._counts), max(1, int(np.ceil(share * self.count)))))
        return place if place < EXACT else min(self.longest, round(EXACT * 2 ** ((place - EXACT) / _STEPS)))

    def histogram(self) -> list[tuple[int, int, int]]:
        """(shortest, longest, how many) by doublings: 1, 2-3, 4-7 and so on, from the first to the last with any."""
        edges = [1 << step for step in range(int(np.log2(EXACT)))]
        bins = [(low, 2 * low - 1, int(self._counts[low : 2 * low].sum())) for low in edges]
        for step in range(_DOUBLINGS):
            low, place = EXACT << step, EXACT + _STEPS * step
            bins.append((low, 2 * low - 1, int(self._counts[place : place + _STEPS].sum())))
        filled = [number for number, (_, _, count) in enumerate(bins) if count]
        return bins[filled[0] : filled[-1] + 1] if filled else []
