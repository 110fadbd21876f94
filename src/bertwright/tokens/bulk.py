"""Many texts at once: Arrow cuts them and finds what is distinct, so that Python looks at each word but once.

    texts -> chunks, between whitespace -> the distinct ones -> parts, at punctuation -> the distinct ones -> pieces

What is known of parts is then put together to chunks, and of chunks to texts, by indices alone. The words of a text are
the words of its parts, one after the other, so that the pieces are those of `Tokenizer.ids`, text by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bertwright.text.ideographs import BLOCKS
from bertwright.tokens.normalize import SIGMA, chunks, split_at_cjk
from bertwright.tokens.true_words import within_word

# Characters handled together, half as many outside ASCII, where each may be a chunk. The more, the fewer words are
# looked up once more.
_CHARACTERS_AT_ONCE = 1 << 22
# What is kept of parts met: so many of them, and so many characters. Some 100 MB.
_KNOWN_PARTS = 1 << 19
_KNOWN_CHARACTERS = 1 << 25

# A space outside ASCII is a part as well, without a word in it, so that no true word goes across it.
_PUNCTUATION = r"([!-/:-@\[-`{-~–—‘’“”…\p{Z}])"
_CJK = "([" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in BLOCKS) + "])"
# Arrow splits there, and the original drops them as control characters: "a\x0bb" is one word.
_SPLITTING = ("\x0b", "\x0c")

_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of several texts, no special pieces added.

    ids: (tokens,). word_starts: (tokens,) whether a true word begins there. offsets: (texts + 1,) where each text
    begins and the last ends.
    """

    ids: NDArray[np.int32]
    word_starts: NDArray[np.bool_]
    offsets: _Numbers


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Runs of numbers: run i is numbers[offsets[i] : offsets[i + 1]]."""

    numbers: _Numbers
    offsets: _Numbers


@dataclass(frozen=True, slots=True)
class Cut:
    """Several texts cut up.

    parts: the distinct ones. of_chunks: which parts each distinct chunk consists of. of_texts: which chunks each text
    consists of.
    """

    parts: list[str]
    of_chunks: Occurrences
    of_texts: Occurrences

    def counts(self) -> _Numbers:
        """How often each part stands in the texts, (parts,)."""
        chunks = np.bincount(self.of_texts.numbers, minlength=len(self.of_chunks.offsets) - 1)
        found = np.zeros(len(self.parts), dtype=np.int64)
        np.add.at(found, self.of_chunks.numbers, np.repeat(chunks, np.diff(self.of_chunks.offsets)))
        return found


def blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """The same texts in the same order, as many together as are best handled at once."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text) if text.isascii() else 2 * len(text)
        if size >= _CHARACTERS_AT_ONCE:
            yield block
            block, size = [], 0
    if block:
        yield block


def cut(texts: list[str], *, lowercase: bool, split_cjk: bool) -> Cut:
    """Cut texts into parts. With `lowercase` ASCII letters are lowered on the way, so that "The" and "the" are one."""
    try:
        array = pa.array(texts, pa.large_string())  # large: a single text may be longer than 2 GB
    except UnicodeEncodeError:
        return _cut_plainly(texts, split_cjk=split_cjk)  # a lone surrogate: Python can hold it, UTF-8 cannot
    content = array.buffers()[2]
    raw = content.to_pybytes() if content else b""
    for control in _SPLITTING:
        if control.encode() in raw:
            array = pc.replace_substring(array, control, "")
    if split_cjk and not raw.isascii():
        array = pc.replace_substring_regex(array, _CJK, r" \1 ")
    if lowercase:
        array = pc.ascii_lower(array)
    chunks, of_texts = _distinct(array)
    marked = pc.invert(pc.utf8_is_alnum(chunks))
    if SIGMA.encode() in raw:
        # It asks what follows it when it is lowered, so such a chunk stays whole.
        marked = pc.and_(marked, pc.invert(pc.match_substring(chunks, SIGMA)))
    spaced = pc.replace_substring_regex(chunks.filter(marked), _PUNCTUATION, r" \1 ")
    parts, of_chunks = _distinct(pc.replace_with_mask(chunks, marked, spaced))
    return Cut(parts.to_pylist(), of_chunks, of_texts)


def _distinct(array: pa.Array) -> tuple[pa.Array, Occurrences]:
    """What stands between whitespace, each once, and where."""
    split = pc.ascii_split_whitespace(array)
    # Whitespace at either end makes an empty string, which is a distinct one like any other.
    coded = split.values.dictionary_encode()
    numbers, offsets = (part.to_numpy(zero_copy_only=False).astype(np.int64) for part in (coded.indices, split.offsets))
    return coded.dictionary, Occurrences(numbers, offsets)


