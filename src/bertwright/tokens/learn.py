"""Learning a WordPiece vocabulary from counted words.

Starts from characters and joins, again and again, the most frequent pair of neighbouring pieces: byte-pair encoding
with the "##" of WordPiece, which is what the trainers in use do. (The trainer behind the released vocabularies was
never published; Schuster and Nakajima 2012 choose by likelihood instead of frequency.)

The outcome depends on the counts alone: ties are settled by the text of the pair.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

from bertwright.errors import VocabularyError
from bertwright.tokens.vocabulary import PAD, SPECIALS, Vocabulary
from bertwright.tokens.wordpiece import CONTINUATION, LONGEST_WORD

_PIECES_BETWEEN_REPORTS = 256

_Pair = tuple[int, int]


def learn_vocabulary(
    word_counts: Mapping[str, int],
    size: int,
    *,
    alphabet_limit: int = 1000,
    min_frequency: int = 2,
    unused: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Vocabulary:
    """Learn `size` pieces: the specials, the alphabet, then joined pieces in the order in which they were found.

    `word_counts` are basic words (`bertwright.tokens.words.count_words`). The alphabet is the `alphabet_limit` most
    frequent characters, each as "x" and as "##x" where it occurs so. Chinese needs a limit of some 8,000. Pairs seen
    fewer than `min_frequency` times are not joined, so a small corpus yields fewer pieces than `size`. `unused` pieces
    named [unused0] and so on leave room for later words. `on_progress` gets (pieces so far, size).

    Raises VocabularyError when `size` does not even hold specials and alphabet.
    """
    characters = _frequent_characters(word_counts, alphabet_limit)
    free = [f"[unused{number}]" for number in range(unused)]
    # As in the released vocabularies: [UNK] has the id 100 where there are 99 free pieces or more.
    specials = [PAD, *free[:99], *SPECIALS[1:], *free[99:]]
    alphabet = _alphabet(word_counts, characters)
    pieces = dict.fromkeys([*specials, *alphabet])
    if size < len(pieces):
        raise VocabularyError(
            f"a vocabulary of {size} pieces cannot hold {len(specials)} special pieces and an alphabet of "
            f"{len(alphabet)}",
            cure=f"ask for at least {len(pieces)} pieces, or lower --alphabet (here {alphabet_limit})",
        )
    # A word with a character outside the alphabet will be [UNK] as a whole, so it has no pairs to offer.
    merging = _Merging(
        (word, count)
        for word, count in word_counts.items()
        if 1 < len(word) <= LONGEST_WORD and count > 0 and word[0] != "#" and characters.issuperset(word)
    )
    reported = 0
    while len(pieces) < size:
        piece = merging.join_most_frequent(min_frequency)
        if piece is None:
            break
        pieces.setdefault(piece)
        if on_progress is not None and len(pieces) >= reported + _PIECES_BETWEEN_REPORTS:
            reported = len(pieces)
            on_progress(reported, size)
    if on_progress is not None:
        on_progress(len(pieces), size)
    return Vocabulary(tuple(pieces))


def _frequent_characters(word_counts: Mapping[str, int], limit: int) -> frozenset[str]:
    seen: Counter[str] = Counter()
    for word, count in word_counts.items():
        for char in word:
            seen[char] += count
    # A lone surrogate can be in a text, but not in a file.
    ranked = sorted((-count, char) for char, count in seen.items() if not "\ud800" <= char <= "\udfff")
    return frozenset(char for _, char in ranked[:limit])


def _alphabet(word_counts: Iterable[str], characters: frozenset[str]) -> list[str]:
    heads = {word[0] for word in word_counts if word}
    tails = {char for word in word_counts for char in word[1:]}
    return sorted(heads & characters) + [CONTINUATION + char for char in sorted(tails & characters)]


class _Merging:
    """The words as lists of pieces, and what one must know to find and join the most frequent pair quickly.

    A pair's count is exact at all times. The heap is not: an entry may be too high, and is put right when it comes up;
    there is never a pair whose entry is too low. `_places` lists the words that a pair is or was in.
    """

    def __init__(self, word_counts: Iterable[tuple[str, int]]) -> None:
        self._texts: list[str] = []
        self._symbols: dict[str, int] = {}
        self._words: list[list[int]] = []
        self._counts: list[int] = []
        self._pairs: dict[_Pair, int] = defaultdict(int)
        self._places: dict[_Pair, list[int]] = defaultdict(list)
        for index, (word, count) in enumerate(word_counts):
            symbols = [self._symbol(word[0]), *(self._symbol(CONTINUATION + char) for char in word[1:])]
            self._words.append(symbols)
            self._counts.append(count)
            for pair in pairwise(symbols):
                self._pairs[pair] += count
                self._places[pair].append(index)
        self._heap = [self._entry(pair, count) for pair, count in self._pairs.items()]
        heapify(self._heap)

    def join_most_frequent(self, min_frequency: int) -> str | None:
        """Join the most frequent pair everywhere and return the piece it makes, or None if no pair is frequent enough.

        The piece may be an old one: "a" with "##bc" and "ab" with "##c" make the same.
        """
        while self._heap:
            entry = heappop(self._heap)
            pair = entry[3]
            count = self._pairs.get(pair, 0)
            if count < -entry[0]:
                if count:
                    heappush(self._heap, self._entry(pair, count))
                continue
            if count < min_frequency:
                return None
            piece = self._texts[pair[0]] + self._texts[pair[1]].removeprefix(CONTINUATION)
            self._join(pair, self._symbol(piece))
            return piece
        return None

    def _join(self, pair: _Pair, joined: int) -> None:
        first, second = pair
        changes: dict[_Pair, int] = defaultdict(int)
        places = self._places
        for index in places.pop(pair):
            symbols = self._words[index]
            count = self._counts[index]
            at = 0
            # A word that lost the pair, or is listed twice, has nothing to find any more.
            while (at := _find(symbols, first, second, at)) >= 0:
                if at > 0:
                    left = symbols[at - 1]
                    changes[left, first] -= count
                    changes[left, joined] += count
                    places[left, joined].append(index)
                if at + 2 < len(symbols):
                    right = symbols[at + 2]
                    changes[second, right] -= count
                    changes[joined, right] += count
                    places[joined, right].append(index)
                symbols[at : at + 2] = [joined]
                at += 1
        del self._pairs[pair]
        changes.pop(pair, None)
        for changed, change in changes.items():
            count = self._pairs.get(changed, 0) + change
            if count > 0:
                self._pairs[changed] = count
                if change > 0:
                    heappush(self._heap, self._entry(changed, count))
            else:
                self._pairs.pop(changed, None)
                places.pop(changed, None)

    def _entry(self, pair: _Pair, count: int) -> tuple[int, str, str, _Pair]:
        return -count, self._texts[pair[0]], self._texts[pair[1]], pair

    def _symbol(self, text: str) -> int:
        symbol = self._symbols.setdefault(text, len(self._texts))
        if symbol == len(self._texts):
            self._texts.append(text)
        return symbol


def _find(symbols: list[int], first: int, second: int, start: int) -> int:
    """Return where `first` stands right before `second`, from `start` on, or -1."""
    for at in range(start, len(symbols) - 1):
        if symbols[at] == first and symbols[at + 1] == second:
            return at
    return -1
