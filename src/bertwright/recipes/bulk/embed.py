"""A file of texts -> their vectors as .npy."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from bertwright.errors import RowError, SettingsError, UserFault
from bertwright.heads.embed import Pooling
from bertwright.inference.asked import answered
from bertwright.inference.predictor import Predictor
from bertwright.lines import STANDARD_INPUT, lines_of, told
from bertwright.progress import Progress
from bertwright.recipes.bulk.flow import Part, answer_into
from bertwright.recipes.bulk.growing import growing_file, refuse_file
from bertwright.recipes.bulk.predict import Written
from bertwright.recipes.bulk.reading import Reading
from bertwright.recipes.bulk.rows import Rows
from bertwright.recipes.bulk.where import Answerer, Where, engine_for, is_lasting, workers_for
from bertwright.records import kind_of, read_records
from bertwright.tasks.rows import text_of
from bertwright.version import VERSION


@dataclass(frozen=True)
class TextsEmbedded(Answerer):
    """A model's vectors of some texts, as they lie in a file."""

    pooling: Pooling | None
    normalize: bool | None

    def __call__(self, rows: Sequence[tuple[str, Any]]) -> Part:
        """(texts, hidden) fp32."""
        asked = self.predictor.asking.embed([text for _, text in rows], self.pooling, normalize=self.normalize)
        found = answered(asked)
        return Part(found.tobytes())


def embed_file(
    model: Path,
    file: str,
    out: Path,
    *,
    pooling: Pooling | None = None,
    normalize: bool | None = None,
    where: Where = "auto",
    workers: int | None = None,
    text_column: str = "text",
    overwrite: bool = False,
    progress: Progress,
) -> tuple[Predictor, Written]:
    """Embed all texts of a file into `out`, (texts, hidden) fp32, which is whole or absent.

    A text is a line of a .txt file or of standard input ("-"), else the column `text_column`. Killed or stopped, the
    same call goes on. pooling, normalize: as for `Predictor.embed`; where, workers: as for `predict_file`.
    Raises UserFault.
    """
    # Told before the work, not after it.
    if out.suffix != ".npy":
        raise UserFault("vectors are written as .npy", where=out, cure="give --out a name that ends so")
    if text_column != "text" and _is_lines(file):
        raise SettingsError(
            "--text-column is for tables, and here each line is a text", where=told(file), cure="leave it out"
        )
    refuse_file(out, overwrite=overwrite)
    answer = TextsEmbedded(model, engine_for(where), is_lasting(file), pooling, normalize)
    answer.tell(progress.say)
    predictor = answer.predictor
    identity = {"bertwright": VERSION, "model": predictor.identity(), "pooling": pooling, "normalize": normalize}
    reading = Reading(file, "texts")
    with growing_file(out, identity, overwrite=overwrite, say=progress.say) as growing:
        if not growing.state.bytes:
            growing.add(_header(0, predictor.hidden_size))
        rows = Rows(_texts(file, text_column, reading.opened), file)
        answer_into(growing, rows, reading, answer, "embedding", progress, workers=workers_for(where, workers))
        if not growing.state.rows:
            raise RowError("holds no texts", where=told(file))
        growing.rewrite(_header(growing.state.rows, predictor.hidden_size))
        written = Written(growing.state.rows, growing.state.cut)
    return predictor, written


def _texts(file: str, column: str, opened: Callable[[IO[bytes]], None]) -> Iterator[tuple[str, str]]:
    if _is_lines(file):
        return ((f"{told(file)}:{number}", line) for number, line in lines_of(file, RowError, opened=opened))
    cure = "name the column with --text-column, or write one text a line in .txt"
    records = read_records(file, RowError, columns=[column], opened=opened)
    return ((place, text_of(row, column, place, cure)) for place, row in records)


def _is_lines(file: str) -> bool:
    return file == STANDARD_INPUT or kind_of(file) == ".txt"


def _header(rows: int, hidden_size: int) -> bytes:
    """Numpy leaves room for the number of rows to grow, so that the header is as long for any of them."""
    content = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (rows, hidden_size)}
    np.lib.format.write_array_header_1_0(content, described)
    return content.getvalue()
