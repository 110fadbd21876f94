"""How far a file is read, for whoever waits: its bytes, where it lies on a disk, else the rows alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bertwright.lines import is_remote
from bertwright.progress import Progress, Task

_MEGABYTE = 1e6


class Reading:
    """The progress of a bulk run; made by `reading`."""

    def __init__(self, bar: Task, unit: str, *, sized: bool) -> None:
        self._bar, self._unit, self._sized = bar, unit, sized
        self._raw: IO[bytes] | None = None
        self._begun = time.perf_counter()
        self._first: int | None = None
        self._read = 0.0

    def opened(self, raw: IO[bytes]) -> None:
        """The file as it lies, compressed or not."""
        self._raw = raw

    def tell(self, rows: int) -> None:
        """So many rows are done."""
        if self._first is None:
            # What an earlier start did does not count for the rate.
            self._first, self._begun = rows, time.perf_counter()
        rate = (rows - self._first) / max(time.perf_counter() - self._begun, 1e-9)
        if not self._sized:
            self._bar.update(rows, f"{rate:,.0f} a second")
            return
        if self._raw is not None and not self._raw.closed:
            self._read = self._raw.tell() / _MEGABYTE
        self._bar.update(self._read, f"{rows:,} {self._unit}  {rate:,.0f} a second")


@contextmanager
def reading(file: str, title: str, unit: str, progress: Progress) -> Iterator[Reading]:
    """Show it until the block ends."""
    path = Path(file)
    # Of Parquet it is not known where a reader stands.
    sized = not is_remote(file) and path.is_file() and path.suffix.lower() != ".parquet"
    total = path.stat().st_size / _MEGABYTE if sized else None
    with progress.task(title, total, "MB" if sized else unit) as bar:
        yield Reading(bar, unit, sized=sized)
