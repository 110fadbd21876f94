"""Text to ids, one text or many at once; and with spans into the caller's own string."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from bertwright.errors import VocabularyError
from bertwright.tokens.added import AddedTokens
from bertwright.tokens.bulk import BulkSpeller, Pieces, Spelling, blocks, cut
from bertwright.tokens.normalize import Span, aligned_words, chunks, finer_chunks, has_cjk, located_chunks, words
from bertwright.tokens.true_words import LETTERS, begins_word, edges, is_unspaced
from bertwright.tokens.vocabulary import CLS, MASK, PAD, SEP, Vocabulary
from bertwright.tokens.wordpiece import CONTINUATION, LONGEST_WORD, WordPiece

CACHED_CHUNKS = 2**18  # a generation; two of them are some 80 MB
CACHED_ALIGNED_CHUNKS = 2**15
LONGEST_CACHED = 64  # characters; longer chunks hardly ever come twice

# Whether a word begins with each piece, for words of so many pieces.
_WORD_OF_PIECES = [[place == 0 for place in range(pieces)] for pieces in range(LONGEST_WORD + 1)]

_SKIPPED_IN_DECODING = frozenset({PAD, CLS, SEP})

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Encoding:
    """The pieces of a text, no special pieces added. All four are of the same length, [pieces].

    `spans` are (start, end) into the caller's string: `text[start:end]` is what a piece came from. `words` counts the
    basic words from 0: pieces of one word share its number.
    """

    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    spans: tuple[Span, ...]
    words: tuple[int, ...]


class Tokenizer:
    """WordPiece over basic words, id for id what the original code gives.

    `strip_accents=None` follows `lowercase`. Text never becomes a special piece: a literal "[MASK]" is three words,
    unless `encode` is told otherwise. `added` are pieces that others have added, which the original does not know:
    they are looked for in a text before it is cut, those with True in the folded text (lower case, no accents).
    `apart` are those of them that no word has a part of; not given, those at the end of the vocabulary.

    What happens to a text happens within its chunks, so what was found for a chunk holds wherever it comes again (tests
    compare with a literal rendering of the original, which knows no chunks and no cache). The caches are
    bounded, belong to the instance and are not pickled.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
        added: Mapping[str, bool] | None = None,
        apart: Collection[str] | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.split_cjk = split_cjk
        self.added = dict(added or {})
        switches = {"lowercase": self.lowercase, "strip_accents": self.strip_accents}
        self._added = AddedTokens(self.added, vocabulary.ids, **switches)
        self._added_or_mask = AddedTokens(self.added | {MASK: False}, vocabulary.ids, **switches)
        self.apart = frozenset(_at_the_end(vocabulary, self.added) if apart is None else apart)
        self._wordpiece = WordPiece(self.pieces_of_words())
        self._unknown = vocabulary.unk_id
        self._keeps_text = not (self.lowercase or self.strip_accents)
        self._chunks = _Cache(self._chunk_ids, CACHED_CHUNKS)
        self._numbers = np.arange(len(vocabulary)).astype(object)
        self._bulk = BulkSpeller(self._spell)
        self._aligned = _Cache(self._aligned_chunk, CACHED_ALIGNED_CHUNKS)

    def ids(self, text: str) -> list[int]:
        """Return the WordPiece ids of `text`, no special pieces added."""
        if self._added:
            return self.ids_many([text])[0]
        if self.lowercase and text.isascii():
            text = text.lower()  # so that "The" and "the" are one chunk; elsewhere lower() costs more than it saves
        return list(chain.from_iterable(map(self._chunks.__getitem__, chunks(text))))

    def ids_many(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the ids of each text; several times as fast as one by one."""
        found: list[list[int]] = []
        for block in blocks(texts):
            pieces = self._block(block)
            # Each id is the one int object that all its occurrences share, as in a list made piece by piece.
            flat = self._numbers[pieces.ids].tolist()
            found += [flat[start:end] for start, end in pairwise(pieces.offsets.tolist())]
        return found

    def arrays(self, texts: Iterable[str]) -> Pieces:
        """Return the pieces of all texts in flat arrays: the fastest of all."""
        parts = list(map(self._block, blocks(texts)))
        ends = np.cumsum([0, *(len(part.ids) for part in parts)])
        return Pieces(
            np.concatenate([np.empty(0, np.int32), *(part.ids for part in parts)]),
            np.concatenate([np.empty(0, np.bool_), *(part.word_starts for part in parts)]),
            np.concatenate([[0], *(part.offsets[1:] + end for part, end in zip(parts, ends, strict=False))]),
        )

    def _block(self, texts: list[str]) -> Pieces:
        if self._added:
            return self._block_with_added(texts)
        return self._bulk.pieces(cut(texts, lowercase=self.lowercase, split_cjk=self.split_cjk))

    def _block_with_added(self, texts: list[str]) -> Pieces:
        """The same of what stands between the added tokens, and those put in."""
        between: list[str] = []
        first_of_texts, ids = [], []
        # The number of the segment before which each of them stands.
        before: list[int] = []
        for text in texts:
            first_of_texts.append(len(between))
            at = 0
            for start, end, number in self._added.find(text):
                between.append(text[at:start])
                before.append(len(between))
                ids.append(number)
                at = end
            between.append(text[at:])
        first_of_texts.append(len(between))
        plain = self._bulk.pieces(cut(between, lowercase=self.lowercase, split_cjk=self.split_cjk))
        places = plain.offsets[before]
        return Pieces(
            np.insert(plain.ids, places, ids).astype(np.int32),
            np.insert(plain.word_starts, places, [True] * len(ids)),
            plain.offsets[first_of_texts] + np.searchsorted(before, first_of_texts, side="right"),
        )

    def encode(self, text: str, *, allow_mask: bool = False) -> Encoding:
        """Return the ids of `text` with the pieces, where each came from, and the word it belongs to.

        With `allow_mask` each literal "[MASK]" is the mask piece, and a word of its own.
        """
        encoded = _Growing([], [], [])
        at = 0
        for start, end, number in (self._added_or_mask if allow_mask else self._added).find(text):
            self._encode_plain(text[at:start], at, encoded)
            encoded.add(_Aligned((number,), ((0, end - start),), (0,), 1), start)
            at = end
        self._encode_plain(text[at:], at, encoded)
        ids = tuple(encoded.ids)
        return Encoding(ids, tuple(self.pieces(ids)), tuple(encoded.spans), tuple(encoded.words))

    def _encode_plain(self, text: str, at: int, encoded: _Growing) -> None:
        for chunk, start in located_chunks(text, split_cjk=self.split_cjk):
            encoded.add(self._aligned[chunk], at + start)

    def over(self, vocabulary: Vocabulary) -> Tokenizer:
        """The same with another vocabulary, and with those of its added tokens that stand there."""
        added = {token: folded for token, folded in self.added.items() if token in vocabulary.ids}
        return Tokenizer(vocabulary, **self.settings(), added=added, apart=self.apart & added.keys())

    def pieces_of_words(self) -> dict[str, int]:
        """Return the pieces that words are made of, with their ids: all but those that stand apart."""
        return {piece: number for number, piece in enumerate(self.vocabulary.pieces) if piece not in self.apart}

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return the piece of each id. Raises VocabularyError for an id that the vocabulary does not have."""
        pieces = self.vocabulary.pieces
        found = []
        for number in ids:
            if not 0 <= number < len(pieces):
                raise VocabularyError(
                    f"id {number} is outside the vocabulary, whose ids are 0 to {len(pieces) - 1}",
                    cure="use the vocabulary that the ids were made with",
                )
            found.append(pieces[number])
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Join pieces to words, and words with spaces; [PAD], [CLS] and [SEP] are left out.

        Not the inverse of `ids`: case, accents, spacing and unknown words are lost.
        """
        text = ""
        for piece in self.pieces(ids):
            if piece in _SKIPPED_IN_DECODING:
                continue
            if piece.startswith(CONTINUATION) and len(piece) > len(CONTINUATION):
                text += piece[len(CONTINUATION) :]
            else:
                text += f" {piece}" if text else piece
        return text

    def settings(self) -> dict[str, bool]:
        """Return the three switches by the names of this class's arguments."""
        return {"lowercase": self.lowercase, "strip_accents": self.strip_accents, "split_cjk": self.split_cjk}

    def identity(self) -> dict[str, Any]:
        """Return all that ids follow from beside the vocabulary, as JSON has it."""
        return self.settings() | ({"added": self.added, "apart": sorted(self.apart)} if self.added else {})

    def __reduce__(self) -> tuple[Callable[..., Tokenizer], tuple[Vocabulary, dict[str, Any]]]:
        return _rebuilt, (self.vocabulary, self.settings() | {"added": self.added, "apart": self.apart})

    def __repr__(self) -> str:
        switches = ", ".join(f"{name}={value}" for name, value in self.settings().items())
        return f"Tokenizer({self.vocabulary!r}, {switches})"

    def _chunk_ids(self, chunk: str) -> tuple[int, ...]:
        if self._is_word(chunk):
            return self._wordpiece.ids(chunk.lower() if self.lowercase else chunk) or (self._unknown,)
        # "word," hardly ever comes for the first time with its word; of a Chinese sentence only characters come twice.
        parts = finer_chunks(chunk, split_cjk=self.split_cjk)
        if len(parts) > 1:
            return tuple(chain.from_iterable(map(self._chunks.__getitem__, parts)))
        return tuple(chain.from_iterable(self._wordpiece.ids(word) or (self._unknown,) for word in self._words(chunk)))

    def _spell(self, parts: Sequence[str]) -> Spelling:
        found = Spelling()
        add, ids_of, unknown = found.add, self._wordpiece.ids, (self._unknown,)
        for part in parts:
            if part.isalpha() and part.isascii():  # by far the most frequent case
                ids = ids_of(part.lower() if self.lowercase else part) or unknown
                add(ids, _WORD_OF_PIECES[len(ids)], LETTERS)
            else:
                self._spell_any(part, found)
        return found

    def _spell_any(self, part: str, found: Spelling) -> None:
        words = [part] if self._keeps_text and self._is_word(part) else self._words(part)
        ids: list[int] = []
        starts: list[bool] = []
        for word, begins in zip(words, begins_word(words), strict=True):
            pieces = self._wordpiece.ids(word) or (self._unknown,)
            ids += pieces
            starts += [begins, *[is_unspaced(word)] * (len(pieces) - 1)]
        found.add(ids, starts, edges(words))

    def _is_word(self, chunk: str) -> bool:
        """Whether a chunk is one basic word but for its case; by far the most frequent kind."""
        return chunk.isalnum() and (chunk.isascii() or (self._keeps_text and not has_cjk(chunk)))

    def _words(self, chunk: str) -> list[str]:
        return words(chunk, lowercase=self.lowercase, strip_accents=self.strip_accents, split_cjk=self.split_cjk)

    def _aligned_chunk(self, chunk: str) -> _Aligned:
        ids: list[int] = []
        spans: list[Span] = []
        numbers: list[int] = []
        found = aligned_words(
            chunk, lowercase=self.lowercase, strip_accents=self.strip_accents, split_cjk=self.split_cjk
        )
        for number, word in enumerate(found):
            for piece, start, end in self._wordpiece.split(word.text) or [(self._unknown, 0, len(word.text))]:
                ids.append(piece)
                spans.append((word.spans[start][0], max(stop for _, stop in word.spans[start:end])))
                numbers.append(number)
        return _Aligned(tuple(ids), tuple(spans), tuple(numbers), len(found))


def _rebuilt(vocabulary: Vocabulary, arguments: dict[str, Any]) -> Tokenizer:
    return Tokenizer(vocabulary, **arguments)


def _at_the_end(vocabulary: Vocabulary, added: Mapping[str, bool]) -> tuple[str, ...]:
    """The added pieces after which no other comes: of them no word ever had a part."""
    count = len(vocabulary)
    while count and vocabulary.pieces[count - 1] in added:
        count -= 1
    return vocabulary.pieces[count:]


class _Aligned(NamedTuple):
    """What `encode` needs of one chunk; spans and words count from the chunk's own beginning."""

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    words: tuple[int, ...]
    word_count: int


@dataclass(slots=True)
class _Growing:
    """The chunks of a text, put together."""

    ids: list[int]
    spans: list[Span]
    words: list[int]
    word_count: int = 0

    def add(self, chunk: _Aligned, at: int) -> None:
        self.ids += chunk.ids
        self.spans += [(start + at, end + at) for start, end in chunk.spans]
        self.words += [number + self.word_count for number in chunk.words]
        self.word_count += chunk.word_count


class _Cache(dict[str, _Value], Generic[_Value]):
    """A dict that computes what it lacks, and keeps at most 2 * `limit` values.

    Looked up from C (`map(cache.__getitem__, ...)`), which is why it is no lru_cache: that costs three times as much.
    When full it becomes the old generation, out of which whatever is still in use is taken over.
    """

    def __init__(self, compute: Callable[[str], _Value], limit: int) -> None:
        super().__init__()
        self._compute = compute
        self._limit = limit
        self._old: dict[str, _Value] = {}

    def __missing__(self, key: str) -> _Value:
        value = self._old.get(key)
        if value is None:
            value = self._compute(key)
            if len(key) > LONGEST_CACHED:
                return value
        if len(self) >= self._limit:
            self._old = dict(self)
            self.clear()
        self[key] = value
        return value
