"""The way of all bulk runs: rows by the handful, answered in their order, written to a file that grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bertwright.parallel import Engine, in_order
from bertwright.progress import Progress
from bertwright.recipes.bulk.growing import Growing
from bertwright.recipes.bulk.reading import Reading
from bertwright.recipes.bulk.rows import Placed, Rows

# Rows that are answered and written at once, and at most done again after a kill: enough to find neighbours of nearly
# the same length for a batch.
ROWS_AT_ONCE = 1024


class Part(NamedTuple):
    """What some rows become in a file, and how many of them were not read whole."""

    content: bytes
    cut: int = 0


def answer_into(
    growing: Growing,
    rows: Rows,
    reading: Reading,
    answer: Callable[[list[Placed]], Part],
    title: str,
    progress: Progress,
    *,
    workers: int = 0,
) -> None:
    """Answer all rows that are not written yet; with `workers` by so many of a Ray cluster, for which it is pickled.

    Raises RowError where what is written are answers to other rows.
    """
    before = growing.state
    if before.rows:
        with progress.task("passing over", before.rows, "rows") as bar:
            for done in rows.pass_over(before.rows, before.source, ROWS_AT_ONCE):
                bar.update(done)
    # Of what is read and not yet answered how many rows, and their hash.
    ahead: deque[tuple[int, str]] = deque()

    def given() -> Iterator[list[Placed]]:
        for some in rows.handfuls(ROWS_AT_ONCE):
            ahead.append((len(some.rows), some.hash))
            yield some.rows

    with reading.shown(title, before.rows, progress):
        engine: Engine = "ray" if workers else "local"
        for part in in_order(answer, given(), workers=workers or 1, engine=engine, on_gpus=True):
            count, source = ahead.popleft()
            growing.add(part.content, rows=count, cut=part.cut, source=source)
            reading.tell(growing.state.rows)
