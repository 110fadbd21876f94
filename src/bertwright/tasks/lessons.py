"""In which order a model is taught: every lesson once an epoch, those of like length together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bertwright.randomness import Stream
from bertwright.tasks.task import Item

# Steps whose lessons are sorted by length together: enough for hardly any padding, and still nearly at random.
_POOL = 50


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """Which lessons each step takes: a function of the lengths, the settings and the seed (law 1).

    The lessons are shuffled anew each epoch. Of every 50 steps of an epoch they are sorted by length, cut into batches,
    and the batches shuffled; never of more than one epoch, whose copies of a lesson would stand side by side and be
    taught in one step. What is over in the end is a smaller batch, the last of its epoch.
    """

    lengths: Sequence[int]
    batch_size: int
    epochs: int
    seed: int

    @property
    def steps_an_epoch(self) -> int:
        """Steps in which every lesson is taught once."""
        return math.ceil(len(self.lengths) / self.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.steps_an_epoch * self.epochs

    def batches(self, start: int = 0) -> Iterator[list[int]]:
        """The numbers of the lessons of each step, from step `start` on, the longest first."""
        first, done = divmod(start, self.steps_an_epoch)
        for epoch in range(first, self.epochs):
            yield from itertools.islice(self._epoch(epoch), done if epoch == first else 0, None)

    def _epoch(self, epoch: int) -> Iterator[list[int]]:
        order = Stream(self.seed, "lessons", epoch).permutation(len(self.lengths)).tolist()
        full = len(order) - len(order) % self.batch_size
        for pool in range(0, full, _POOL * self.batch_size):
            batches = self._batches(order[pool : min(pool + _POOL * self.batch_size, full)])
            for number in Stream(self.seed, "batches", epoch, pool).permutation(len(batches)).tolist():
                yield batches[number]
        yield from self._batches(order[full:])

    def _batches(self, lessons: list[int]) -> list[list[int]]:
        lessons = sorted(lessons, key=lambda lesson: -self.lengths[lesson])
        return [lessons[at : at + self.batch_size] for at in range(0, len(lessons), self.batch_size)]


def parts_of(lessons: Sequence[Item], token_budget: int) -> Iterator[list[Item]]:
    """The lessons of a step in parts that go through the model one after the other, each within `token_budget`.

    The windows of a lesson stay together; one that is longer than the budget goes alone.
    """
    part: list[Item] = []
    longest = windows = 0
    for lesson in lessons:
        longer = max(longest, *map(len, lesson.windows))
        if part and longer * (windows + len(lesson.windows)) > token_budget:
            yield part
            part, windows, longer = [], 0, max(map(len, lesson.windows))
        part.append(lesson)
        longest, windows = longer, windows + len(lesson.windows)
    if part:
        yield part
