"""Writing shards: token ids of documents, in order, a bounded number of tokens to a shard."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from bertwright.files import sha256
from bertwright.shards.format import ARRAYS, ShardEntry, Split, array_path, token_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOKENS_PER_SHARD = 1 << 24


class _Buffer:
    """Documents gathered for one shard."""

    def __init__(self) -> None:
        self.tokens: list[np.ndarray] = []
        self.sentence_lengths: list[int] = []
        self.document_lengths: list[int] = []
        self.size = 0

    def add(self, sentences: Sequence[Sequence[int]], dtype: type[np.unsignedinteger]) -> None:
        ids = np.fromiter((token for sentence in sentences for token in sentence), dtype=dtype)
        self.tokens.append(ids)
        self.sentence_lengths.extend(map(len, sentences))
        self.document_lengths.append(len(sentences))
        self.size += len(ids)

    def extend(self, other: _Buffer) -> None:
        self.tokens.extend(other.tokens)
        self.sentence_lengths.extend(other.sentence_lengths)
        self.document_lengths.extend(other.document_lengths)
        self.size += other.size


class ShardWriter:
    """Writes the shards of one split into `directory`.

    Same documents in the same order give the same bytes. The last full shard is kept back until the next one holds two
    documents, so that no shard ends up with a single one.
    """

    def __init__(
        self, directory: Path, split: Split, vocabulary_size: int, tokens_per_shard: int = TOKENS_PER_SHARD
    ) -> None:
        self._directory = directory
        self._split = split
        self._dtype = token_dtype(vocabulary_size)
        self._limit = tokens_per_shard
        self._full: _Buffer | None = None
        self._buffer = _Buffer()
        self.entries: list[ShardEntry] = []
        self.documents = 0

    def add(self, sentences: Sequence[Sequence[int]]) -> None:
        """Add one document: its sentences as ids, none of them empty."""
        self._buffer.add(sentences, self._dtype)
        self.documents += 1
        if len(self._buffer.document_lengths) < 2:  # a negative needs another document
            return
        if self._full is not None:
            self._write(self._full)
            self._full = None
        if self._buffer.size >= self._limit:
            self._full, self._buffer = self._buffer, _Buffer()

    def close(self) -> list[ShardEntry]:
        """Write what is left and return the entries for the manifest."""
        if self._full is not None:
            self._full.extend(self._buffer)
            self._buffer, self._full = self._full, None
        if self._buffer.document_lengths:
            self._write(self._buffer)
        self._buffer = _Buffer()
        return self.entries

    def _write(self, buffer: _Buffer) -> None:
        name = f"{self._split}-{len(self.entries):05d}"
        arrays = {
            "tokens": np.concatenate(buffer.tokens),
            "sentences": _offsets(buffer.sentence_lengths),
            "documents": _offsets(buffer.document_lengths),
        }
        checksums = {}
        for array in ARRAYS:
            path = array_path(self._directory, name, array)
            np.save(path, arrays[array], allow_pickle=False)
            checksums[array] = sha256(path)
        self.entries.append(
            ShardEntry(
                name=name,
                split=self._split,
                documents=len(buffer.document_lengths),
                sentences=len(buffer.sentence_lengths),
                tokens=buffer.size,
                sha256=checksums,
            )
        )


def _offsets(lengths: list[int]) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def belongs_to_held_out(paragraphs: Sequence[str], fraction: float) -> bool:
    """Whether a document is kept aside, by a hash of its text: equal documents always fall on the same side."""
    digest = hashlib.blake2b("\n".join(paragraphs).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < fraction * 2**64
