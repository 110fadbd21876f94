"""bertwright vocab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk


def run(
    corpus: Annotated[list[str], typer.Argument(help=".txt or .jsonl (plain, .gz, .zst, .xz), folders, globs, or -.")],
    out: Annotated[Path, typer.Option(help="Directory to write the tokenizer to.")],
    size: Annotated[int, typer.Option(min=6, help="Pieces in the vocabulary, special tokens included.")] = 30522,
    cased: Annotated[bool, typer.Option("--cased", help="Keep upper case and accents.")] = False,
    alphabet: Annotated[int, typer.Option(min=1, help="Characters to keep; some 8000 for Chinese.")] = 1000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what --out holds.")] = False,
) -> None:
    """Learn a WordPiece vocabulary from a corpus.

    Example: bertwright vocab corpus.jsonl --size 8000 --out vocab
    """
    from bertwright.recipes.vocabulary import make_vocabulary

    make_vocabulary(
        corpus, out, size=size, lowercase=not cased, alphabet_limit=alphabet, overwrite=overwrite, progress=Talk()
    )
