"""Documents to ids: what one worker does to a handful of documents on their way into shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertwright.shards.format import LONGEST_SENTENCE, token_dtype
from bertwright.text.chinese import Segmenter
from bertwright.text.duplicates import signatures, text_digest
from bertwright.text.sentences import split_sentences
from bertwright.tokens.segmented import segmented_pieces
from bertwright.tokens.tokenizer import Tokenizer

# A document's paragraphs.
Paragraphs = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """One document.

    tokens: (tokens,) ids. word_starts: (tokens,) whether a true word begins there. sentences: (sentences,) lengths.
    digest: 64 bits of its text. counts: as in COUNTED.
    """

    tokens: NDArray[np.unsignedinteger]
    word_starts: NDArray[np.bool_]
    sentences: NDArray[np.int32]
    digest: int
    counts: NDArray[np.int64]
    signature: NDArray[np.uint32] | None


@dataclass(frozen=True, slots=True)
class EncodedDocuments:
    """Several documents in a few arrays, as they travel between processes."""

    tokens: NDArray[np.unsignedinteger]
    word_starts: NDArray[np.bool_]
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
                self.word_starts[token : token + size].copy(),
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

    `segmenter` tells which ideographs make a word. `near` adds signatures, by which nearly equal documents are found.
    """

    tokenizer: Tokenizer
    language: str
    segmenter: Segmenter = "none"
    near: bool = False

    def __call__(self, documents: Sequence[Paragraphs]) -> EncodedDocuments:
        """Encode a handful of documents."""
        sentences: list[str] = []
        ends = [0]
        for paragraphs in documents:
            for paragraph in paragraphs:
                sentences += split_sentences(paragraph, self.language)
            ends.append(len(sentences))
        pieces = segmented_pieces(self.tokenizer, sentences, self.segmenter)
        lengths = np.diff(pieces.offsets)
        # Each sentence becomes as many parts as its length asks for, all but the last of the full length.
        parts = -(-lengths // LONGEST_SENTENCE)
        broken = np.full(parts.sum(), LONGEST_SENTENCE, dtype=np.int32)
        some = parts > 0
        broken[np.cumsum(parts)[some] - 1] = (lengths - (parts - 1) * LONGEST_SENTENCE)[some]
        bounds = np.array(ends)

        def of_documents(values: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.int64]:
            """Sums over the sentences of each document."""
            return np.diff(np.concatenate([[0], np.cumsum(values, dtype=np.int64)])[bounds])

        unknown = np.concatenate([[0], np.cumsum(pieces.ids == self.tokenizer.vocabulary.unk_id)])
        counted = {
            "sentences": of_documents(parts),
            "tokens": of_documents(lengths),
            "unknown_tokens": np.diff(unknown[pieces.offsets[bounds]]),
            "sentences_without_tokens": of_documents(parts == 0),
            "sentences_broken": of_documents(parts > 1),
        }
        dtype: type[np.unsignedinteger] = token_dtype(len(self.tokenizer.vocabulary))
        tokens: NDArray[np.unsignedinteger] = pieces.ids.astype(dtype)
        return EncodedDocuments(
            tokens,
            pieces.word_starts,
            broken,
            counted["sentences"],
            [text_digest(paragraphs) for paragraphs in documents],
            np.stack([counted[name] for name in COUNTED], axis=1),
            signatures(tokens, pieces.offsets[bounds]) if self.near else None,
        )
