"""Reading shards: mapped into memory, checked against their checksums."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bertwright.errors import ShardError
from bertwright.files import sha256
from bertwright.parallel import processors
from bertwright.shards.format import ARRAYS, Manifest, ShardEntry, Split, array_path, read_manifest
from bertwright.tokens.layout import read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bertwright.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard: ids of all documents and where sentences and documents start.

    tokens: (tokens,) unsigned; words: (tokens / 8,) uint8, a bit for each token; sentences: (sentences + 1,) token
    offsets; documents: (documents + 1,) sentence offsets.
    """

    name: str
    tokens: NDArray[np.unsignedinteger]
    words: NDArray[np.uint8]
    sentences: NDArray[np.int64]
    documents: NDArray[np.int64]

    def word_starts(self, first: int, count: int) -> NDArray[np.bool_]:
        """Whether a true word begins with each of `count` tokens from `first` on."""
        begin = first // 8
        bits = np.unpackbits(self.words[begin : (first + count + 7) // 8], bitorder="little")
        return bits[first - 8 * begin :][:count].astype(np.bool_)


@dataclass(frozen=True, slots=True)
class ShardDirectory:
    """An opened shard directory."""

    path: Path
    manifest: Manifest
    tokenizer: Tokenizer

    def shards(self, split: Split, on_progress: Callable[[int], None] | None = None) -> list[Shard]:
        """The shards of one split, memory-mapped. Raises ShardError where one is missing or damaged.

        `on_progress` is told the number of shards that were checked.
        """
        opened: list[Shard] = []
        # Checksums let go of the interpreter.
        with ThreadPoolExecutor(processors()) as pool:
            for shard in pool.map(lambda entry: _open_shard(self.path, entry), self.manifest.of(split)):
                opened.append(shard)
                if on_progress is not None:
                    on_progress(len(opened))
        return opened


def open_shards(directory: Path) -> ShardDirectory:
    """Open a shard directory and check that the vocabulary beside the shards is the one that made them.

    Raises ShardError.
    """
    manifest = read_manifest(directory)
    tokenizer = read_tokenizer(directory / "tokenizer")
    if tokenizer.vocabulary.sha256 != manifest.vocabulary_sha256:
        raise ShardError(
            "the vocabulary does not match the shards: it changed after they were made",
            where=directory / "tokenizer" / "vocab.txt",
            cure="prepare the corpus again with this vocabulary",
        )
    return ShardDirectory(directory, manifest, tokenizer)


def _open_shard(directory: Path, entry: ShardEntry) -> Shard:
    arrays = {}
    for array in ARRAYS:
        path = array_path(directory, entry.name, array)
        if not path.exists():
            raise ShardError("this file of the shard is missing", where=path, cure="prepare the corpus again")
        if sha256(path) != entry.sha256.get(array):
            cure = "it was changed or damaged; prepare the corpus again"
            raise ShardError("the checksum differs from the manifest's", where=path, cure=cure)
        # Mapped, and then plain arrays: what numpy makes of a mapping is slow to index.
        arrays[array] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    return Shard(entry.name, **arrays)
