"""A file of rows -> a file of the same rows with their predictions, as JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from bertwright.inference.asked import answered
from bertwright.inference.predictor import Predictor
from bertwright.progress import Progress
from bertwright.recipes.bulk.flow import ROWS_AT_ONCE, Part, answer_into
from bertwright.recipes.bulk.growing import growing_file, refuse_file
from bertwright.recipes.bulk.reading import Reading
from bertwright.recipes.bulk.rows import Rows
from bertwright.recipes.bulk.where import Answerer, Where, engine_for, is_lasting, workers_for
from bertwright.records import Record
from bertwright.version import VERSION


@dataclass(frozen=True, slots=True)
class Written:
    """Rows of a file that was written, and those of them that were not read whole."""

    rows: int
    cut: int


@dataclass(frozen=True)
class RowsAnswered(Answerer):
    """A model's predictions of some rows, as lines."""

    text_columns: tuple[str, ...] | None
    null_threshold: float | None

    def check(self) -> None:
        """Raise UserFault where something is wrong with the wish, before any row is read."""
        self.predictor.asking.task(self.text_columns, null_threshold=self.null_threshold)

    def __call__(self, rows: Sequence[Record]) -> Part:
        """One line for each row."""
        asked = self.predictor.asking.records(rows, text_columns=self.text_columns, null_threshold=self.null_threshold)
        found = answered(asked)
        cut = sum(bool(row["prediction"]["cut"]) for row in found)
        return Part("".join(line_of(row) + "\n" for row in found).encode(), cut)

    def rows_of(self, file: str, reading: Reading) -> Rows:
        """The rows of a file, as the model reads them."""
        return Rows(self.predictor.records(file, self.text_columns, reading.opened), file)


def predict_file(
    model: Path,
    file: str,
    out: Path,
    *,
    text_columns: Sequence[str] | None = None,
    null_threshold: float | None = None,
    where: Where = "auto",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress,
) -> tuple[Predictor, Written]:
    """Predict all rows of a file, "-" for standard input, into `out`, which is whole or absent.

    Killed or stopped, the same call with the same rows goes on. where: the engine, or "ray" for so many `workers` of a
    cluster (None: as many as there are cores here). The rest is as for `Predictor.predict`. Raises UserFault.
    """
    refuse_file(out, overwrite=overwrite)
    answer = _answerer(model, file, text_columns, null_threshold, where, progress)
    wishes = {"text_columns": list(text_columns or ()), "null_threshold": null_threshold}
    identity = {"bertwright": VERSION, "model": answer.predictor.identity(), **wishes}
    reading = Reading(file, "rows")
    with growing_file(out, identity, overwrite=overwrite, say=progress.say) as growing:
        rows = answer.rows_of(file, reading)
        answer_into(growing, rows, reading, answer, "predicting", progress, workers=workers_for(where, workers))
        written = Written(growing.state.rows, growing.state.cut)
    return answer.predictor, written


def predict_lines(
    model: Path,
    file: str,
    give: Callable[[str], None],
    *,
    text_columns: Sequence[str] | None = None,
    null_threshold: float | None = None,
    where: Where = "auto",
    progress: Progress,
) -> tuple[Predictor, Written]:
    """The same, the lines given away as they come."""
    answer = _answerer(model, file, text_columns, null_threshold, where, progress)
    reading = Reading(file, "rows")
    rows = cut = 0
    with reading.shown("predicting", 0, progress):
        for some in answer.rows_of(file, reading).handfuls(ROWS_AT_ONCE):
            part = answer(some.rows)
            give(part.content.decode().removesuffix("\n"))
            rows += len(some.rows)
            cut += part.cut
            reading.tell(rows)
    return answer.predictor, Written(rows, cut)


def _answerer(
    model: Path,
    file: str,
    text_columns: Sequence[str] | None,
    null_threshold: float | None,
    where: Where,
    progress: Progress,
) -> RowsAnswered:
    columns = None if text_columns is None else tuple(text_columns)
    answer = RowsAnswered(model, engine_for(where), is_lasting(file), columns, null_threshold)
    answer.tell(progress.say)
    answer.check()
    return answer


def line_of(row: dict[str, Any]) -> str:
    """A row as a line of JSON; a lone surrogate, which no text can hold, as a question mark, NaN as null."""
    try:
        line = json.dumps(row, ensure_ascii=False, default=_as_json, allow_nan=False)
    except ValueError:
        line = json.dumps(_finite(row), ensure_ascii=False, default=_as_json)
    return line.encode("utf-8", "replace").decode()


def _finite(value: Any) -> Any:
    """The same with null for NaN, as a missing cell of Parquet may be, and for infinity: JSON has no form for them."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_json(value: Any) -> Any:
    """A cell of Parquet that JSON has no form for, such as a date: as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date | time) else str(value)
