"""Which example is number i of epoch e: a pure function of (shards, settings, seed, e, i) (law 1).

Shards are put in a random order anew each epoch and taken in windows of a few; the examples of a window are shuffled
together. So the order is random, and only one window of pairs is held in memory, however large the corpus is.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bertwright.examples.packing import Rows, packed_rows, row_count, single_rows
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
    # Sequences in the examples: as many, unless they are packed.
    sequences: int
    is_next: int
    corpus_tokens: int
    # Tokens in all examples, with those of negatives, [CLS] and [SEP]; what they lack of the full length is padding.
    example_tokens: int
    truncated_tokens: int
    single_tokens: int


@dataclass(frozen=True, slots=True)
class PlacedPairs:
    """Sequences of one shard and where they stand in a batch; each field but the shard is (sequences,).

    rows: the row. slots: which of the row's sequences. starts: the place of its [CLS]. numbers: the number of the
    sequence in its epoch, which its masking is drawn by.
    """

    shard: Shard
    pairs: SegmentPairs
    rows: NDArray[np.int64]
    slots: NDArray[np.int64]
    starts: NDArray[np.int64]
    numbers: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Epoch:
    """Shards of an epoch in the order drawn; pairs before each, by its place there; rows before each window."""

    order: NDArray[np.int64]
    pairs_before: NDArray[np.int64]
    rows_before: NDArray[np.int64]


class ExamplePlan:
    """The examples of all epochs, addressed by number. An example is a row of a batch: a sequence, or a few packed."""

    def __init__(self, shards: Sequence[Shard], settings: ExampleSettings, seed: int) -> None:
        self.shards = shards
        self.settings = settings
        self.seed = seed
        self._epochs: dict[int, _Epoch] = {}
        self._windows: OrderedDict[tuple[int, int], tuple[list[SegmentPairs], Rows]] = OrderedDict()

    def drawn_epoch(self, epoch: int) -> int:
        """The epoch whose draws are those of `epoch`: itself, unless the settings let epochs come again."""
        return epoch % (self.settings.distinct_epochs or epoch + 1)

    def size(self, epoch: int) -> int:
        """Number of examples in an epoch; differs a little between epochs, as cuts and lengths are drawn anew."""
        return int(self._epoch(epoch).rows_before[-1])

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
            taken = min(count, int(self._epoch(cursor.epoch).rows_before[self._window_of(cursor) + 1]) - cursor.index)
            runs.append((cursor, taken))
            cursor = Cursor(cursor.epoch, cursor.index + taken)
            count -= taken
        return runs

    def pairs(self, cursor: Cursor, count: int) -> list[PlacedPairs]:
        """What stands in examples cursor.index ... + count, which lie in one window; rows count from the first."""
        window, epoch = self._window_of(cursor), self._epoch(cursor.epoch)
        first = cursor.index - int(epoch.rows_before[window])
        assert cursor.index + count <= epoch.rows_before[window + 1]
        drawn, rows = self._window(cursor.epoch, window)
        offsets = rows.offsets[first : first + count + 1]
        places = np.arange(offsets[0], offsets[-1])
        members = rows.members[places]
        row = np.repeat(np.arange(count), np.diff(offsets))
        slot = places - offsets[row]
        bounds = np.cumsum([0, *map(len, drawn)])
        lengths = np.concatenate([self._lengths(pairs) for pairs in drawn])[members]
        ends = np.cumsum(lengths)
        # A sequence begins where those before it in its row end.
        start = ends - lengths - (ends - lengths)[offsets[row] - offsets[0]]
        number = int(epoch.pairs_before[window * SHARDS_PER_WINDOW]) + places
        found = []
        for position, pairs in enumerate(drawn):
            mine = np.flatnonzero((members >= bounds[position]) & (members < bounds[position + 1]))
            if len(mine):
                shard = self.shards[epoch.order[window * SHARDS_PER_WINDOW + position]]
                taken = pairs.take(members[mine] - bounds[position])
                found.append(PlacedPairs(shard, taken, row[mine], slot[mine], start[mine], number[mine]))
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
            examples=self.size(epoch),
            sequences=sum(map(len, drawn)),
            is_next=sum(int(pairs.is_next.sum()) for pairs in drawn),
            corpus_tokens=total,
            example_tokens=sum(int(self._lengths(pairs).sum()) for pairs in drawn),
            truncated_tokens=sum(int(pairs.truncated.sum()) for pairs in drawn),
            single_tokens=total - covered,
        )

    def _lengths(self, pairs: SegmentPairs) -> NDArray[np.int64]:
        """Tokens of each sequence, [CLS] and [SEP] included."""
        return pairs.a_length + pairs.b_length + self.settings.frame_tokens

    def _window_of(self, cursor: Cursor) -> int:
        return int(np.searchsorted(self._epoch(cursor.epoch).rows_before, cursor.index, side="right")) - 1

    def _window(self, epoch: int, window: int) -> tuple[list[SegmentPairs], Rows]:
        key = (epoch, window)
        if key not in self._windows:
            first = window * SHARDS_PER_WINDOW
            drawn = [self._draw(epoch, p) for p in range(first, min(first + SHARDS_PER_WINDOW, len(self.shards)))]
            stream = Stream(self.seed, "order", self.drawn_epoch(epoch), window)
            if self.settings.packed:
                lengths = np.concatenate([self._lengths(pairs) for pairs in drawn])
                rows = packed_rows(lengths, self.settings.max_length, self.settings.max_sequences, stream)
            else:
                rows = single_rows(sum(map(len, drawn)), stream)
            self._windows[key] = (drawn, rows)
            # A batch may stand across two windows; more than that is never needed at once.
            while len(self._windows) > 2:
                self._windows.popitem(last=False)
        return self._windows[key]

    def _epoch(self, epoch: int) -> _Epoch:
        if epoch not in self._epochs:
            order = Stream(self.seed, "shards", self.drawn_epoch(epoch)).permutation(len(self.shards))
            pairs_before, rows_before = [0], [0]
            lengths: list[NDArray[np.int64]] = []
            for position, number in enumerate(order.tolist()):
                pairs = self._pairs_of(epoch, number, pairs_before[-1])
                pairs_before.append(pairs_before[-1] + len(pairs))
                lengths.append(self._lengths(pairs))
                if len(lengths) == SHARDS_PER_WINDOW or position + 1 == len(order):
                    rows_before.append(rows_before[-1] + self._row_count(np.concatenate(lengths)))
                    lengths = []
            # Only what is whole is kept: batches are built on one thread while another asks for the cursor to save.
            self._epochs[epoch] = _Epoch(order, np.array(pairs_before), np.array(rows_before))
        return self._epochs[epoch]

    def _row_count(self, lengths: NDArray[np.int64]) -> int:
        if not self.settings.packed:
            return len(lengths)
        return row_count(lengths, self.settings.max_length, self.settings.max_sequences)

    def _draw(self, epoch: int, position: int) -> SegmentPairs:
        """Pairs of the shard at `position` of the epoch's order."""
        known = self._epoch(epoch)
        return self._pairs_of(epoch, int(known.order[position]), int(known.pairs_before[position]))

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
