"""bertwright prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk


def run(
    corpus: Annotated[list[str], typer.Argument(help=".txt or .jsonl (plain, .gz, .zst, .xz), folders, globs, or -.")],
    vocab: Annotated[Path, typer.Option(help="Directory with the vocabulary; a model directory will do.")],
    out: Annotated[Path, typer.Option(help="Directory to write the shards to.")],
    held_out: Annotated[float, typer.Option(min=0, max=0.5, help="Share of the documents kept aside.")] = 0.02,
    language: Annotated[str, typer.Option(help="Language code, for finding sentences.")] = "en",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what --out holds.")] = False,
) -> None:
    """Turn a corpus into shards: documents, sentences, token ids.

    Example: bertwright prepare corpus.jsonl --vocab vocab --out shards
    """
    from bertwright.recipes.prepare import prepare_corpus

    prepare_corpus(corpus, vocab, out, held_out=held_out, language=language, overwrite=overwrite, progress=Talk())
