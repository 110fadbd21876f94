"""True words: what people call one word, where the tokenizer of BERT sees several.

It cuts at all punctuation, so that `state-of-the-art` becomes seven basic words and `don't` three. Masking whole words
wants them as one. A true word is a run of letters and digits, with the marks below between two of them; any other
punctuation is a word by itself, so that `hello,` is two. A space forgotten, `end.Next`, makes one word of two.

Three kinds of script need care. An ideograph is a word by itself, unless a segmenter tells which belong together
(`bertwright.text.chinese`). Scripts without spaces (Thai, Lao, Khmer, Burmese, Tibetan, Japanese kana) come as phrases,
not as words: there each piece begins a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bertwright.tokens.normalize import is_cjk

# Between two letters or digits: hyphens, apostrophes, the middle dot of Catalan, and what holds names and numbers
# together (after Unicode Standard Annex 29, rules WB6 to WB13, and hyphens, which it leaves to the application).
_JOINS = frozenset("-\u2010\u2011'\u2019\u00b7._")
_JOINS_DIGITS = frozenset(",:")

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\uaa60-\uaa7f\uff66-\uff9f]"
)

# What the edges of a basic word are.
_MARK, _DIGIT_MARK, _WORDY_HEAD, _WORDY_TAIL, _DIGIT_HEAD, _DIGIT_TAIL = (1 << bit for bit in range(6))
_HEAD, _TAIL = _WORDY_HEAD | _DIGIT_HEAD, _WORDY_TAIL | _DIGIT_TAIL
# The edges of a word of letters alone.
LETTERS = _WORDY_HEAD | _WORDY_TAIL


def begins_word(basic_words: Sequence[str]) -> list[bool]:
    """Tell of each basic word whether a true word begins with it.

    The basic words are neighbours in the text, with no whitespace between them.
    """
    begins = [True] * len(basic_words)
    if len(basic_words) > 2:
        kinds = list(map(_edges, basic_words))
        for place in range(1, len(kinds) - 1):
            before, mark, after = kinds[place - 1 : place + 2]
            if (mark & _MARK and before & _WORDY_TAIL and after & _WORDY_HEAD) or (
                mark & _DIGIT_MARK and before & _DIGIT_TAIL and after & _DIGIT_HEAD
            ):
                begins[place] = begins[place + 1] = False
    return begins


def edges(basic_words: Sequence[str]) -> int:
    """What `within_word` needs to know of a run of neighbours: how it begins and ends."""
    if not basic_words:
        return 0
    if len(basic_words) == 1:
        return _edges(basic_words[0])
    return _edges(basic_words[0]) & _HEAD | _edges(basic_words[-1]) & _TAIL


def within_word(edges: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The opposite of `begins_word`, for the words of many chunks at once.

    edges: (words,) of all basic words, chunk after chunk. offsets: (chunks + 1,) where each begins. Returns (words,).
    """
    before, mark, after = edges[:-2], edges[1:-1], edges[2:]
    joins = (mark & _MARK > 0) & (before & _WORDY_TAIL > 0) & (after & _WORDY_HEAD > 0)
    joins |= (mark & _DIGIT_MARK > 0) & (before & _DIGIT_TAIL > 0) & (after & _DIGIT_HEAD > 0)
    chunk = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    places = np.flatnonzero(joins & (chunk[:-2] == chunk[2:])) + 1
    within = np.zeros(len(edges), dtype=np.bool_)
    within[places] = within[places + 1] = True
    return within


def is_unspaced(word: str) -> bool:
    """Tell whether a basic word is of a script without spaces, so that it may be a phrase."""
    return not word.isascii() and _UNSPACED.search(word) is not None


def _edges(word: str) -> int:
    head, tail = word[0], word[-1]
    return (
        _MARK * (word in _JOINS)
        | _DIGIT_MARK * (word in _JOINS_DIGITS)
        | _WORDY_HEAD * _is_wordy(head)
        | _WORDY_TAIL * _is_wordy(tail)
        | _DIGIT_HEAD * head.isdigit()
        | _DIGIT_TAIL * tail.isdigit()
    )


def _is_wordy(char: str) -> bool:
    # A letter may be followed by the marks that it carries.
    return (char.isalnum() or unicodedata.category(char) == "Mn") and not (is_cjk(char) or is_unspaced(char))
