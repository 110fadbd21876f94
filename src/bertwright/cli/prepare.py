"""bertwright prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import (
    Corpus,
    DedupeChoice,
    OnError,
    OnErrorChoice,
    Segmenter,
    SegmenterChoice,
    TextColumn,
    WhereChoice,
    Workers,
)
from bertwright.cli.talk import Talk


def run(
    corpus: Corpus,
    vocab: Annotated[Path, typer.Option(help="Directory with the vocabulary; a model directory will do.")],
    out: Annotated[Path, typer.Option(help="Directory to write the shards to.")],
    held_out: Annotated[float, typer.Option(min=0, max=0.5, help="Share of the documents kept aside.")] = 0.02,
    language: Annotated[str, typer.Option(help="Language code, for finding sentences.")] = "en",
    dedupe: Annotated[DedupeChoice, typer.Option(help="Leave out documents met before.")] = DedupeChoice.none,
    segmenter: Segmenter = SegmenterChoice.none,
    text_column: TextColumn = "text",
    on_error: OnError = OnErrorChoice.stop,
    workers: Workers = None,
    engine: Annotated[WhereChoice, typer.Option(help="ray: on a Ray cluster (RAY_ADDRESS).")] = WhereChoice.local,
    tokens_per_shard: Annotated[int, typer.Option(min=1, help="Tokens after which a shard ends.")] = 1 << 24,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what --out holds; also unfinished work of another corpus.")
    ] = False,
) -> None:
    """Turn a corpus into shards: documents, sentences, token ids.

    The same command goes on where a killed one was. The bytes are the same however often that happens, and for any
    number of workers.

    Example: bertwright prepare corpus.jsonl --vocab vocab --out shards
    """
    from bertwright.recipes.prepare import PrepareSettings, prepare_corpus

    settings = PrepareSettings.from_values({
        "held_out": held_out,
        "language": language,
        "dedupe": dedupe.value,
        "segmenter": segmenter.value,
        "text_column": text_column,
        "on_error": on_error.value,
        "tokens_per_shard": tokens_per_shard,
    })  # fmt: skip
    prepare_corpus(
        corpus,
        vocab,
        out,
        settings=settings,
        workers=workers,
        engine=engine.value,
        overwrite=overwrite,
        progress=Talk(),
    )
