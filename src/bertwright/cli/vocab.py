"""bertwright vocab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import Corpus, OnError, OnErrorChoice, TextColumn, Workers
from bertwright.cli.talk import Talk


def run(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Directory to write the tokenizer to.")],
    size: Annotated[int, typer.Option(min=6, help="Pieces in the vocabulary, special tokens included.")] = 30522,
    cased: Annotated[bool, typer.Option("--cased", help="Keep upper case and accents.")] = False,
    strip_accents: Annotated[
        bool | None, typer.Option("--strip-accents/--keep-accents", help="By default as upper case is.")
    ] = None,
    split_cjk: Annotated[bool, typer.Option("--split-cjk/--keep-cjk", help="Each ideograph a word.")] = True,
    alphabet: Annotated[int, typer.Option(min=1, help="Characters to keep; some 8000 for Chinese.")] = 1000,
    unused: Annotated[int, typer.Option(min=0, help="Pieces [unused0] and so on, kept free for later.")] = 0,
    max_words: Annotated[int, typer.Option(min=1000, help="Distinct words in memory, and learned from.")] = 5_000_000,
    text_column: TextColumn = "text",
    on_error: OnError = OnErrorChoice.stop,
    workers: Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what --out holds.")] = False,
) -> None:
    """Learn a WordPiece vocabulary from a corpus.

    The same text gives the same vocabulary, byte for byte, in any order of its files and on any number of workers.

    Example: bertwright vocab corpus.jsonl --size 8000 --out vocab
    """
    from bertwright.recipes.vocabulary import make_vocabulary

    make_vocabulary(
        corpus,
        out,
        size=size,
        lowercase=not cased,
        strip_accents=strip_accents,
        split_cjk=split_cjk,
        alphabet_limit=alphabet,
        unused=unused,
        max_words=max_words,
        text_column=text_column,
        on_error=on_error.value,
        workers=workers,
        overwrite=overwrite,
        progress=Talk(),
    )
