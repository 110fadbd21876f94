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
    pieces: NDArray[np.int32]
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
        begun = time.process_time()
        # As `prepare` reads them.
        joined = [tuple(paragraph.replace("\n", " ") for paragraph in paragraphs) for paragraphs in documents]
        split = [[split_sentences(paragraph, self.language) for paragraph in paragraphs] for paragraphs in joined]
        found = self.units.arrays(sentence for document in split for sentences in document for sentence in sentences)
        seconds = time.process_time() - begun

        texts: list[str] = []
        counts = np.zeros((6, len(documents)), dtype=np.int64)
        for row, (broken, paragraphs, sentences) in enumerate(zip(documents, joined, split, strict=True)):
            own = dict.fromkeys(self._texts(broken, sentences))
            texts += own
            counts[:, row] = (
                len(paragraphs),
                sum(map(len, sentences)),
                sum(map(len, paragraphs)),
                sum(map(mojibake, paragraphs)),
                sum(map(markup, paragraphs)),
                len(own),
            )
        ends = found.offsets[np.concatenate([[0], np.cumsum(counts[1])])]
        pieces, piece_counts, unknown = found.ids[:0], found.offsets[:0], np.zeros(len(documents), dtype=np.int64)
        if isinstance(self.units, Tokenizer):
            pieces, piece_counts = np.unique(found.ids, return_counts=True)
            before = np.concatenate([[0], np.cumsum(found.ids == self.units.vocabulary.unk_id)])
            unknown = np.diff(before[ends])
        near, far = self._compared(found.ids, ends, counts[1])
        everything = "\n".join(paragraph for paragraphs in documents for paragraph in paragraphs)
        code_points, code_point_counts = count_characters(everything)
        return Survey(
            paragraphs=counts[0],
            sentences=counts[1],
            lengths=np.diff(found.offsets),
            tokens=np.diff(ends),
            unknown=unknown,
            characters=counts[2],
            mojibake=counts[3],
            markup=counts[4],
            near=near,
            far=far,
            digests=[text_digest(paragraphs) for paragraphs in joined],
            signatures=signatures(found.ids.astype(np.uint32), ends) if self.near else None,
            code_points=code_points,
            code_point_counts=code_point_counts,
            pieces=pieces,
            piece_counts=piece_counts,
            texts=texts,
            texts_of=counts[5],
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
        self, tokens: NDArray[np.int32], ends: NDArray[np.int64], sentences: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which documents share rare words with the next, and with one far away; only where most are short."""
        if len(sentences) < _LEAST_COMPARED or (sentences <= SHORT_DOCUMENT).mean() < 0.5:
            return np.zeros(len(sentences), dtype=bool), np.zeros(len(sentences), dtype=bool)
        return shared_words(tokens, ends)
