"""Writing shards: token ids of documents, in order, a bounded number of tokens to a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bertwright.files import sha256, sync_file
from bertwright.shards.format import ARRAYS, UNIGRAMS, ShardEntry, Split, array_path, token_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TOKENS_PER_SHARD = 1 << 24
_BUFFERS = ("full", "growing")


class _Buffer:
    """Documents gathered for one shard."""

    def __init__(self) -> None:
        self.tokens: list[NDArray[np.unsignedinteger]] = []
        self.word_starts: list[NDArray[np.bool_]] = []
        self.sentence_lengths: list[NDArray[np.int32]] = []
        self.document_lengths: list[int] = []
        self.size = 0

    def add(
        self,
        tokens: NDArray[np.unsignedinteger],
        word_starts: NDArray[np.bool_],
        sentences: NDArray[np.int32],
        documents: Sequence[int],
    ) -> None:
        self.tokens.append(tokens)
        self.word_starts.append(word_starts)
        self.sentence_lengths.append(sentences)
        self.document_lengths.extend(documents)
        self.size += len(tokens)

    def extend(self, other: _Buffer) -> None:
        self.tokens.extend(other.tokens)
        self.word_starts.extend(other.word_starts)
        self.sentence_lengths.extend(other.sentence_lengths)
        self.document_lengths.extend(other.document_lengths)
        self.size += other.size

    def arrays(self, dtype: type[np.unsignedinteger]) -> dict[str, NDArray[np.integer]]:
        word_starts = np.concatenate([np.empty(0, np.bool_), *self.word_starts])
        return {
            "tokens": np.concatenate([np.empty(0, dtype), *self.tokens]),
            "words": np.packbits(word_starts, bitorder="little"),
            "sentences": np.concatenate([np.empty(0, np.int32), *self.sentence_lengths]),
            "documents": np.array(self.document_lengths, dtype=np.int64),
        }


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
        # (vocabulary,) how often each piece stands in the shards written.
        self.unigrams = np.zeros(vocabulary_size, dtype=np.int64)

    def add(
        self, tokens: NDArray[np.unsignedinteger], word_starts: NDArray[np.bool_], sentences: NDArray[np.int32]
    ) -> bool:
        """Add one document; returns whether a shard was written.

        tokens: (tokens,) ids. word_starts: (tokens,) whether a true word begins there. sentences: (sentences,) lengths.
        """
        self._buffer.add(tokens.astype(self._dtype, copy=False), word_starts, sentences, [len(sentences)])
        self.documents += 1
        if len(self._buffer.document_lengths) < 2:  # a negative needs another document
            return False
        written = self._full is not None
        if self._full is not None:
            self._write(self._full)
            self._full = None
        if self._buffer.size >= self._limit:
            self._full, self._buffer = self._buffer, _Buffer()
        return written

    def take_in(self, other: ShardWriter) -> None:
        """Add the documents that another writer holds and has not written."""
        for buffer in (other._full, other._buffer):
            if buffer is not None:
                self._buffer.extend(buffer)
                self.documents += len(buffer.document_lengths)

    def close(self) -> list[ShardEntry]:
        """Write what is left and return the entries for the manifest."""
        if self._full is not None:
            self._full.extend(self._buffer)
            self._buffer, self._full = self._full, None
        if self._buffer.document_lengths:
            self._write(self._buffer)
        self._buffer = _Buffer()
        return self.entries

    def pending(self) -> dict[str, NDArray[np.integer]]:
        """What was added and is in no shard yet; with `entries`, all that `restore` needs to go on from here."""
        found: dict[str, NDArray[np.integer]] = {}
        for name, buffer in zip(_BUFFERS, (self._full, self._buffer), strict=True):
            if buffer is not None:
                found |= {f"{name}.{array}": values for array, values in buffer.arrays(self._dtype).items()}
        return found

    def restore(self, entries: Sequence[ShardEntry], pending: dict[str, NDArray[np.integer]]) -> None:
        """Go on where another writer was when it told its `entries` and `pending`."""
        self.entries = list(entries)
        for entry in entries:
            self._count(np.load(array_path(self._directory, entry.name, "tokens"), mmap_mode="r", allow_pickle=False))
        buffers: list[_Buffer | None] = []
        for name in _BUFFERS:
            buffer = _Buffer() if f"{name}.tokens" in pending else None
            if buffer is not None:
                tokens, words, sentences, documents = (pending[f"{name}.{array}"] for array in ARRAYS)
                starts = np.unpackbits(words.astype(np.uint8), count=len(tokens), bitorder="little").astype(np.bool_)
                buffer.add(tokens, starts, sentences, documents.tolist())  # type: ignore[arg-type]  # as they were written
            buffers.append(buffer)
        self._full, self._buffer = buffers[0], buffers[1] or _Buffer()
        held = sum(len(buffer.document_lengths) for buffer in buffers if buffer is not None)
        self.documents = sum(entry.documents for entry in self.entries) + held

    def write_unigrams(self) -> str:
        """Write how often each piece stands in the shards, and return the checksum of the file."""
        path = self._directory / UNIGRAMS
        np.save(path, self.unigrams, allow_pickle=False)
        sync_file(path)
        return sha256(path)

    def _count(self, tokens: NDArray[np.integer]) -> None:
        self.unigrams += np.bincount(tokens, minlength=len(self.unigrams))

    def _write(self, buffer: _Buffer) -> None:
        name = f"{self._split}-{len(self.entries):05d}"
        arrays = buffer.arrays(self._dtype)
        lengths = {"sentences": arrays["sentences"], "documents": arrays["documents"]}
        arrays |= {array: _offsets(values) for array, values in lengths.items()}
        self._count(arrays["tokens"])
        checksums = {}
        for array in ARRAYS:
            path = array_path(self._directory, name, array)
            np.save(path, arrays[array], allow_pickle=False)
            sync_file(path)
            checksums[array] = sha256(path)
        self.entries.append(
            ShardEntry(
                name=name,
                split=self._split,
                documents=len(lengths["documents"]),
                sentences=len(lengths["sentences"]),
                tokens=buffer.size,
                sha256=checksums,
            )
        )


def _offsets(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def belongs_to_held_out(digest: int, fraction: float) -> bool:
    """Whether a document is kept aside, by the 64 bits of its text: equal documents always fall on the same side."""
    return digest < fraction * 2**64
