"""Spans of characters as tags of words, and what is wrong with such spans.

    text     Dr. Ekeus's un-American
    spans    per 4-9, misc 15-23
    words    Dr . Ekeus ' s un - American
    tags     O  O B-per O O O  O B-misc

A word ends at white space, at punctuation and at an ideograph, the last two being words themselves, with the combining
marks that follow them. A span that begins or ends inside a word is taken for the whole word.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from unicodedata import category

from bertwright.errors import RowError
from bertwright.tasks.rows import clean
from bertwright.tasks.tag_schemes import OUTSIDE, is_tag
from bertwright.tokens.normalize import is_cjk, is_punctuation

Span = tuple[int, int]


class MarkedSpan(NamedTuple):
    """The characters from `start` to before `end` are of a kind."""

    start: int
    end: int
    kind: str


class _Cuts(dict[str, str]):
    """What a character does to words, asked once of each: it parts them, is one, belongs to one, or to what is before.

    The last are marks, such as the selector of an ideograph's variant, and the joiner of width zero.
    """

    def __missing__(self, char: str) -> str:
        if char.isspace():
            self[char] = "parts"
        elif is_punctuation(char) or is_cjk(char):
            self[char] = "alone"
        else:
            self[char] = "clings" if category(char).startswith("M") or char == "\u200d" else "joins"
        return self[char]


_CUTS = _Cuts()


def word_spans(text: str) -> tuple[Span, ...]:
    """Where each word of a text begins and ends."""
    found: list[Span] = []
    start = 0  # of the word that is being read
    for place, char in enumerate(text):
        cut = _CUTS[char]
        if cut == "clings":
            if start == place and found and found[-1][1] == place:
                found[-1] = (found[-1][0], place + 1)
                start = place + 1
            continue
        if start < place and cut != "joins":
            found.append((start, place))
            start = place
        if cut == "parts":
            start = place + 1
        elif cut == "alone":
            found.append((place, place + 1))
            start = place + 1
    if start < len(text):
        found.append((start, len(text)))
    return tuple(found)


class Fitted(NamedTuple):
    """BIO2 tags of words; how many spans were taken for more than they mark; the kinds of those without a word."""

    tags: tuple[str, ...]
    widened: int
    lost: tuple[str, ...]


def tags_of_spans(words: Sequence[Span], marked: Sequence[MarkedSpan]) -> Fitted:
    """The marked spans, in their order, as tags of words.

    A span is taken for all the words that it touches, the first of two for a word that both touch: words are cut
    without looking at what is to be found in them, as they will be where nobody has marked anything. So the second
    may be left without a word: no tags can tell it, and it counts as missed.
    """
    tags = [OUTSIDE] * len(words)
    number = widened = 0
    lost = []
    for span in marked:
        while number < len(words) and words[number][1] <= span.start:
            number += 1
        first = number
        while number < len(words) and words[number][0] < span.end:
            tags[number] = f"{'B' if number == first else 'I'}-{span.kind}"
            number += 1
        if first == number:
            lost.append(span.kind)
        else:
            widened += words[first][0] != span.start or words[number - 1][1] != span.end
    return Fitted(tuple(tags), widened, tuple(lost))


def spans_of(text: str, values: Any, name: str, where: str) -> tuple[list[MarkedSpan], int]:
    """The spans of a column `[{"start", "end", "label"}]` in the order of the text, and how many were trimmed.

    A span is trimmed of the white space at its ends, which belongs to no word. Raises RowError where a span lies
    outside of the text, in white space, or over another one, or where its label is no name.
    """
    found: list[MarkedSpan] = []
    trimmed = 0
    for value in values:
        start, end, kind = _checked(text, value, name, where)
        inside = text[start:end]
        found.append(MarkedSpan(end - len(inside.lstrip()), start + len(inside.rstrip()), kind))
        trimmed += inside != inside.strip()
    found.sort()
    for one, other in pairwise(found):
        if other.start < one.end:
            what = f"`{name}` has two spans over one another: {_told(one)} and {_told(other)}"
            raise RowError(what, where=where, cure="a word has one tag; keep one of the two")
    return found, trimmed


def _checked(text: str, value: Any, name: str, where: str) -> MarkedSpan:
    if not isinstance(value, dict) or not {"start", "end", "label"} <= value.keys():
        raise RowError(f"`{name}` holds {value!r}, not a span", where=where, cure='write {"start", "end", "label"}')
    start, end, kind = value["start"], value["end"], value["label"]
    # True is an int to Python.
    if type(start) is not int or type(end) is not int:
        raise RowError(f"a span of `{name}` goes from {start!r} to {end!r}, which are no numbers", where=where)
    if not 0 <= start <= end <= len(text):
        what = f"a span of `{name}` goes from {start} to {end}, outside of the text of {len(text)} characters"
        raise RowError(what, where=where, cure="count characters from 0, `end` being that after the last")
    if not text[start:end].strip():
        raise RowError(f"the span of `{name}` from {start} to {end} holds no word", where=where)
    if not isinstance(kind, str) or not is_tag(f"B-{clean(kind)}"):
        raise RowError(f"the label of a span of `{name}` is {kind!r}, not a name", where=where)
    return MarkedSpan(start, end, clean(kind))


def _told(span: MarkedSpan) -> str:
    return f"{span.kind} {span.start}-{span.end}"
