"""In which order a model is taught: every lesson once an epoch, those of like length together."""

from __future__ import annotations

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

    The lessons are shuffled anew each epoch. Of every 50 steps they are sorted by length, cut into batches, and the
    batches shuffled. The last batch of all may be smaller: no lesson is taught once more or once less than another.
    """

    lengths: Sequence[int]
    batch_size: int
    epochs: int
    seed: int

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return math.ceil(len(self.lengths) * self.epochs / self.batch_size)

    def batches(self, start: int = 0) -> Iterator[list[int]]:
        """The numbers of the lessons of each step, from step `start` on, the longest first."""
        total = len(self.lengths) * self.epochs
        width = _POOL * self.batch_size
        orders: dict[int, list[int]] = {}
        for pool in range(start // _POOL, math.ceil(total / width)):
            lessons = []
            for place in range(pool * width, min((pool + 1) * width, total)):
                epoch, number = divmod(place, len(self.lengths))
                if epoch not in orders:
                    order = Stream(self.seed, "lessons", epoch).permutation(len(self.lengths)).tolist()
                    # A pool may stand across epochs, of which the one before is still needed.
                    orders = {key: orders[key] for key in orders if key == epoch - 1} | {epoch: order}
                lessons.append(orders[epoch][number])
            lessons.sort(key=lambda lesson: -self.lengths[lesson])
            batches = [lessons[at : at + self.batch_size] for at in range(0, len(lessons), self.batch_size)]
            shuffled = Stream(self.seed, "batches", pool).permutation(len(batches)).tolist()
            for number in shuffled[max(0, start - pool * _POOL) :]:
                yield batches[number]


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
