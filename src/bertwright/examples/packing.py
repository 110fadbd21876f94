"""Which sequences share a row, so that little of it is padding.

Only lengths matter, and there are at most a few hundred of those, so whole groups of rows are filled at once: a million
sequences are packed in a moment (after Krell et al. 2021, "Efficient sequence packing without cross-contamination").
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bertwright.randomness import Stream


@dataclass(frozen=True, slots=True)
class Rows:
    """Sequences in rows: row i holds members[offsets[i] : offsets[i + 1]], one after the other."""

    members: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(slots=True)
class _Group:
    """`count` rows that hold sequences of these lengths."""

    lengths: tuple[int, ...]
    count: int


def single_rows(count: int, stream: Stream) -> Rows:
    """Every sequence in a row of its own, in random order."""
    return Rows(stream.permutation(count), np.arange(count + 1))


def packed_rows(lengths: NDArray[np.int64], capacity: int, most: int, stream: Stream) -> Rows:
    """Put sequences into rows of at most `capacity` tokens and `most` sequences, in random order.

    lengths: (sequences,) tokens in each. Which sequences of a length come together, and where the rows stand, is drawn.
    """
    drawn = stream.permutation(len(lengths))
    # Of each length, the sequences that are not in a row yet: order[next[length] : ...].
    order = drawn[np.argsort(lengths[drawn], kind="stable")]
    following = np.searchsorted(lengths[order], np.arange(capacity + 2)).tolist()
    members, sizes = [], []
    for group in _groups(np.bincount(lengths, minlength=capacity + 1), capacity, most):
        columns = []
        for length in group.lengths:
            columns.append(order[following[length] : following[length] + group.count])
            following[length] += group.count
        members.append(np.stack(columns, axis=1).reshape(-1))
        sizes.append(np.full(group.count, len(group.lengths)))
    flat = np.concatenate([np.empty(0, np.int64), *members])
    size = np.concatenate([np.empty(0, np.int64), *sizes])
    begins = np.cumsum(size) - size
    shuffled = stream.permutation(len(size), lane=1)
    offsets = np.concatenate([[0], np.cumsum(size[shuffled])])
    source = np.repeat(begins[shuffled] - offsets[:-1], size[shuffled]) + np.arange(len(flat))
    return Rows(flat[source], offsets)


def row_count(lengths: NDArray[np.int64], capacity: int, most: int) -> int:
    """How many rows `packed_rows` makes of these lengths."""
    return sum(group.count for group in _groups(np.bincount(lengths, minlength=capacity + 1), capacity, most))


def _groups(counts: NDArray[np.int64], capacity: int, most: int) -> list[_Group]:
    """Best fit, longest first: each sequence goes where it leaves least room.

    counts: (capacity + 1,) sequences of each length.
    """
    # By the room that is left.
    open_rows: dict[int, list[_Group]] = defaultdict(list)
    full: list[_Group] = []

    def put(group: _Group, room: int) -> None:
        (open_rows[room] if room and len(group.lengths) < most else full).append(group)

    for length in range(capacity, 0, -1):
        left = int(counts[length])
        room = length
        while left and room <= capacity:
            groups = open_rows.get(room)
            if not groups:
                room += 1
                continue
            group = groups.pop()
            taken = min(left, group.count)
            put(_Group((*group.lengths, length), taken), room - length)
            if group.count > taken:
                groups.append(_Group(group.lengths, group.count - taken))
            left -= taken
            # What is left of the room may take one more of the same length.
            if room - length >= length:
                room -= length
        if left:
            # What finds no room begins rows; more of the same length may go into those.
            fitting = min(capacity // length, most)
            for number in range(fitting, 0, -1):
                rows, left = divmod(left, number)
                if rows:
                    put(_Group((length,) * number, rows), capacity - number * length)
    return [*full, *(group for groups in open_rows.values() for group in groups)]
