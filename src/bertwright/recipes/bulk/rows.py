"""The rows of a file by the handful, with a hash of all so far: a file is gone on with after the same rows alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from bertwright.errors import RowError
from bertwright.lines import told

# Characters of a handful, after which no row is added: a thousand books would be gigabytes.
_MOST_CHARACTERS = 1 << 24

# A row or a text, after its place.
Placed = tuple[str, Any]


class Handful(NamedTuple):
    """Some rows, and a hash of the values of all rows up to the last of them."""

    rows: list[Placed]
    hash: str


class Rows:
    """The rows of a file, from the first on."""

    def __init__(self, rows: Iterable[Placed], file: str) -> None:
        self._rows = iter(rows)
        self._file = file
        self._digest = hashlib.sha256()

    def handful(self, size: int) -> Handful:
        """The next rows, none where there are no more; fewer than `size` where they are long."""
        some: list[Placed] = []
        characters = 0
        for place, values in islice(self._rows, size):
            told_values = repr(values)
            self._digest.update(told_values.encode("utf-8", "surrogatepass"))
            some.append((place, values))
            characters += len(told_values)
            if characters >= _MOST_CHARACTERS:
                break
        return Handful(some, self._digest.hexdigest())

    def handfuls(self, size: int) -> Iterator[Handful]:
        """All that are left."""
        while (some := self.handful(size)).rows:
            yield some

    def pass_over(self, count: int, wanted: str, size: int) -> Iterator[int]:
        """Read rows that are answered already, and say how many so far.

        Raises RowError where they are not those whose hash is `wanted`.
        """
        done = 0
        while done < count:
            some = self.handful(min(size, count - done))
            if not some.rows:
                break
            done += len(some.rows)
            yield done
        if done < count or self._digest.hexdigest() != wanted:
            what = f"the first {count:,} rows are not those that an earlier start has answered"
            raise RowError(what, where=told(self._file), cure="give the same rows, or begin anew with another --out")
