"""A file of texts -> their vectors as .npy."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from bertwright.errors import RowError, UserFault
from bertwright.heads.embed import Pooling
from bertwright.inference.predictor import Predictor, load
from bertwright.lines import STANDARD_INPUT, lines_of, told
from bertwright.progress import Progress
from bertwright.recipes.bulk.growing import growing_file, refuse_file
from bertwright.recipes.bulk.predict import Written
from bertwright.recipes.bulk.reading import reading
from bertwright.recipes.bulk.source import identity_of
from bertwright.records import kind_of, read_records
from bertwright.tasks.rows import text_of

_TEXTS_AT_ONCE = 1024


def embed_file(
    model: Path,
    file: str,
    out: Path,
    *,
    pooling: Pooling | None = None,
    normalize: bool | None = None,
    overwrite: bool = False,
    progress: Progress,
) -> tuple[Predictor, Written]:
    """Embed all texts of a file into `out`, (texts, hidden) fp32, which is whole or absent.

    A text is a line of a .txt file or of standard input ("-"), else the column `text`. Killed or stopped, the same call
    goes on. pooling, normalize: as for `Predictor.embed`. Raises UserFault.
    """
    # Told before the work, not after it.
    if out.suffix != ".npy":
        raise UserFault("vectors are written as .npy", where=out, cure="give --out a name that ends so")
    refuse_file(out, overwrite=overwrite)
    predictor = load(model)
    identity = identity_of(model, file, {"pooling": pooling, "normalize": normalize})
    with growing_file(out, identity, overwrite=overwrite, say=progress.say) as growing:
        with reading(file, "embedding", "texts", progress) as shown:
            if not growing.bytes:
                growing.add(_header(0, predictor.hidden_size))
            shown.tell(growing.rows)
            texts = islice(_texts(file, shown.opened), growing.rows, None)
            while some := list(islice(texts, _TEXTS_AT_ONCE)):
                vectors = predictor.embed(some, pooling, normalize=normalize)
                growing.add(vectors.tobytes(), rows=len(some), cut=predictor.cut(some))
                shown.tell(growing.rows)
        if not growing.rows:
            raise RowError("holds no texts", where=told(file))
        growing.rewrite(_header(growing.rows, predictor.hidden_size))
        written = Written(growing.rows, growing.cut)
    return predictor, written


def _texts(file: str, opened: Callable[[IO[bytes]], None]) -> Iterator[str]:
    if file == STANDARD_INPUT or kind_of(file) == ".txt":
        return (line for _, line in lines_of(file, RowError, opened=opened))
    cure = "rename the column, or write one text a line in .txt"
    return (text_of(row, "text", place, cure) for place, row in read_records(file, RowError, opened=opened))


def _header(rows: int, hidden_size: int) -> bytes:
    """Numpy leaves room for the number of rows to grow, so that the header is as long for any of them."""
    content = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (rows, hidden_size)}
    np.lib.format.write_array_header_1_0(content, described)
    return content.getvalue()
