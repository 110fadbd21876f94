"""Which example is number i of epoch e: a pure function of (shards, settings, seed, e, i) (law 1).

Shards are put in a random order anew each epoch and taken in windows of a few; the examples of a window are shuffled
together. So the order is random, and only one window of pairs is held in memory, however large the corpus is.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from bertwright.examples.packing import Rows, packed_rows, row_count, single_rows
from bertwright.examples.segments import SegmentPairs, draw_pairs
from bertwright.parallel import processors
from bertwright.randomness import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bertwright.examples.settings import ExampleSettings
    from bertwright.shards.read import Shard

SHARDS_PER_WINDOW = 8
# Windows that are counted at the same time, when an epoch begins.
_COUNTED_AT_ONCE = 8


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
class _Window:
    """The sequences of a few shards: those of each, the lengths of all, and the rows that they stand in."""

    # Held here, because what is fetched for a shard stays at hand as long as the shard is held.
    shards: list[Shard]
    drawn: list[SegmentPairs]
    lengths: NDArray[np.int64]
    rows: Rows


@dataclass(frozen=True, slots=True)
class _Epoch:
    """The rows before each window, and what the epoch is made of."""

    rows_before: NDArray[np.int64]
    report: EpochReport


class ExamplePlan:
    """The examples of all epochs, addressed by number. An example is a row of a batch: a sequence, or a few packed."""

    def __init__(
        self,
        shards: Sequence[Shard],
        settings: ExampleSettings,
        seed: int,
        coming: Callable[[Sequence[int], Sequence[str]], None] | None = None,
    ) -> None:
        """`coming` is told, when a window is begun, the shards of the next one and the arrays needed of them."""
        self.shards = shards
        self._coming = coming
        self.settings = settings
        self.seed = seed
        self._epochs: dict[int, _Epoch] = {}
        self._windows: OrderedDict[tuple[int, int], _Window] = OrderedDict()

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
        found = self._window(cursor.epoch, window)
        offsets = found.rows.offsets[first : first + count + 1]
        places = np.arange(offsets[0], offsets[-1])
        members = found.rows.members[places]
        row = np.repeat(np.arange(count), np.diff(offsets))
        slot = places - offsets[row]
        bounds = np.cumsum([0, *map(len, found.drawn)])
        lengths = found.lengths[members]
        ends = np.cumsum(lengths)
        # A sequence begins where those before it in its row end.
        start = ends - lengths - (ends - lengths)[offsets[row] - offsets[0]]
        number = (window << 32) + places
        placed = []
        for position, pairs in enumerate(found.drawn):
            mine = np.flatnonzero((members >= bounds[position]) & (members < bounds[position + 1]))
            if len(mine):
                taken = pairs.take(members[mine] - bounds[position])
                placed.append(
                    PlacedPairs(found.shards[position], taken, row[mine], slot[mine], start[mine], number[mine])
                )
        return placed

    @property
    def windows(self) -> int:
        """Windows of an epoch: a few shards each, drawn together."""
        return -(-len(self.shards) // SHARDS_PER_WINDOW)

    def report(self, epoch: int, on_progress: Callable[[int], None] | None = None) -> EpochReport:
        """What an epoch is made of, and what it leaves out; `on_progress` is told the number of windows counted."""
        return self._epoch(epoch, on_progress).report

    def _lengths(self, pairs: SegmentPairs) -> NDArray[np.int64]:
        """Tokens of each sequence, [CLS] and [SEP] included."""
        return pairs.a_length + pairs.b_length + self.settings.frame_tokens

    def _window_of(self, cursor: Cursor) -> int:
        return int(np.searchsorted(self._epoch(cursor.epoch).rows_before, cursor.index, side="right")) - 1

    def _shards_of(self, epoch: int, window: int) -> list[int]:
        """The numbers of the shards of a window."""
        order = Stream(self.seed, "shards", self.drawn_epoch(epoch)).permutation(len(self.shards))
        return order[window * SHARDS_PER_WINDOW : (window + 1) * SHARDS_PER_WINDOW].tolist()

    def _draw(self, epoch: int, window: int) -> tuple[list[SegmentPairs], int]:
        """The sequences of each shard of a window, and the tokens of its text."""
        drawn: list[SegmentPairs] = []
        tokens = 0
        for number in self._shards_of(epoch, window):
            first = sum(map(len, drawn))
            # One at a time, and its sentences and documents alone: an epoch is counted without its tokens.
            shard = self.shards[number]
            tokens += int(shard.sentences[-1])
            drawn.append(
                draw_pairs(
                    shard,
                    self.settings,
                    seed=self.seed,
                    epoch=self.drawn_epoch(epoch),
                    number=number,
                    window=window,
                    first=first,
                )
            )
        return drawn, tokens

    def _window(self, epoch: int, window: int) -> _Window:
        key = (epoch, window)
        if key not in self._windows:
            # A batch may stand across two windows; more than that is never needed at once.
            while len(self._windows) > 1:
                self._windows.popitem(last=False)
            drawn, _ = self._draw(epoch, window)
            lengths = np.concatenate([self._lengths(pairs) for pairs in drawn])
            stream = Stream(self.seed, "order", self.drawn_epoch(epoch), window)
            if self.settings.packed:
                rows = packed_rows(lengths, self.settings.max_length, self.settings.max_sequences, stream)
            else:
                rows = single_rows(len(lengths), stream)
            # Taken anew: drawing needs other arrays than building batches, and those are let go.
            shards = [self.shards[number] for number in self._shards_of(epoch, window)]
            self._windows[key] = _Window(shards, drawn, lengths, rows)
            if self._coming is not None:
                self._tell_coming(self._coming, epoch, window + 1)
        return self._windows[key]

    def _tell_coming(self, coming: Callable[[Sequence[int], Sequence[str]], None], epoch: int, window: int) -> None:
        if window == self.windows:
            epoch, window = epoch + 1, 0
        words = ("words",) if self.settings.masked_unit != "token" else ()
        coming(self._shards_of(epoch, window), ("sentences", "documents", "tokens", *words))

    def _epoch(self, epoch: int, on_progress: Callable[[int], None] | None = None) -> _Epoch:
        # Of epochs that come again one count is enough.
        drawn = self.drawn_epoch(epoch)
        if drawn not in self._epochs:
            reports: list[EpochReport] = []
            # numpy lets go of the interpreter for most of it. A few at once, for each takes the memory of a window.
            with ThreadPoolExecutor(min(_COUNTED_AT_ONCE, processors())) as pool:
                for found in pool.map(lambda window: self._report(drawn, window), range(self.windows)):
                    reports.append(found)
                    if on_progress is not None:
                        on_progress(len(reports))
            rows = np.cumsum([0, *(report.examples for report in reports)])
            whole = EpochReport(*(sum(getattr(report, f.name) for report in reports) for f in fields(EpochReport)))
            # Only what is whole is kept: batches are built on one thread while another asks for the cursor to save.
            self._epochs[drawn] = _Epoch(rows, whole)
        return self._epochs[drawn]

    def _report(self, epoch: int, window: int) -> EpochReport:
        """Draw a window to count it."""
        drawn, total = self._draw(epoch, window)
        lengths = np.concatenate([self._lengths(pairs) for pairs in drawn])
        covered = sum(int((pairs.a_length + pairs.truncated).sum()) for pairs in drawn)
        # A false B comes from another document, where it is counted.
        own = [pairs.b_length[pairs.a_document == pairs.b_document] for pairs in drawn]
        covered += sum(int(some.sum()) for some in own)
        rows = len(lengths)
        if self.settings.packed:
            rows = row_count(lengths, self.settings.max_length, self.settings.max_sequences)
        return EpochReport(
            examples=rows,
            sequences=len(lengths),
            is_next=sum(int(pairs.is_next.sum()) for pairs in drawn),
            corpus_tokens=total,
            example_tokens=int(lengths.sum()),
            truncated_tokens=sum(int(pairs.truncated.sum()) for pairs in drawn),
            single_tokens=total - covered,
        )
