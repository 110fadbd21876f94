"""What one worker of the doctor finds out about a handful of documents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertwright.shards.encode import Paragraphs
from bertwright.text.characters import count_characters, markup, mojibake
from bertwright.text.cohesion import shared_words
from bertwright.text.duplicates import signatures, text_digest
from bertwright.text.recurring import LONGEST
from bertwright.text.sentences import split_sentences
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.words import WordNumbers

# Shorter than these, a whole line or a sentence in a line may well come again by chance.
_SHORTEST_LINE = 4
_SHORTEST_SENTENCE = 20
_SHORTEST_IDEOGRAPHIC = 8
# A document of no more sentences may be a paragraph, or a sentence, of a longer one.
SHORT_DOCUMENT = 6
# A handful with fewer documents is too small to tell whether they belong together.
_LEAST_COMPARED = 8


@dataclass(frozen=True, slots=True)
class Survey:
    """A handful of documents in numbers, as they travel between processes.

    Arrays of documents have a value for each. `lengths` are those of all sentences, in tokens (or words);
    `near` and `far` say whether a document shares a rare word with the next one, and with one far away (neither, where
    documents are long); `texts` are the lines and sentences of all documents, `texts_of` how many are each one's.
    """

    paragraphs: NDArray[np.int64]
    sentences: NDArray[np.int64]
    lengths: NDArray[np.int64]
    tokens: NDArray[np.int64]
    unknown: NDArray[np.int64]
    characters: NDArray[np.int64]
    mojibake: NDArray[np.int64]
    markup: NDArray[np.int64]
    near: NDArray[np.bool_]
    far: NDArray[np.bool_]
    digests: list[int]
    signatures: NDArray[np.uint32] | None
    code_points: NDArray[np.int64]
    code_point_counts: NDArray[np.int64]
    pieces: NDArray[np.int64]
    piece_counts: NDArray[np.int64]
    texts: list[str]
    texts_of: NDArray[np.int64]
    utf8_bytes: int
    # Processor time of what `prepare` would do too.
    seconds: float

    def texts_by_document(self) -> Iterator[list[str]]:
        """The lines and sentences of each document, each once."""
        first = 0
        for count in self.texts_of.tolist():
            yield self.texts[first : first + count]
            first += count


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Surveys documents whose lines are not joined; with a tokenizer in its tokens, else in words."""

    units: Tokenizer | WordNumbers
    language: str
    near: bool

    def __call__(self, documents: Sequence[Paragraphs]) -> Survey:
        """Survey a handful of documents."""
        unknown = self.units.vocabulary.unk_id if isinstance(self.units, Tokenizer) else -1
        size = len(documents)
        counts = np.zeros((7, size), dtype=np.int64)
        ids: list[int] = []
        lengths: list[int] = []
        texts: list[str] = []
        digests: list[int] = []
        ends = np.zeros(size + 1, dtype=np.int64)
        seconds = 0.0
        for row, broken in enumerate(documents):
            # As `prepare` reads them.
            paragraphs = tuple(paragraph.replace("\n", " ") for paragraph in broken)
            first_id, first_sentence = len(ids), len(lengths)
            begun = time.process_time()
            split = [split_sentences(paragraph, self.language) for paragraph in paragraphs]
            for sentence in (sentence for sentences in split for sentence in sentences):
                found = self.units.ids(sentence)
                ids += found
                lengths.append(len(found))
            seconds += time.process_time() - begun
            ends[row + 1] = len(ids)
            digests.append(text_digest(paragraphs))
            own = dict.fromkeys(self._texts(broken, split))
            texts += own
            counts[:, row] = (
                len(paragraphs),
                len(lengths) - first_sentence,
                ids[first_id:].count(unknown) if unknown >= 0 else 0,
                sum(map(len, paragraphs)),
                sum(map(mojibake, paragraphs)),
                sum(map(markup, paragraphs)),
                len(own),
            )
        tokens = np.array(ids, dtype=np.int64)
        everything = "\n".join(paragraph for paragraphs in documents for paragraph in paragraphs)
        code_points, code_point_counts = count_characters(everything)
        near, far = self._compared(tokens, ends, counts[1])
        pieces, piece_counts = np.unique(tokens, return_counts=True) if unknown >= 0 else (tokens[:0], tokens[:0])
        return Survey(
            paragraphs=counts[0],
            sentences=counts[1],
            lengths=np.array(lengths, dtype=np.int64),
            tokens=np.diff(ends),
            unknown=counts[2],
            characters=counts[3],
            mojibake=counts[4],
            markup=counts[5],
            near=near,
            far=far,
            digests=digests,
            signatures=signatures(tokens.astype(np.uint64), ends) if self.near else None,
            code_points=code_points,
            code_point_counts=code_point_counts,
            pieces=pieces,
            piece_counts=piece_counts,
            texts=texts,
            texts_of=counts[6],
            utf8_bytes=len(everything.encode("utf-8", "replace")),
            seconds=seconds,
        )

    def _texts(self, broken: Paragraphs, split: list[list[str]]) -> Iterator[str]:
        """What may be boilerplate: lines of one sentence, and longer sentences of the other lines."""
        for paragraph, sentences in zip(broken, split, strict=True):
            lines = [sentences]
            if "\n" in paragraph:
                lines = [split_sentences(line, self.language) for line in paragraph.split("\n")]
            for line in lines:
                least = _SHORTEST_LINE if len(line) == 1 else _SHORTEST_SENTENCE
                for text in line:
                    if len(text) >= least or (len(text) >= _SHORTEST_IDEOGRAPHIC and not text.isascii()):
                        yield text[:LONGEST]

    def _compared(
        self, tokens: NDArray[np.int64], ends: NDArray[np.int64], sentences: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which documents share rare words with the next, and with one far away; only where most are short."""
        if len(sentences) < _LEAST_COMPARED or (sentences <= SHORT_DOCUMENT).mean() < 0.5:
            return np.zeros(len(sentences), dtype=bool), np.zeros(len(sentences), dtype=bool)
        return shared_words(tokens, ends)
