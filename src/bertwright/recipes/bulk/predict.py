"""A file of rows -> a file of the same rows with their predictions, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from itertools import islice
from pathlib import Path
from typing import Any

from bertwright.inference.predictor import Predictor, load
from bertwright.progress import Progress
from bertwright.recipes.bulk.growing import growing_file, refuse_file
from bertwright.recipes.bulk.reading import reading
from bertwright.recipes.bulk.source import identity_of

# Rows that are written at once, and at most done again after a kill: as many as are predicted together.
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Written:
    """Rows of a file that was written, and those of them that were not read whole."""

    rows: int
    cut: int


def predict_file(
    model: Path,
    file: str,
    out: Path,
    *,
    text_columns: Sequence[str] | None = None,
    null_threshold: float | None = None,
    overwrite: bool = False,
    progress: Progress,
) -> tuple[Predictor, Written]:
    """Predict all rows of a file, "-" for standard input, into `out`, which is whole or absent.

    Killed or stopped, the same call goes on. The rest is as for `Predictor.predict`. Raises UserFault.
    """
    refuse_file(out, overwrite=overwrite)
    predictor = load(model)
    # What is wrong with the wish is told before anything that another has written is looked at.
    predictor.predict([], text_columns=text_columns, null_threshold=null_threshold)
    wishes = {"text_columns": list(text_columns or ()), "null_threshold": null_threshold}
    identity = identity_of(model, file, wishes)
    with growing_file(out, identity, overwrite=overwrite, say=progress.say) as growing:
        with reading(file, "predicting", "rows", progress) as shown:
            shown.tell(growing.rows)
            found = predictor.predict(
                file,
                text_columns=text_columns,
                null_threshold=null_threshold,
                skip=growing.rows,
                opened=shown.opened,
            )
            while rows := list(islice(found, _ROWS_AT_ONCE)):
                cut = sum(bool(row["prediction"]["cut"]) for row in rows)
                growing.add("".join(line_of(row) + "\n" for row in rows).encode(), rows=len(rows), cut=cut)
                shown.tell(growing.rows)
        written = Written(growing.rows, growing.cut)
    return predictor, written


def predict_lines(
    model: Path,
    file: str,
    give: Callable[[str], None],
    *,
    text_columns: Sequence[str] | None = None,
    null_threshold: float | None = None,
    progress: Progress,
) -> tuple[Predictor, Written]:
    """The same, each line given away as it comes."""
    predictor = load(model)
    rows = cut = 0
    with reading(file, "predicting", "rows", progress) as shown:
        wishes: dict[str, Any] = {"text_columns": text_columns, "null_threshold": null_threshold}
        for row in predictor.predict(file, opened=shown.opened, progress=shown.tell, **wishes):
            give(line_of(row))
            rows += 1
            cut += bool(row["prediction"]["cut"])
    return predictor, Written(rows, cut)


def line_of(row: dict[str, Any]) -> str:
    """A row as a line of JSON; a lone surrogate, which no text can hold, as a question mark."""
    return json.dumps(row, ensure_ascii=False, default=_as_json).encode("utf-8", "replace").decode()


def _as_json(value: Any) -> Any:
    """A cell of Parquet that JSON has no form for, such as a date: as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date | time) else str(value)
