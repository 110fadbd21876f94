"""What may be asked of a window; windows of which the same is asked are read side by side, whoever asked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from bertwright.batches.sequences import InputBatch, pad
from bertwright.batches.windows import Window
from bertwright.inference.runners import Runner
from bertwright.tasks.task import Said, Task


class Kind(Protocol):
    """key: equal for kinds that ask the same."""

    @property
    def key(self) -> Hashable: ...

    def say(self, windows: Sequence[Window]) -> list[Said]:
        """The answer to each window, without its padding."""


@dataclass(frozen=True)
class OfTask:
    """What a task decodes."""

    runner: Runner
    task: Task[Any, Any]

    @property
    def key(self) -> Hashable:
        """Tasks of one model differ in what they make of the answers, and seldom in what they ask."""
        return (self.task.name, self.task.asks)

    def say(self, windows: Sequence[Window]) -> list[Said]:
        """(...) or (length, ...) for each window, as `Task.outputs` gives them."""
        found = self.runner.say(self.task, _batch(self.runner, windows))
        # Copied: a view would keep the whole batch.
        return [
            (output[: len(window)] if output.ndim > 1 else output).copy()
            for output, window in zip(found, windows, strict=True)
        ]


@dataclass(frozen=True)
class OfMasks:
    """The likeliest words at each [MASK]; of all others nothing is kept, for they are many."""

    runner: Runner
    top: int

    @property
    def key(self) -> Hashable:
        return ("masks", self.top)

    def say(self, windows: Sequence[Window]) -> list[Said]:
        """(masks, 2, top) for each window: ids, and probabilities, likeliest first."""
        vocabulary = self.runner.described.tokenizer.vocabulary
        found = []
        for window in windows:
            places = np.flatnonzero(window.ids == vocabulary.mask_id).tolist()
            scores = torch.from_numpy(self.runner.words(_batch(self.runner, [window]), [places]))
            # A model may have more rows than its vocabulary has pieces, for alignment: those are no words.
            best = scores[:, : len(vocabulary)].softmax(dim=-1).topk(self.top)
            found.append(torch.stack([best.indices.float(), best.values], dim=1).numpy())
        return found


@dataclass(frozen=True)
class OfChoices:
    """How well a choice goes with its text."""

    runner: Runner

    @property
    def key(self) -> Hashable:
        return "choices"

    def say(self, windows: Sequence[Window]) -> list[Said]:
        """(1,) for each window."""
        return list(self.runner.choices(_batch(self.runner, windows))[:, None].copy())


@dataclass(frozen=True)
class OfAttention:
    """How much each token looks at each other, in every layer and head."""

    runner: Runner

    @property
    def key(self) -> Hashable:
        return "attention"

    def say(self, windows: Sequence[Window]) -> list[Said]:
        """(layers, heads, length, length) for each window, one after the other: they are large."""
        return [self.runner.attention(_batch(self.runner, [window])) for window in windows]


def _batch(runner: Runner, windows: Sequence[Window]) -> InputBatch:
    return pad(windows, runner.described.tokenizer.vocabulary.pad_id)
