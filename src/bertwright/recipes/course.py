"""Which examples each step takes, and which of them this process: phases, growing batches, micro-batches, processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertwright.batches.pretraining import PretrainingBatch, PretrainingBatches
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.randomness import Stream
from bertwright.recipes.recipe import PretrainRecipe
from bertwright.shards.read import Shard
from bertwright.tokens.vocabulary import Vocabulary
from bertwright.training.loop import Portion
from bertwright.training.schedules import batch_sizes
from bertwright.training.world import World, share_of


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps first ... last (exclusive), whose examples are of one kind."""

    first: int
    last: int
    plan: ExamplePlan
    batches: PretrainingBatches

    @property
    def examples(self) -> ExampleSettings:
        """What its examples look like."""
        return self.plan.settings


class Course:
    """The examples of every step of a run: a function of the recipe and the shards (law 1)."""

    def __init__(
        self,
        recipe: PretrainRecipe,
        shards: Sequence[Shard],
        vocabulary: Vocabulary,
        world: World,
        *,
        place: dict[str, Any] | None = None,
        coming: Callable[[Sequence[int], Sequence[str]], None] | None = None,
    ) -> None:
        """place: as `place` gave it, where the run goes on; else it begins. coming: as of ExamplePlan."""
        self._world = world
        # Rows that go through the model at once; None for all of a process's.
        self.micro_batch_size = recipe.machine.micro_batch_size
        self._sharded = recipe.machine.sharding != "ddp"
        self.sizes = sizes_of(recipe)
        self.stretches = []
        bounds = recipe.phase_bounds
        for number, (first, last) in enumerate(bounds):
            settings, seed = recipe.examples, recipe.training.seed
            if recipe.phases:
                settings = settings.model_copy(update={"max_length": recipe.phases[number].max_length})
            # A later phase sees the text in another order, and other words of it hidden.
            own_seed = Stream(seed, "phase", number).integer() if number else seed
            plan = ExamplePlan(shards, settings, own_seed, coming)
            batches = PretrainingBatches(plan, vocabulary, fixed_shape=recipe.machine.compile)
            self.stretches.append(Stretch(first, last, plan, batches))
        self._before = np.concatenate([[0], np.cumsum(self.sizes)])
        self._known = (0, Cursor())
        if place is not None:
            self._known = (place["step"], Cursor(place["epoch"], place["index"]))

    def stretch(self, step: int) -> Stretch:
        """The part of the run that a step lies in; the last one after the end."""
        return next((found for found in self.stretches if step < found.last), self.stretches[-1])

    def place(self, step: int) -> dict[str, Any]:
        """Where the examples of a step begin, as JSON: what a run that goes on begins with."""
        cursor = self._cursor(step)
        return {"step": step, "epoch": cursor.epoch, "index": cursor.index}

    def portions(self, step: int) -> Iterator[Portion[PretrainingBatch]]:
        """What this process does of each step from `step` on."""
        for number in range(step, len(self.sizes)):
            yield self._portion(number)

    def rows(self, step: int, count: int) -> PretrainingBatch:
        """The first `count` examples from a step on, as one batch."""
        return self.stretch(step).batches.build(self._cursor(step), count)

    def _portion(self, step: int) -> Portion[PretrainingBatch]:
        size, stretch, cursor = int(self.sizes[step]), self.stretch(step), self._cursor(step)
        first, last = share_of(size, self._world)
        parts = self.parts(size)
        bounds = [first + part * (last - first) // parts for part in range(parts + 1)]
        batches = [
            stretch.batches.build(stretch.plan.advance(cursor, begin), end - begin) for begin, end in pairwise(bounds)
        ]
        examples = f"examples {cursor.index:,} to {cursor.index + size - 1:,} of epoch {cursor.epoch}"
        return Portion(batches, bounds[:-1], examples)

    def parts(self, size: int) -> int:
        """Micro-batches of a step of `size` examples on this process: `micro_batch_size` rows each, or a row fewer.

        Copies of the model exchange gradients once a step, so one may have a part more than another, as it must where
        shares differ by a row and each row goes alone. Shares of a model meet in every part: there two rows go at once.
        """
        most, least = -(-size // self._world.size), size // self._world.size
        first, last = share_of(size, self._world)
        rows = least if self._sharded else last - first
        return min(rows, -(-most // (self.micro_batch_size or most)))

    def _cursor(self, step: int) -> Cursor:
        stretch = self.stretch(step)
        known, cursor = self._known
        if self.stretch(known) is not stretch:
            known, cursor = stretch.first, Cursor()
        return stretch.plan.advance(cursor, int(self._before[step] - self._before[known]))


def sizes_of(recipe: PretrainRecipe) -> NDArray[np.int64]:
    """The examples in each step: (steps,)."""
    sizes = batch_sizes(recipe.training)
    for phase, (first, last) in zip(recipe.phases, recipe.phase_bounds, strict=False):
        if phase.batch_size is not None:
            sizes[first:last] = phase.batch_size
    return sizes
