"""Shards of the documentation inside the installed packages: text that every machine has, for runs that need any."""

from __future__ import annotations

from pathlib import Path

from bertwright.progress import Progress
from bertwright.recipes.documentation import HELD_OUT, VOCABULARY_SIZE, gather_documentation
from bertwright.recipes.prepare import PrepareSettings, prepare_corpus
from bertwright.recipes.vocabulary import make_vocabulary


def documentation_shards(out: Path, progress: Progress) -> Path:
    """Shards of the documentation, made under `out` unless they are there already; returns their directory.

    The corpus and the vocabulary that they were made from lie beside them. Raises CorpusError where none is found.
    """
    shards, vocabulary, corpus = out / "shards", out / "vocab", out / "corpus.jsonl"
    # They come last and appear whole. What lies there without them was left by a kill, maybe of other packages.
    if not shards.exists():
        out.mkdir(parents=True, exist_ok=True)
        gather_documentation(corpus, progress)
        make_vocabulary([str(corpus)], vocabulary, size=VOCABULARY_SIZE, overwrite=True, progress=progress)
        settings = PrepareSettings(held_out=HELD_OUT)
        prepare_corpus([str(corpus)], vocabulary, shards, settings=settings, progress=progress)
    return shards
