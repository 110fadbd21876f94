"""What a shard directory holds.

    manifest.json                 this file's Manifest: what, how many, from where, and a checksum of every file
    tokenizer/                    the tokenizer that made the ids (a transformers tokenizer directory)
    train-00000.tokens.npy        (tokens,)       uint16 or uint32   WordPiece ids, all documents one after the other
    train-00000.words.npy         (tokens / 8,)   uint8              one bit a token, lowest first: a word begins
    train-00000.sentences.npy     (sentences + 1,) int64             token offset of each sentence, and of the end
    train-00000.documents.npy     (documents + 1,) int64             sentence offset of each document, and of the end
    train-unigrams.npy            (vocabulary,)  int64               how often each piece stands in the train shards
    held_out-00000.*              the same for the documents kept aside to measure on

Plain `.npy`, so that a shard is mapped into memory and never read as a whole. Every shard holds two documents or more:
a next-sentence negative comes from another document of the same shard.
"""

from __future__ import annotations

import hashlib
from pathlib import Path  # pydantic needs it at run time
from typing import Literal

import numpy as np

from bertwright.errors import SettingsError, ShardError
from bertwright.files import read_json
from bertwright.settings import Settings

FORMAT = "bertwright-shards-2"
# The names of all that stands at the top of a shard directory.
SHARD_FILES = ("manifest.json", "tokenizer", "train-*.npy", "held_out-*.npy")
ARRAYS = ("tokens", "words", "sentences", "documents")
UNIGRAMS = "train-unigrams.npy"
Split = Literal["train", "held_out"]

# A sentence longer than this is broken: what has no sentence end for so long is a list or a table, and a break costs
# nothing, because consecutive pieces still stand one after the other in an example.
LONGEST_SENTENCE = 128


class ShardEntry(Settings):
    """One shard in the manifest."""

    name: str
    split: Split
    documents: int
    sentences: int
    tokens: int
    sha256: dict[str, str]


class Manifest(Settings):
    """What a shard directory says of itself."""

    format: Literal["bertwright-shards-2"] = "bertwright-shards-2"
    vocabulary_sha256: str
    vocabulary_size: int
    corpus_sha256: str
    language: str
    segmenter: str = "none"
    held_out_fraction: float
    counts: dict[str, int]
    # Of UNIGRAMS, which directories made before it was there lack.
    unigrams_sha256: str | None = None
    shards: list[ShardEntry]

    @property
    def identity(self) -> str:
        """What examples depend on: names, splits and checksums of all arrays, in order."""
        parts = [(entry.name, entry.split, *(entry.sha256[array] for array in ARRAYS)) for entry in self.shards]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def of(self, split: Split) -> list[ShardEntry]:
        """The shards of one split, in order."""
        return [entry for entry in self.shards if entry.split == split]


def token_dtype(vocabulary_size: int) -> type[np.uint16 | np.uint32]:
    """The smallest type that holds every id."""
    return np.uint16 if vocabulary_size <= 1 << 16 else np.uint32


def array_name(shard: str, array: str) -> str:
    """The file that holds one array of a shard."""
    return f"{shard}.{array}.npy"


def array_path(directory: Path, shard: str, array: str) -> Path:
    """Where one array of a shard lies."""
    return directory / array_name(shard, array)


def array_bytes(entry: ShardEntry, array: str, vocabulary_size: int) -> int:
    """The length of the file that holds one array of a shard."""
    if array == "tokens":
        return npy_bytes(entry.tokens, token_dtype(vocabulary_size))
    if array == "words":
        return npy_bytes(-(-entry.tokens // 8), np.uint8)
    return npy_bytes((entry.sentences if array == "sentences" else entry.documents) + 1, np.int64)


def npy_bytes(length: int, dtype: type[np.integer]) -> int:
    """The length of a `.npy` file of (length,) numbers; for one dimension its header is always as long."""
    return 128 + length * np.dtype(dtype).itemsize


def read_manifest(directory: Path) -> Manifest:
    """Read and check `manifest.json`. Raises ShardError."""
    if not directory.is_dir():
        raise ShardError("no such directory", where=directory, cure="make it with: bertwright prepare")
    path = directory / "manifest.json"
    if not path.exists():
        cure = "make shards with: bertwright prepare"
        raise ShardError("holds no manifest.json, so it is no shard directory", where=directory, cure=cure)
    values = read_json(path, ShardError)
    if values.get("format") != FORMAT:
        raise ShardError(f"format is {values.get('format')!r}, not {FORMAT!r}", where=path, cure="prepare it again")
    try:
        return Manifest.from_values(values, where=str(path))
    except SettingsError as error:
        raise ShardError(f"does not hold what a manifest must: {str(error).splitlines()[0]}", where=path) from None
