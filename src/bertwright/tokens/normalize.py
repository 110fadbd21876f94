"""Text to basic words: the BasicTokenizer of the original code (google-research/bert, tokenization.py).

    text -> clean -> isolate CJK -> split on whitespace -> lower-case -> strip accents -> split off punctuation -> words

`words` does it on plain strings, fast. `aligned_words` gives the same words, every character of which knows where in
the caller's own string it came from. Both follow the original to the letter, also where it surprises: lower-casing
comes after CJK isolation (a sigma before a Chinese character is a final one), and "^" is punctuation while "€" is not.

Character classes are those of the running Python's Unicode tables.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bertwright.text.ideographs import IDEOGRAPHS

Span = tuple[int, int]

_CJK = re.compile(f"[{IDEOGRAPHS}]")
_CJK_OR_BETWEEN = re.compile(f"[{IDEOGRAPHS}]|[^{IDEOGRAPHS}]+")

# What str.split() takes for whitespace and the original drops as a control character: "a\x85b" is one word, "ab".
SPLITTING_CONTROLS = ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85")
_WITHOUT_SPLITTING_CONTROLS = str.maketrans(dict.fromkeys(SPLITTING_CONTROLS))

# Cutting at punctuation before anything else changes one thing only: "Σ" asks what follows it when it is lowered.
SIGMA = "Σ"

_WHITESPACE_CHUNK = re.compile(r"\S+")
_FINE_CHUNK = re.compile(r"[^\s!-/:-@\[-`{-~]+|[!-/:-@\[-`{-~]")
_FINE_CHUNK_OR_CJK = re.compile(rf"[^\s!-/:-@\[-`{{-~{IDEOGRAPHS}]+|[!-/:-@\[-`{{-~{IDEOGRAPHS}]")

_ASCII_WORD = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]")


class AlignedWord(NamedTuple):
    """A basic word, and for each of its characters the span of the caller's string that it came from.

    Starts never decrease. A stripped accent belongs to the span of the letter that carried it.
    """

    text: str
    spans: tuple[Span, ...]


def is_control(char: str) -> bool:
    """Tell whether `char` is dropped as a control or format character (Cc, Cf); tab and line ends are whitespace."""
    return char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf")


def is_whitespace(char: str) -> bool:
    """Tell whether `char` is turned into a space before the text is split."""
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def is_punctuation(char: str) -> bool:
    """Tell whether `char` is a word of its own: all of Unicode's P*, and ASCII's symbols such as "$" and "`"."""
    return "!" <= char <= "/" or ":" <= char <= "@" or "[" <= char <= "`" or "{" <= char <= "~" or _is_unicode_p(char)


def is_cjk(char: str) -> bool:
    """Tell whether `char` is an ideograph, which the original makes a word of its own."""
    return _CJK.match(char) is not None


def has_cjk(text: str) -> bool:
    """Tell whether an ideograph stands in `text`."""
    return _CJK.search(text) is not None


def chunks(text: str) -> list[str]:
    """Cut `text` at whitespace, such that its words are the words of its chunks, one after the other."""
    for control in SPLITTING_CONTROLS:
        if control in text:
            text = text.translate(_WITHOUT_SPLITTING_CONTROLS)
    return text.split()


def finer_chunks(chunk: str, *, split_cjk: bool = True) -> list[str]:
    """Cut a chunk on to the same purpose, as finely as can be done so fast."""
    if chunk.isprintable() and SIGMA not in chunk:
        return (_FINE_CHUNK_OR_CJK if split_cjk else _FINE_CHUNK).findall(chunk)
    return split_at_cjk(chunk) if split_cjk else [chunk]


def located_chunks(text: str, *, split_cjk: bool = True) -> Iterator[tuple[str, int]]:
    """Cut `text` to the same purpose as `chunks`, with the index at which each chunk starts."""
    if any(control in text for control in SPLITTING_CONTROLS):
        yield text, 0  # a word may go on across such a control, and is then no slice of the text
        return
    fine = _FINE_CHUNK_OR_CJK if split_cjk else _FINE_CHUNK
    for match in (_WHITESPACE_CHUNK if SIGMA in text else fine).finditer(text):
        yield match[0], match.start()


def split_at_cjk(chunk: str) -> list[str]:
    """Split a chunk into single ideographs and what stands between them; nothing is dropped or changed."""
    return _CJK_OR_BETWEEN.findall(chunk) if _CJK.search(chunk) else [chunk]


def words(text: str, *, lowercase: bool = True, strip_accents: bool | None = None, split_cjk: bool = True) -> list[str]:
    """Split `text` into basic words.

    `strip_accents=None` follows `lowercase`, as in the original, which has but one switch for both.
    """
    strip = lowercase if strip_accents is None else strip_accents
    if text.isascii() and text.isprintable():
        return _ASCII_WORD.findall(text.lower() if lowercase else text)
    found: list[str] = []
    isolate = _ISOLATE_PUNCTUATION_DROP_MARKS if strip else _ISOLATE_PUNCTUATION
    for token in text.translate(_CLEAN_ISOLATE_CJK if split_cjk else _CLEAN).split():
        cased = token.lower() if lowercase else token
        found += (unicodedata.normalize("NFD", cased) if strip else cased).translate(isolate).split()
    return found


def aligned_words(
    text: str, *, lowercase: bool = True, strip_accents: bool | None = None, split_cjk: bool = True
) -> list[AlignedWord]:
    """Split `text` into the same basic words as `words`, with the origin of every character."""
    strip = lowercase if strip_accents is None else strip_accents
    if text.isascii() and text.isprintable():
        return [
            AlignedWord(match[0], tuple((index, index + 1) for index in range(*match.span())))
            for match in _ASCII_WORD.finditer(text.lower() if lowercase else text)
        ]
    found: list[AlignedWord] = []
    for token in _aligned_tokens(text, split_cjk=split_cjk):
        letters = token
        if lowercase:
            letters = _lowered(letters)
        if strip:
            letters = _without_marks(letters)
        found += _split_on_punctuation(letters)
    return found


def fold(text: str, *, lowercase: bool, strip_accents: bool) -> str:
    """Clean `text` and put it in lower case and without accents, where those are wished, and do no more."""
    cleaned = text.translate(_CLEAN)
    cased = cleaned.lower() if lowercase else cleaned
    return unicodedata.normalize("NFD", cased).translate(_DROP_MARKS) if strip_accents else cased


def aligned_fold(text: str, *, lowercase: bool, strip_accents: bool) -> tuple[str, list[Span]]:
    """The same, with the span of `text` that each character came from."""
    cleaned = ((char, _CLEAN[ord(char)], index) for index, char in enumerate(text))
    letters: list[_Letter] = [
        (" " if code == " " else char, (index, index + 1)) for char, code, index in cleaned if code is not None
    ]
    if lowercase:
        letters = _lowered(letters)
    if strip_accents:
        letters = _without_marks(letters)
    return "".join(char for char, _ in letters), [span for _, span in letters]


# One character of a token on its way to a word, and where it came from.
_Letter = tuple[str, Span]


def _aligned_tokens(text: str, *, split_cjk: bool) -> list[list[_Letter]]:
    """Clean, isolate ideographs and split on whitespace."""
    tokens: list[list[_Letter]] = [[]]
    for index, char in enumerate(text):
        cleaned = _CLEAN[ord(char)]
        if cleaned is None:
            continue
        if char.isspace():
            tokens.append([])
        elif split_cjk and is_cjk(char):
            tokens += [[(char, (index, index + 1))], []]
        else:
            tokens[-1].append((char, (index, index + 1)))
    return [token for token in tokens if token]


def _lowered(letters: list[_Letter]) -> list[_Letter]:
    # The token is lowered as a whole: whether a sigma is final depends on its neighbours. Lengths do not.
    lowered = "".join(char for char, _ in letters).lower()
    spans = [span for char, span in letters for _ in char.lower()]
    return list(zip(lowered, spans, strict=True))


def _without_marks(letters: list[_Letter]) -> list[_Letter]:
    """Decompose (NFD) and drop nonspacing marks; the span of a letter grows over the marks it loses."""
    keyed: list[tuple[int, int, str, Span]] = []
    starter = 0
    for char, span in letters:
        for part in unicodedata.normalize("NFD", char):
            rank = unicodedata.combining(part)
            starter += rank == 0
            keyed.append((starter, rank, part, span))
    # Canonical order: marks after one starter are sorted, stably, by class. Some of them (Mc) survive, so it shows.
    keyed.sort(key=lambda item: item[:2])
    kept: list[_Letter] = []
    for _, _, part, span in keyed:
        if unicodedata.category(part) != "Mn":
            kept.append((part, span))
        elif kept:
            last, (start, end) = kept[-1]
            kept[-1] = (last, (start, max(end, span[1])))
    spans = sorted(span for _, span in kept)  # out of order only where surviving marks changed places
    return [(part, span) for (part, _), span in zip(kept, spans, strict=True)]


def _split_on_punctuation(letters: list[_Letter]) -> list[AlignedWord]:
    groups: list[list[_Letter]] = [[]]
    for letter in letters:
        if is_punctuation(letter[0]):
            groups += [[letter], []]
        else:
            groups[-1].append(letter)
    return [_aligned_word(group) for group in groups if group]


def _aligned_word(letters: Iterable[_Letter]) -> AlignedWord:
    chars, spans = zip(*letters, strict=True)
    return AlignedWord("".join(chars), spans)


def _is_unicode_p(char: str) -> bool:
    return unicodedata.category(char).startswith("P")


_MOST_CHARACTERS = 2**16


class _Table(dict[int, str | int | None]):
    """A table for str.translate that asks its rule once a character, when the character first comes up.

    Filling tables for all of Unicode beforehand would add half a second to every start, and 100 MB to every process.
    """

    def __init__(self, rule: Callable[[str], str | int | None]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, codepoint: int) -> str | int | None:
        if len(self) >= _MOST_CHARACTERS:
            self.clear()
        value = self[codepoint] = self._rule(chr(codepoint))
        return value


def _clean(char: str) -> str | int | None:
    if char in "\0\ufffd" or is_control(char):
        return None
    return " " if is_whitespace(char) else ord(char)


_CLEAN = _Table(_clean)
_CLEAN_ISOLATE_CJK = _Table(lambda char: f" {char} " if is_cjk(char) else _clean(char))
_DROP_MARKS = _Table(lambda char: None if unicodedata.category(char) == "Mn" else ord(char))
_ISOLATE_PUNCTUATION = _Table(lambda char: f" {char} " if is_punctuation(char) else ord(char))
_ISOLATE_PUNCTUATION_DROP_MARKS = _Table(
    lambda char: None if unicodedata.category(char) == "Mn" else f" {char} " if is_punctuation(char) else ord(char)
)
