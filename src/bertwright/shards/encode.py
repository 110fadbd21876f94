"""Documents to ids: what one worker does to a handful of documents on their way into shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertwright.shards.format import LONGEST_SENTENCE, token_dtype
from bertwright.text.duplicates import signatures, text_digest
from bertwright.text.sentences import split_sentences
from bertwright.tokens.tokenizer import Tokenizer

# A document's paragraphs.
Paragraphs = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """tokens: (tokens,) ids; sentences: (sentences,) lengths; digest: 64 bits of its text; counts: as in COUNTED."""

    tokens: NDArray[np.unsignedinteger]
    sentences: NDArray[np.int32]
    digest: int
    counts: NDArray[np.int64]
    signature: NDArray[np.uint32] | None


@dataclass(frozen=True, slots=True)
class EncodedDocuments:
    """Several documents in a few arrays, as they travel between processes."""

    tokens: NDArray[np.unsignedinteger]
    sentence_lengths: NDArray[np.int32]
    sentences: NDArray[np.int64]
    digests: list[int]
    counts: NDArray[np.int64]
    signatures: NDArray[np.uint32] | None

    def __iter__(self) -> Iterator[EncodedDocument]:
        first = token = 0
        for row, digest in enumerate(self.digests):
            lengths = self.sentence_lengths[first : first + self.sentences[row]]
            size = int(lengths.sum())
            # Copies: a view would keep the ids of all its neighbours in memory.
            yield EncodedDocument(
                self.tokens[token : token + size].copy(),
                lengths.copy(),
                digest,
                self.counts[row],
                None if self.signatures is None else self.signatures[row],
            )
            first, token = first + len(lengths), token + size


# What is counted of each document, in the order of the columns of `counts`.
COUNTED = ("sentences", "tokens", "unknown_tokens", "sentences_without_tokens", "sentences_broken")


@dataclass(frozen=True, slots=True)
class DocumentEncoder:
    """Sentences of documents as ids, none empty and none longer than LONGEST_SENTENCE; what happens is counted.

    `near` adds the signatures by which nearly equal documents are found.
    """

    tokenizer: Tokenizer
    language: str
    near: bool = False

    def __call__(self, documents: Sequence[Paragraphs]) -> EncodedDocuments:
        """Encode a handful of documents."""
        ids: list[int] = []
        lengths: list[int] = []
        sentences = np.zeros(len(documents), dtype=np.int64)
        ends = np.zeros(len(documents) + 1, dtype=np.int64)
        counts = np.zeros((len(documents), len(COUNTED)), dtype=np.int64)
        for row, paragraphs in enumerate(documents):
            before = len(lengths)
            found = self._document(paragraphs, ids, lengths)
            sentences[row], ends[row + 1] = len(lengths) - before, len(ids)
            counts[row] = [found[name] for name in COUNTED]
        dtype = token_dtype(len(self.tokenizer.vocabulary))
        tokens: NDArray[np.unsignedinteger] = np.array(ids, dtype=dtype)
        return EncodedDocuments(
            tokens,
            np.array(lengths, dtype=np.int32),
            sentences,
            [text_digest(paragraphs) for paragraphs in documents],
            counts,
            signatures(tokens, ends) if self.near else None,
        )

    def _document(self, paragraphs: Paragraphs, ids: list[int], lengths: list[int]) -> Counter[str]:
        """Add one document's ids and the lengths of its sentences; returns what is counted."""
        counts: Counter[str] = Counter()
        before = len(lengths)
        unknown = self.tokenizer.vocabulary.unk_id
        for paragraph in paragraphs:
            for sentence in split_sentences(paragraph, self.language):
                found = self.tokenizer.ids(sentence)
                counts["tokens"] += len(found)
                counts["unknown_tokens"] += found.count(unknown)
                ids += found
                left = len(found)
                if not left:
                    counts["sentences_without_tokens"] += 1
                elif left > LONGEST_SENTENCE:
                    counts["sentences_broken"] += 1
                while left > 0:
                    lengths.append(min(left, LONGEST_SENTENCE))
                    left -= LONGEST_SENTENCE
        counts["sentences"] = len(lengths) - before
        return counts
