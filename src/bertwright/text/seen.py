"""Texts that were there before, found in bounded memory by watching a share of all texts.

Which texts are watched depends on their digest, so all copies of a text are or none is: the share of copies among the
watched is that of the whole corpus. All are watched until there are too many to remember; then the share is halved.
"""

from __future__ import annotations

MOST_TEXTS = 1 << 19


class SeenTexts:
    """Remembers where each watched text stood first, and counts those that come again."""

    def __init__(self, most: int = MOST_TEXTS) -> None:
        self._most = most
        self._limit = 1 << 64
        self._first: dict[int, int] = {}
        self._again: dict[int, int] = {}

    def earlier(self, digest: int, place: int) -> int | None:
        """The place where the text of this digest stood first; None where it is new, or is not watched."""
        if digest >= self._limit:
            return None
        first = self._first.setdefault(digest, place)
        if first != place:
            self._again[digest] = self._again.get(digest, 0) + 1
            return first
        while len(self._first) > self._most:
            self._limit //= 2
            self._first = {known: where for known, where in self._first.items() if known < self._limit}
            self._again = {known: count for known, count in self._again.items() if known < self._limit}
        return None

    @property
    def complete(self) -> bool:
        """Whether all texts are watched, so that nothing is estimated."""
        return self._limit == 1 << 64

    def repeated_share(self) -> float:
        """Share of the texts that were there before."""
        again = sum(self._again.values())
        return again / max(1, again + len(self._first))
