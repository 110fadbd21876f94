"""What the rows of a fine-tuning are, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bertwright.tasks.rows import Row
from bertwright.tasks.task import Item


@dataclass(frozen=True, slots=True)
class RowCounts:
    """A file of rows: how many there are, how many are read in several windows, and what no window holds."""

    file: str
    rows: int
    in_windows: int
    cut_rows: int
    cut_tokens: int

    def told(self, name: str, longest: int) -> Iterator[str]:
        """A sentence for each thing that is not as usual; `name` is what the rows are for."""
        if self.in_windows:
            yield f"{self.in_windows:,} {name} rows are longer than {longest} tokens and read in windows"
        if self.cut_rows:
            yield f"{self.cut_rows:,} {name} rows lost {self.cut_tokens:,} tokens that no window holds"


def row_counts(file: Path, items: Sequence[Item]) -> RowCounts:
    """Count the rows of a file, as they were made ready."""
    return RowCounts(
        file=file.name,
        rows=len(items),
        in_windows=sum(1 for item in items if len(item.windows) > 1 + (item.sides != ())),
        cut_rows=sum(1 for item in items if item.lost),
        cut_tokens=sum(item.lost for item in items),
    )


def data_record(
    train: RowCounts, dev: RowCounts, labels: Sequence[str], rows: tuple[Sequence[Any], Sequence[Any]]
) -> dict[str, Any]:
    """As bertwright.json has it; `rows` are those of both files, and each label is counted in them."""
    record: dict[str, Any] = {"train": asdict(train), "dev": asdict(dev)}
    counts = [Counter(label for row in side for label in _labels(row)) for side in rows]
    if counts[0]:
        record["labels"] = {label: [count[label] for count in counts] for label in labels}
    return record


def _labels(row: Any) -> tuple[str, ...]:
    """Of a row that has one label or several; tags and answers are no such labels."""
    if not isinstance(row, Row):
        return ()
    return row.labels or (() if row.label is None else (row.label,))
