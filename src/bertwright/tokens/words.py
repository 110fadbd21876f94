"""How often each basic word stands in a corpus: what a vocabulary is learned from."""

from __future__ import annotations

import heapq
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertwright.tokens.bulk import BulkSpeller, Pieces, Spelling, blocks, cut
from bertwright.tokens.normalize import words
from bertwright.tokens.true_words import begins_word, edges

# Sorted files that are read side by side; a process may have some 1,000 files open.
_RUNS_AT_ONCE = 100
_PENDING_PARTS = 2**19  # distinct parts held before they are normalised; some 60 MB


def count_words(
    texts: Iterable[str], *, lowercase: bool = True, strip_accents: bool | None = None, split_cjk: bool = True
) -> Counter[str]:
    """Count the basic words of `texts`, under the switches of a Tokenizer.

    Distinct parts are counted first and normalised once each, which saves nine tenths of the work on plain prose.
    """
    found: Counter[str] = Counter()
    pending: Counter[str] = Counter()

    def settle() -> None:
        for part, count in pending.items():
            for word in words(part, lowercase=lowercase, strip_accents=strip_accents, split_cjk=split_cjk):
                found[word] += count
        pending.clear()

    for block in blocks(texts):
        several = cut(block, lowercase=lowercase, split_cjk=split_cjk)
        pending.update(dict(zip(several.parts, several.counts().tolist(), strict=True)))
        if len(pending) >= _PENDING_PARTS:
            settle()
    settle()
    return found


@dataclass(frozen=True, slots=True)
class WordCounter:
    """`count_words` of a handful of documents, as work for a process."""

    lowercase: bool = True
    strip_accents: bool | None = None
    split_cjk: bool = True

    def __call__(self, documents: Sequence[Sequence[str]]) -> Counter[str]:
        """Count the words of documents, each its paragraphs."""
        return count_words(
            itertools.chain.from_iterable(documents),
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
            split_cjk=self.split_cjk,
        )


class WordNumbers:
    """Basic words as numbers, 31 bits of a hash each: lengths and likeness of texts where there is no vocabulary yet.

    Asked as a Tokenizer is; what it met is remembered, within bounds, and not pickled.
    """

    def __init__(self) -> None:
        self._bulk = BulkSpeller(_numbered)

    def arrays(self, texts: Iterable[str]) -> Pieces:
        """The numbers of the words of texts, in lower case and without accents."""
        return self._bulk.pieces(cut(list(texts), lowercase=True, split_cjk=True))

    def __reduce__(self) -> tuple[type[WordNumbers], tuple[()]]:
        return WordNumbers, ()


def _numbered(parts: Sequence[str]) -> Spelling:
    spelling = Spelling()
    for part in parts:
        found = words(part)
        numbers = [zlib.crc32(word.encode("utf-8", "surrogatepass")) >> 1 for word in found]
        spelling.add(numbers, begins_word(found), edges(found))
    return spelling


class WordTally:
    """Sums counts of words, of which at most some `most` are in memory; the rest lie sorted in files in `folder`.

    What comes out depends on the sums alone: not on their order, nor on what was written when.
    """

    def __init__(self, most: int, folder: Path) -> None:
        self._most = most
        self._folder = folder
        self._counts: Counter[str] = Counter()
        self._runs: list[Path] = []
        self._written = 0
        self.occurrences = self.distinct = 0

    def add(self, counts: Mapping[str, int]) -> None:
        """Add counts of words."""
        self._counts.update(counts)
        if len(self._counts) > self._most:
            self._spill()

    def most_frequent(self) -> dict[str, int]:
        """The `most` words that stand there most often, ties by their text, with their sums; to be called once."""
        if not self._runs:
            self.distinct, self.occurrences = len(self._counts), self._counts.total()
            return dict(self._counts)
        self._spill()
        # heapq keeps no more than it will give back, however many words stream past.
        kept = heapq.nsmallest(self._most, self._counted(), key=lambda word: (-word[1], word[0]))
        for run in self._runs:
            run.unlink()
        return dict(kept)

    def _counted(self) -> Iterator[tuple[str, int]]:
        for word, count in _summed(self._runs):
            self.distinct += 1
            self.occurrences += count
            yield word, count

    def _spill(self) -> None:
        self._write(sorted(self._counts.items()))
        self._counts.clear()
        if len(self._runs) >= _RUNS_AT_ONCE:
            runs, self._runs = self._runs, []
            self._write(_summed(runs))
            for run in runs:
                run.unlink()

    def _write(self, counts: Iterable[tuple[str, int]]) -> None:
        run = self._folder / f"words-{self._written}"
        self._written += 1
        with run.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.writelines(f"{word}\t{count}\n" for word, count in counts)
        self._runs.append(run)


def _summed(runs: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """The words of sorted files in their order, each once."""
    merged = heapq.merge(*map(_read_run, runs))
    for word, group in itertools.groupby(merged, key=lambda entry: entry[0]):
        yield word, sum(number for _, number in group)


def _read_run(path: Path) -> Iterator[tuple[str, int]]:
    with path.open(encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for line in file:
            word, _, count = line.rstrip("\n").partition("\t")
            yield word, int(count)
