"""bertwright convert."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk


class Form(StrEnum):
    """Forms that a model can be written in."""

    hf = "hf"


def run(
    source: Annotated[Path, typer.Argument(help="Model directory, ours or one of transformers'.")],
    destination: Annotated[Path, typer.Argument(help="Directory to write.")],
    to: Annotated[Form, typer.Option(help="hf: a directory that transformers loads as it lies.")] = Form.hf,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the destination holds.")] = False,
) -> None:
    """Write a model in another form; old .bin files and old names become a model directory of today.

    Example: bertwright convert old-checkpoint new-directory --to hf
    """
    from bertwright.interchange.huggingface import convert_to_huggingface

    del to  # the only form so far
    convert_to_huggingface(source, destination, overwrite=overwrite, progress=Talk())
