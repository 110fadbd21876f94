"""bertwright embed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import BulkChoice, TextColumn
from bertwright.cli.talk import Talk


class PoolingChoice(StrEnum):
    """How the vectors of a text's tokens become one."""

    mean = "mean"
    cls = "cls"


def run(
    model: Annotated[Path, typer.Argument(help="Model directory.")],
    out: Annotated[Path, typer.Option(help="File to write, (texts, hidden) fp32 as .npy.")],
    file: Annotated[
        str, typer.Argument(help='Texts: one a line in .txt or "-", a column in .jsonl, .csv, .tsv, .parquet.')
    ] = "-",
    text_column: TextColumn = "text",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out.")] = False,
    engine: Annotated[
        BulkChoice, typer.Option(help="What runs the model; ray: workers of a cluster (RAY_ADDRESS), with --out.")
    ] = BulkChoice.auto,
    workers: Annotated[int | None, typer.Option(min=1, help="ray: how many; one a core by default.")] = None,
    pooling: Annotated[
        PoolingChoice | None, typer.Option(help="Mean of the tokens, or [CLS]. Default: the model's own, else mean.")
    ] = None,
    normalize: Annotated[
        bool | None, typer.Option("--normalize/--no-normalize", help="Vectors of length 1. Default: the model's own.")
    ] = None,
) -> None:
    """Embed texts, one vector each; killed or stopped, the same command goes on.

    Example: bertwright embed model sentences.txt --out vectors.npy
    """
    from bertwright.errors import SettingsError
    from bertwright.recipes.bulk.embed import embed_file

    if workers is not None and engine is not BulkChoice.ray:
        raise SettingsError("--workers is for --engine ray", cure="leave it out")
    talk = Talk()
    predictor, written = embed_file(
        model,
        file,
        out,
        pooling=None if pooling is None else pooling.value,
        normalize=normalize,
        where=engine.value,
        workers=workers,
        text_column=text_column,
        overwrite=overwrite,
        progress=talk,
    )
    talk.say(f"{written.rows:,} vectors of {predictor.hidden_size} -> {out}")
