"""What may be asked of a window; windows of which the same is asked are read side by side, whoever asked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

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
    """The scores of all words at each [MASK]."""

    runner: Runner

    @property
    def key(self) -> Hashable:
        return "masks"

    def say(self, windows: Sequence[Window]) -> list[Said]:
        """(masks, vocabulary) for each window."""
        mask_id = self.runner.described.tokenizer.vocabulary.mask_id
        places = [np.flatnonzero(window.ids == mask_id).tolist() for window in windows]
        scores = self.runner.words(_batch(self.runner, windows), places)
        ends = np.cumsum([len(each) for each in places])[:-1]
        return [each.copy() for each in np.split(scores, ends)]


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
