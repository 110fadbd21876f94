"""bertwright embed."""

from __future__ import annotations

import io
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk


class PoolingChoice(StrEnum):
    """How the vectors of a text's tokens become one."""

    mean = "mean"
    cls = "cls"


def run(
    model: Annotated[Path, typer.Argument(help="Model directory.")],
    out: Annotated[Path, typer.Option(help="File to write, (texts, hidden) fp32 as .npy.")],
    file: Annotated[
        str, typer.Argument(help='Texts: one a line in .txt or "-", column text in .jsonl, .csv, .tsv.')
    ] = "-",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out.")] = False,
    pooling: Annotated[
        PoolingChoice | None, typer.Option(help="Mean of the tokens, or [CLS]. Default: the model's own, else mean.")
    ] = None,
    normalize: Annotated[
        bool | None, typer.Option("--normalize/--no-normalize", help="Vectors of length 1. Default: the model's own.")
    ] = None,
) -> None:
    """Embed texts, one vector each.

    Example: bertwright embed model sentences.txt --out vectors.npy
    """
    import numpy as np

    from bertwright.errors import RowError, UserFault
    from bertwright.files import write_atomic
    from bertwright.inference.predictor import load
    from bertwright.lines import lines_of
    from bertwright.records import kind_of
    from bertwright.tasks.rows import SINGLE, read_rows

    # Told before the work, not after it.
    if out.suffix != ".npy":
        raise UserFault("vectors are written as .npy", where=out, cure="give --out a name that ends so")
    if out.is_file() and not overwrite:
        raise UserFault("exists", where=out, cure="choose another --out, or give --overwrite")
    if out.is_dir() or not out.resolve().parent.is_dir():
        raise UserFault("is a directory" if out.is_dir() else "its folder does not exist", where=out)
    predictor = load(model)
    talk = Talk()
    if file == "-" or kind_of(file) == ".txt":
        texts = [line for _, line in lines_of(file, RowError)]
    else:
        texts = [row.texts[0] for row in read_rows(Path(file), SINGLE, None)]
    if not texts:
        raise RowError("holds no texts", where="standard input" if file == "-" else file)
    with talk.task("embedding", len(texts), "texts") as task:
        vectors = predictor.embed(texts, None if pooling is None else pooling.value, task.update, normalize=normalize)
    content = io.BytesIO()
    np.save(content, vectors, allow_pickle=False)
    write_atomic(out, content.getvalue())
    if cut := predictor.cut(texts):
        talk.say(f"{cut:,} of {len(texts):,} texts did not fit {predictor.max_length} tokens and were cut")
    talk.say(f"{vectors.shape[0]:,} vectors of {vectors.shape[1]} -> {out}")
