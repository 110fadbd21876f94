"""The corpus as shards, made once for all experiments, with a vocabulary of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from bertwright.errors import CorpusError
from bertwright.files import write_atomic
from bertwright.recipes.prepare import PrepareSettings, prepare_corpus
from bertwright.recipes.vocabulary import make_vocabulary
from bertwright.text.documents import read_documents
from lab.bench import Bench
from lab.made import write_made_corpus

# An encyclopedia and novels, 70 MB.
GENERAL = ("raw/en/wikipedia_core", "raw/en/wikipedia_articles", "raw/en/novels")
VOCABULARY = 8000
# Characters of the small corpus, which a run goes through many times: some 400,000 tokens.
LITTLE = 2_000_000


def vocabulary(bench: Bench) -> Path:
    """The directory of the vocabulary, learnt on the whole corpus on first need."""
    out = bench.out / "corpus" / "vocab"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        # So few that some of the made words fall into pieces.
        size = 90 if bench.quick else VOCABULARY
        with bench.unit():
            make_vocabulary(sources(bench), out, size=size, workers=_workers(bench), progress=bench.progress)
    return out


def shards(bench: Bench, *, little: bool = False) -> Path:
    """The shard directory of the whole corpus, or of the `little` one, made on first need."""
    out = bench.out / "corpus" / ("little" if little else "shards")
    if not out.exists():
        vocab = vocabulary(bench)
        # Of little text more must be held out to measure on.
        settings = PrepareSettings(held_out=0.2 if little or bench.quick else 0.01)
        texts = [str(little_corpus(bench))] if little else sources(bench)
        many = _workers(bench)
        with bench.unit():
            prepare_corpus(texts, vocab, out, settings=settings, workers=many, progress=bench.progress)
    return out


def sources(bench: Bench) -> list[str]:
    """The files of the corpus; made text in a quick run."""
    if bench.quick:
        path = bench.out / "corpus" / "made.jsonl"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_made_corpus(path, documents=80, seed=0)
        return [str(path)]
    assert bench.data is not None
    return [str(found(bench.data, name)) for name in GENERAL]


def found(data: Path, name: str) -> Path:
    """`name` under `data`, as .jsonl or compressed."""
    for ending in (".jsonl", ".jsonl.zst", ".jsonl.gz"):
        if (data / f"{name}{ending}").is_file():
            return data / f"{name}{ending}"
    raise CorpusError(f"holds no {name}.jsonl, plain, .zst or .gz", where=data)


def little_corpus(bench: Bench) -> Path:
    """Every so many-th document of the corpus, up to LITTLE characters."""
    path = bench.out / "corpus" / "little.jsonl"
    if not path.exists():
        lines, characters = [], 0
        for text in itertools.islice(texts_of(bench), 0, None, 7):
            lines.append(json.dumps({"text": text}, ensure_ascii=False))
            characters += len(text)
            if characters > LITTLE:
                break
        write_atomic(path, ("\n".join(lines) + "\n").encode())
    return path


def texts_of(bench: Bench) -> Iterator[str]:
    """The text of each document, paragraphs parted by blank lines."""
    for document in read_documents(sources(bench)):
        yield "\n\n".join(document.paragraphs)


def _workers(bench: Bench) -> int | None:
    # To start processes takes longer than made text does.
    return 1 if bench.quick else None
