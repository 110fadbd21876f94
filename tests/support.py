"""Small vocabularies, shards and corpora that one can check by eye."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertwright.files import to_json, write_atomic
from bertwright.shards.cache import ShardCache
from bertwright.shards.format import Manifest
from bertwright.shards.read import Shard
from bertwright.shards.write import ShardWriter
from bertwright.tokens.layout import tokenizer_files
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

# A document is its sentences, and a sentence its ids.
Documents = Sequence[Sequence[Sequence[int]]]

PETS = Vocabulary([*SPECIALS, "the", "cat", "dog", "sat", "ran", "home", "##s"])


def letters(count: int = 26) -> Vocabulary:
    """The special pieces and `count` words: the letters, then a1, b1 and so on."""
    words = [chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "") for number in range(count)]
    return Vocabulary([*SPECIALS, *words])


def numbered(sentence_lengths: Sequence[Sequence[int]], first: int = 5) -> list[list[list[int]]]:
    """Documents of sentences of the lengths given, whose tokens are `first`, `first` + 1 ... so that all differ."""
    number = first
    documents = []
    for lengths in sentence_lengths:
        document = []
        for length in lengths:
            document.append(list(range(number, number + length)))
            number += length
        documents.append(document)
    return documents


def shard_of(documents: Documents, name: str = "train-00000", within: Collection[int] = ()) -> Shard:
    """A shard in memory; tokens of the ids `within` go on with a word, all others begin one."""
    sentences = [sentence for document in documents for sentence in document]
    tokens = np.array([token for sentence in sentences for token in sentence], dtype=np.uint32)
    return Shard(
        name,
        {
            "tokens": tokens,
            "words": np.packbits(~np.isin(tokens, list(within)), bitorder="little"),
            "sentences": np.cumsum([0, *map(len, sentences)]),
            "documents": np.cumsum([0, *map(len, documents)]),
        },
    )


def shards_of(documents: Documents, documents_per_shard: int, within: Collection[int] = ()) -> list[Shard]:
    """The same documents in shards of a few each."""
    several = [
        documents[start : start + documents_per_shard] for start in range(0, len(documents), documents_per_shard)
    ]
    return [shard_of(some, f"train-{number:05d}", within) for number, some in enumerate(several)]


def flat(document: Sequence[Sequence[int]]) -> tuple[NDArray[np.uint16], NDArray[np.bool_], NDArray[np.int32]]:
    """A document as the writer takes it: all ids, each of them a word, and the length of each sentence."""
    ids = [token for sentence in document for token in sentence]
    lengths = np.array([len(sentence) for sentence in document], dtype=np.int32)
    return np.array(ids, dtype=np.uint16), np.ones(len(ids), dtype=np.bool_), lengths


def write_shards(
    directory: Path,
    documents: Documents,
    vocabulary: Vocabulary,
    *,
    held_out: Documents = (),
    tokens_per_shard: int = 1 << 24,
) -> Manifest:
    """A shard directory on disk, as `bertwright prepare` leaves it."""
    (directory / "tokenizer").mkdir(parents=True)
    for name, content in tokenizer_files(Tokenizer(vocabulary)).items():
        write_atomic(directory / "tokenizer" / name, content)
    train = ShardWriter(directory, "train", len(vocabulary), tokens_per_shard)
    aside = ShardWriter(directory, "held_out", len(vocabulary), tokens_per_shard)
    for document in documents:
        train.add(*flat(document))
    for document in held_out:
        aside.add(*flat(document))
    manifest = Manifest(
        vocabulary_sha256=vocabulary.sha256,
        vocabulary_size=len(vocabulary),
        corpus_sha256="0" * 64,
        language="en",
        held_out_fraction=0.0,
        counts={},
        shards=train.close() + aside.close(),
    )
    write_atomic(directory / "manifest.json", to_json(manifest.model_dump()))
    return manifest


def lying(cache: ShardCache) -> int:
    """Bytes of all files in the folder of a cache, under its lock, so that none takes another's room meanwhile."""
    total = 0
    with cache._alone():
        for entry in os.scandir(cache.directory):
            with contextlib.suppress(FileNotFoundError):  # given up: that needs no lock
                total += entry.stat().st_size
    return total
