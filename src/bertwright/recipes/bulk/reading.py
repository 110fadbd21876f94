"""How far a file is read, for whoever waits: its bytes, where it lies on a disk, else the rows alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bertwright.lines import is_remote
from bertwright.progress import Progress, Task

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


class Reading:
    """A file that is being read; made before it is opened, shown by `shown` from where new work begins."""

    def __init__(self, file: str, unit: str) -> None:
        path = Path(file)
        # Of Parquet it is not known where a reader stands.
        sized = not is_remote(file) and path.is_file() and path.suffix.lower() != ".parquet"
        self._size = path.stat().st_size if sized else None
        self._unit = unit
        self._raw: IO[bytes] | None = None
        self._bar: Task | None = None
        self._scale = 1.0

    def opened(self, raw: IO[bytes]) -> None:
        """The file as it lies, compressed or not."""
        self._raw = raw

    @contextmanager
    def shown(self, title: str, done: int, progress: Progress) -> Iterator[None]:
        """Show it until the block ends, where `done` rows were answered before."""
        self._first, self._begun = done, time.perf_counter()
        if self._size is None:
            total, unit = None, self._unit
        else:
            # Whole numbers of the unit are shown: hundreds of them at least.
            self._scale, unit = next((each for each in _UNITS if self._size >= 100 * each[0]), (1.0, "bytes"))
            total = self._size / self._scale
        with progress.task(title, total, unit) as self._bar:
            self._bar.update(self._at(done))
            yield

    def tell(self, rows: int) -> None:
        """So many rows are done."""
        if self._bar is None:
            return
        rate = (rows - self._first) / max(time.perf_counter() - self._begun, 1e-9)
        counted = "" if self._size is None else f"{rows:,} {self._unit}  "
        self._bar.update(self._at(rows), f"{counted}{rate:,.0f} a second")

    def _at(self, rows: int) -> float:
        if self._size is None:
            return rows
        if self._raw is None:
            return 0
        # A reader closes it with the last row.
        return (self._size if self._raw.closed else self._raw.tell()) / self._scale
