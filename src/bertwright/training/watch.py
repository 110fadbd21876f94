"""Losses that say something is wrong, recognised and explained: standing still, and running away."""

from __future__ import annotations

import math
from collections import deque

# Reports over which a loss is judged, and how many of them a warning waits for at least.
_WINDOW = 10
# A loss within so many nats of a level has not left it.
_NEAR = 0.25
# Nats above the lowest mean so far that are more than noise.
_RISE = 1.0


class Watch:
    """Told the masked-word loss of each report, says in a sentence what it looks like; each thing once."""

    def __init__(self, *, vocabulary: int, unigram_loss: float | None, warmup_steps: int) -> None:
        """unigram_loss: the loss of knowing only how often each word occurs; None where it is not known."""
        self._uniform = math.log(vocabulary)
        self._unigram = unigram_loss
        self._warmup = warmup_steps
        self._losses: deque[float] = deque(maxlen=_WINDOW)
        self._steps: deque[int] = deque(maxlen=_WINDOW)
        self._lowest = math.inf
        self._said: set[str] = set()

    def look(self, step: int, loss: float) -> str | None:
        """What there is to say after `step`."""
        self._losses.append(loss)
        self._steps.append(step)
        if len(self._losses) < _WINDOW:
            return None
        mean = sum(self._losses) / _WINDOW
        self._lowest = min(self._lowest, mean)
        if mean > self._lowest + _RISE:
            return self._once(
                "rise",
                f"the masked-word loss has risen from {self._lowest:.2f} to {mean:.2f}: the run is diverging. "
                "Begin anew with a lower learning_rate, or a longer warm-up",
            )
        flat = max(self._losses) - min(self._losses) < 2 * _NEAR
        # At the low rates of the warm-up a loss may stand.
        if self._steps[0] <= self._warmup or not flat:
            return None
        if abs(mean - self._uniform) < _NEAR:
            return self._once(
                "uniform",
                f"the masked-word loss stands at {mean:.2f}, near log(vocabulary) = {self._uniform:.2f}: nothing is "
                "learned yet. If it stays there, the learning_rate is far too low, or gradients do not flow",
            )
        if self._unigram is not None and abs(mean - self._unigram) < _NEAR:
            return self._once(
                "unigram",
                f"the masked-word loss stands at {mean:.2f}, near the {self._unigram:.2f} of knowing only how often "
                "each word occurs: the well-known plateau before a BERT begins to use context. Small models leave it "
                "after some thousand steps; a higher learning_rate after a longer warm-up, or Muon, leaves it sooner",
            )
        return None

    def _once(self, name: str, sentence: str) -> str | None:
        if name in self._said:
            return None
        self._said.add(name)
        return sentence