def _cut_plainly(texts: list[str], *, split_cjk: bool) -> Cut:
    """The same in plain Python: letters keep their case, and chunks are not cut on."""
    seen: dict[str, int] = {}
    numbers: list[int] = []
    offsets = [0]
    for text in texts:
        for chunk in chunks(text):
            parts = split_at_cjk(chunk) if split_cjk else [chunk]
            numbers += [seen.setdefault(part, len(seen)) for part in parts]
        offsets.append(len(numbers))
    whole = Occurrences(np.arange(len(seen)), np.arange(len(seen) + 1))
    return Cut(list(seen), whole, Occurrences(np.array(numbers, dtype=np.int64), np.array(offsets, dtype=np.int64)))


@dataclass(frozen=True, slots=True)
class Spelling:
    """The pieces of parts, gathered one part after the other.

    ids, word_starts: of all pieces. ends: for each part, the pieces up to its end. edges: those of each part's words.
    """

    ids: list[int] = field(default_factory=list)
    word_starts: list[bool] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    edges: list[int] = field(default_factory=list)

    def add(self, ids: Sequence[int], word_starts: Sequence[bool], edges: int) -> None:
        """Add a part."""
        self.ids.extend(ids)
        self.word_starts.extend(word_starts)
        self.ends.append(len(self.ids))
        self.edges.append(edges)


class BulkSpeller:
    """Spells what was cut up, and remembers the pieces of the parts that it met.

    `spell` is the plain way, part by part.
    """

    def __init__(self, spell: Callable[[Sequence[str]], Spelling]) -> None:
        self._spell = spell
        self._known = _Known()
        # Numbers are given before pieces are known: a second thread must not come in between.
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known.numbers)

    def pieces(self, found: Cut) -> Pieces:
        """The pieces of texts that were cut up."""
        with self._lock:
            return self._pieces(found)

    def _pieces(self, found: Cut) -> Pieces:
        if len(self) > _KNOWN_PARTS or self._known.characters > _KNOWN_CHARACTERS:
            self._known = _Known()
        known = self._known
        parts = np.fromiter(map(known.numbers.__getitem__, found.parts), np.int64, len(found.parts))
        self._spell_new()
        numbers = parts[found.of_chunks.numbers]
        of_parts = _joined(known.pieces, Occurrences(numbers, np.arange(len(numbers) + 1)))
        inside = within_word(known.edges.values[numbers], found.of_chunks.offsets)
        of_parts.word_starts[of_parts.offsets[:-1][inside]] = False
        of_chunks = Pieces(of_parts.ids, of_parts.word_starts, of_parts.offsets[found.of_chunks.offsets])
        return _joined(of_chunks, found.of_texts)

    def _spell_new(self) -> None:
        new = self._known.numbers.new
        if new:
            self._known.add(self._spell(new))
            self._known.characters += sum(map(len, new))
            new.clear()


def _joined(pieces: Pieces, runs: Occurrences) -> Pieces:
    """The pieces of runs of strings, where those of each string are known."""
    begins = pieces.offsets[runs.numbers]
    sizes = pieces.offsets[runs.numbers + 1] - begins
    ends = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=ends[1:])
    source = np.repeat(begins - ends[:-1], sizes) + np.arange(ends[-1])
    return Pieces(pieces.ids[source], pieces.word_starts[source], ends[runs.offsets])


class _Numbered(dict[str, int]):
    """Numbers strings in the order in which they come up; `new` gathers them."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        self.new.append(key)
        return number


@dataclass(slots=True)
class _Known:
    """Parts met so far: their numbers, and by number their pieces and edges."""

    numbers: _Numbered = field(default_factory=_Numbered)
    ids: _Growing = field(default_factory=lambda: _Growing([], np.int32))
    word_starts: _Growing = field(default_factory=lambda: _Growing([], np.bool_))
    offsets: _Growing = field(default_factory=lambda: _Growing([0], np.int64))
    edges: _Growing = field(default_factory=lambda: _Growing([], np.uint8))
    characters: int = 0

    @property
    def pieces(self) -> Pieces:
        """Those of all parts."""
        return Pieces(self.ids.values, self.word_starts.values, self.offsets.values)

    def add(self, found: Spelling) -> None:
        """Take in the pieces of the parts that were numbered last."""
        self.offsets.extend(len(self.ids.values) + np.array(found.ends, dtype=np.int64))
        self.ids.extend(found.ids)
        self.word_starts.extend(found.word_starts)
        self.edges.extend(found.edges)


class _Growing:
    """An array that grows at its end, by doubling: a few values more do not copy all that are there."""

    def __init__(self, values: Sequence[int], dtype: type[np.generic]) -> None:
        self._room = np.array(values, dtype=dtype)
        self.values = self._room

    def extend(self, more: Sequence[int] | NDArray[np.int64]) -> None:
        size, wanted = len(self.values), len(self.values) + len(more)
        if wanted > len(self._room):
            self._room = np.concatenate([self.values, np.empty(max(wanted, 1024), self._room.dtype)])
        self._room[size:wanted] = more
        self.values = self._room[:wanted]
