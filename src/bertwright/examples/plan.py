"""Which example is number i of epoch e: a pure function of (shards, settings, seed, e, i) (law 1).

Shards are put in a random order anew each epoch and taken in windows of a few; the examples of a window are shuffled
together. So the order is random, and only one window of pairs is held in memory, however large the corpus is.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bertwright.examples.segments import SegmentPairs, draw_pairs
from bertwright.randomness import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bertwright.examples.settings import ExampleSettings
    from bertwright.shards.read import Shard

SHARDS_PER_WINDOW = 8


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the endless sequence of examples: `index` within `epoch`."""

    epoch: int = 0
    index: int = 0


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What an epoch is made of, and what it leaves out."""

    examples: int
    is_next: int
    corpus_tokens: int
    # Tokens in all examples, with those of negatives, [CLS] and [SEP]; what they lack of the full length is padding.
    example_tokens: int
    truncated_tokens: int
    single_tokens: int


@dataclass(frozen=True, slots=True)
class _Epoch:
    """Shards of an epoch in the order drawn, and the number of pairs before each (by position in that order)."""

    order: NDArray[np.int64]
    before: NDArray[np.int64]


class ExamplePlan:
    """The examples of all epochs, addressed by number."""

    def __init__(self, shards: Sequence[Shard], settings: ExampleSettings, seed: int) -> None:
        self.shards = shards
        self.settings = settings
        self.seed = seed
        self._epochs: dict[int, _Epoch] = {}
        self._windows: OrderedDict[tuple[int, int], tuple[list[SegmentPairs], NDArray[np.int64]]] = OrderedDict()

    def drawn_epoch(self, epoch: int) -> int:
        """The epoch whose draws are those of `epoch`: itself, unless the settings let epochs come again."""
        return epoch % (self.settings.distinct_epochs or epoch + 1)

    def size(self, epoch: int) -> int:
        """Number of examples in an epoch; differs a little between epochs, as cuts and lengths are drawn anew."""
        return int(self._epoch(epoch).before[-1])

    def advance(self, cursor: Cursor, count: int) -> Cursor:
        """The place `count` examples further on."""
        epoch, index = cursor.epoch, cursor.index + count
        while index >= self.size(epoch):
            index -= self.size(epoch)
            epoch += 1
        return Cursor(epoch, index)

    def locate(self, cursor: Cursor, count: int) -> list[tuple[Cursor, int]]:
        """The `count` examples from `cursor` on, as runs that each lie in one window of one epoch."""
        runs = []
        while count:
            if cursor.index >= self.size(cursor.epoch):
                cursor = Cursor(cursor.epoch + 1, 0)
                continue
            _, end = self._window_range(cursor)
            taken = min(count, end - cursor.index)
            runs.append((cursor, taken))
            cursor = Cursor(cursor.epoch, cursor.index + taken)
            count -= taken
        return runs

    def pairs(self, cursor: Cursor, count: int) -> list[tuple[Shard, NDArray[np.int64], SegmentPairs]]:
        """Examples cursor.index ... + count of one window: per shard, the rows of the batch they fill and the pairs."""
        window, end = self._window_range(cursor)
        start = int(self._epoch(cursor.epoch).before[window * SHARDS_PER_WINDOW])
        assert cursor.index + count <= end
        drawn, permutation = self._window(cursor.epoch, window)
        local = permutation[cursor.index - start : cursor.index - start + count]
        bounds = np.cumsum([0] + [len(pairs) for pairs in drawn])
        found = []
        for position, pairs in enumerate(drawn):
            rows = np.flatnonzero((local >= bounds[position]) & (local < bounds[position + 1]))
            if len(rows):
                shard = self.shards[self._epoch(cursor.epoch).order[window * SHARDS_PER_WINDOW + position]]
                found.append((shard, rows, pairs.take(local[rows] - bounds[position])))
        return found

    def report(self, epoch: int) -> EpochReport:
        """Count an epoch's examples and losses."""
        drawn = [self._draw(epoch, position) for position in range(len(self.shards))]
        covered = sum(int((pairs.a_length + pairs.truncated).sum()) for pairs in drawn)
        # A false B comes from another document, where it is counted.
        own = [pairs.b_length[pairs.a_document == pairs.b_document] for pairs in drawn]
        covered += sum(int(lengths.sum()) for lengths in own)
        total = sum(len(shard.tokens) for shard in self.shards)
        return EpochReport(
            examples=sum(map(len, drawn)),
            is_next=sum(int(pairs.is_next.sum()) for pairs in drawn),
            corpus_tokens=total,
            example_tokens=sum(int((pairs.a_length + pairs.b_length + 3).sum()) for pairs in drawn),
            truncated_tokens=sum(int(pairs.truncated.sum()) for pairs in drawn),
            single_tokens=total - covered,
        )

    def _window_range(self, cursor: Cursor) -> tuple[int, int]:
        """The window that an example stands in, and the number of the first example past it."""
        before = self._epoch(cursor.epoch).before
        window = (int(np.searchsorted(before, cursor.index, side="right")) - 1) // SHARDS_PER_WINDOW
        last = min((window + 1) * SHARDS_PER_WINDOW, len(self.shards))
        return window, int(before[last])

    def _window(self, epoch: int, window: int) -> tuple[list[SegmentPairs], NDArray[np.int64]]:
        key = (epoch, window)
        if key not in self._windows:
            first = window * SHARDS_PER_WINDOW
            drawn = [self._draw(epoch, p) for p in range(first, min(first + SHARDS_PER_WINDOW, len(self.shards)))]
            stream = Stream(self.seed, "order", self.drawn_epoch(epoch), window)
            self._windows[key] = (drawn, stream.permutation(sum(map(len, drawn))))
            # A batch may stand across two windows; more than that is never needed at once.
            while len(self._windows) > 2:
                self._windows.popitem(last=False)
        return self._windows[key]

    def _epoch(self, epoch: int) -> _Epoch:
        if epoch not in self._epochs:
            order = Stream(self.seed, "shards", self.drawn_epoch(epoch)).permutation(len(self.shards))
            before = np.zeros(len(self.shards) + 1, dtype=np.int64)
            for position, number in enumerate(order.tolist()):
                before[position + 1] = before[position] + len(self._pairs_of(epoch, number, int(before[position])))
            # Only what is whole is kept: batches are built on one thread while another asks for the cursor to save.
            self._epochs[epoch] = _Epoch(order, before)
        return self._epochs[epoch]

    def _draw(self, epoch: int, position: int) -> SegmentPairs:
        """Pairs of the shard at `position` of the epoch's order."""
        known = self._epoch(epoch)
        return self._pairs_of(epoch, int(known.order[position]), int(known.before[position]))

    def _pairs_of(self, epoch: int, number: int, first: int) -> SegmentPairs:
        """Pairs of shard `number`, where `first` pairs of the epoch come before it."""
        return draw_pairs(
            self.shards[number],
            self.settings,
            seed=self.seed,
            epoch=self.drawn_epoch(epoch),
            number=number,
            first=first,
        )
