"""bertwright vocab extend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import OnErrorChoice
from bertwright.cli.talk import Talk


def run(
    model: Annotated[Path, typer.Argument(help="Model directory to start from.")],
    corpus: Annotated[list[str], typer.Argument(help="Text of the field, as for vocab.")],
    out: Annotated[Path, typer.Option(help="Directory to write the model to.")],
    add: Annotated[int, typer.Option(min=1, help="Words to add at most.")] = 1000,
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    on_error: Annotated[OnErrorChoice, typer.Option(help="skip: count bad lines and go on.")] = OnErrorChoice.stop,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
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
