"""Parts of a context: their tokens, their characters, and the best of them by what the model says of its windows."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertwright.batches.windows import Window
from bertwright.tasks.task import Said
from bertwright.tokens.tokenizer import Encoding

_JOINER = "\u200d"


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """A text and the characters of its tokens, which go from starts[n] to before ends[n]; neither ever falls."""

    text: str
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    @classmethod
    def of(cls, text: str, encoding: Encoding) -> Context:
        """Of a text as the tokenizer found it."""
        spans = np.array(encoding.spans, dtype=np.int32).reshape(-1, 2)
        return cls(text, spans[:, 0].copy(), spans[:, 1].copy())

    def tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and the last of the tokens that cover these characters, wholly or in part; None where none does."""
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        return (first, last) if first <= last else None

    def characters(self, first: int, last: int) -> tuple[int, int]:
        """From where to where these tokens go, no character cut in two that a reader sees as one."""
        start, end = int(self.starts[first]), int(self.ends[last])
        while start > 0 and _goes_on(self.text, start):
            start -= 1
        while end < len(self.text) and _goes_on(self.text, end):
            end += 1
        return start, end


def _goes_on(text: str, place: int) -> bool:
    """Whether the character at `place` is seen as one with that before it: the cases of UAX 29 that words have."""
    before, char = text[place - 1], text[place]
    if char.isascii() or before.isspace():
        return False
    if unicodedata.category(char).startswith("M") or char in "\u200c\u200d" or before == _JOINER:
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f":  # colours of skin, flags' tags
        return True
    if "\u1160" <= char <= "\u11ff":  # the vowels and last consonants of Hangul written in letters
        return True
    if not _is_flag_letter(char):
        return False
    letters = 0
    while letters < place and _is_flag_letter(text[place - 1 - letters]):
        letters += 1
    return letters % 2 == 1


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A part of a context and what the model says of it: `context[start:end] == text`."""

    text: str
    start: int
    end: int
    score: float


def best_spans(
    context: Context, windows: Sequence[Window], said: Sequence[Said], *, longest: int, count: int
) -> list[Ranked]:
    """The `count` spans with the highest scores, best first, no text twice; fewer where there are no more.

    said: (length, 2) of each window, the scores of start and end. A span has at most `longest` tokens and begins at a
    token that its window decides, so that none is looked at twice. Of equal scores the first in the text is the better.
    """
    asked = count
    while True:
        pairs, all_seen = _best_pairs(windows, said, longest, asked)
        found: dict[str, Ranked] = {}
        for score, first, last in pairs:
            start, end = context.characters(first, last)
            text = context.text[start:end]
            if text not in found:
                found[text] = Ranked(text, start, end, score)
                if len(found) == count:
                    return list(found.values())
        if all_seen:
            return list(found.values())
        # Too many of them had the same text.
        asked *= 4


def _best_pairs(
    windows: Sequence[Window], said: Sequence[Said], longest: int, count: int
) -> tuple[list[tuple[float, int, int]], bool]:
    """The best pairs of tokens of the context with their scores, and whether there are no others."""
    columns = [_best_of_window(window, scores, longest, count) for window, scores in zip(windows, said, strict=True)]
    scores, firsts, lasts = (np.concatenate([column[number] for column in columns]) for number in range(3))
    order = np.lexsort((lasts, firsts, -scores))
    all_seen = len(order) <= count and not any(len(column[0]) == count for column in columns)
    order = order[:count]
    return list(zip(scores[order].tolist(), firsts[order].tolist(), lasts[order].tolist(), strict=True)), all_seen


def _best_of_window(
    window: Window, scores: Said, longest: int, count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """The scores, first and last tokens of the best `count` pairs of one window."""
    decided = window.decided
    starts = scores[decided, 0]
    if not len(starts):
        nothing = np.zeros(0, dtype=np.int64)
        return np.zeros(0, dtype=np.float32), nothing, nothing
    # Ends past the context, in the [SEP] after it and beyond, are given no chance.
    ends = np.full(len(starts) + longest - 1, -np.inf, dtype=np.float32)
    here = scores[decided.start : len(window) - 1, 1][: len(ends)]
    ends[: len(here)] = here
    table = (starts[:, None] + np.lib.stride_tricks.sliding_window_view(ends, longest)).ravel()
    chosen = np.argpartition(-table, count - 1)[:count] if count < len(table) else np.arange(len(table))
    chosen = chosen[table[chosen] > -np.inf]
    first = chosen // longest + (decided.start - window.offset + window.first)
    return table[chosen], first, first + chosen % longest
