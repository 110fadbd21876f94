"""Lines and sentences that stand in many documents, found in bounded memory.

A Misra-Gries summary (1982; merged as by Agarwal et al., "Mergeable summaries", 2012): counters for the texts met, and
when they are too many, the count of the first one beyond the limit is taken from all of them. What is common survives;
what a counter lacks is never more than `missing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

MOST_COUNTERS = 1 << 17
# Longer ones are known by their beginning.
LONGEST = 300


class Recurring:
    """Counts in how many documents a text stands; each document is to name it once."""

    def __init__(self, most: int = MOST_COUNTERS) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()
        # By how much a count may be too low.
        self.missing = 0

    def add(self, texts: Iterable[str]) -> None:
        """Count the texts of one document."""
        self._counts.update(texts)
        if len(self._counts) > 2 * self._most:
            self._shrink()

    def at_least(self, count: int) -> list[tuple[str, int]]:
        """Those counted so often or more, the most frequent first; no text that stands `missing` times more lacks."""
        found = [item for item in self._counts.items() if item[1] >= count]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def _shrink(self) -> None:
        counts = np.fromiter(self._counts.values(), dtype=np.int64, count=len(self._counts))
        taken = int(np.partition(counts, len(counts) - self._most - 1)[len(counts) - self._most - 1])
        self._counts = Counter({text: count - taken for text, count in self._counts.items() if count > taken})
        self.missing += taken
