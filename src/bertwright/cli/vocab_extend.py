"""bertwright vocab extend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import Corpus, OnError, OnErrorChoice, TextColumn, Workers
from bertwright.cli.talk import Talk


def run(
    model: Annotated[Path, typer.Argument(help="Model directory to start from.")],
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Directory to write the model to.")],
    add: Annotated[int, typer.Option(min=1, help="Words to add at most.")] = 1000,
    text_column: TextColumn = "text",
    on_error: OnError = OnErrorChoice.stop,
    workers: Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model that --out holds.")] = False,
) -> None:
    """Add a field's words to a model's vocabulary, each beginning as the mean of its old pieces.

    Example: bertwright vocab extend model field.jsonl --add 2000 --out model-of-the-field
    """
    from bertwright.recipes.extension import extend_vocabulary

    extend_vocabulary(
        model,
        corpus,
        out,
        add=add,
        text_column=text_column,
        on_error=on_error.value,
        workers=workers,
        overwrite=overwrite,
        progress=Talk(),
    )
