"""The original tokenizer, said again as plainly as possible: one character at a time, no tables, no caches.

What google-research/bert's tokenization.py does, step by step; the fast paths are compared with this.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping


def literal_words(text: str, *, lowercase: bool, strip_accents: bool, split_cjk: bool) -> list[str]:
    cleaned = ""
    for char in text:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category == "Zs":
            cleaned += " "
        elif ord(char) not in (0, 0xFFFD) and category not in ("Cc", "Cf"):
            cleaned += f" {char} " if split_cjk and _is_ideograph(ord(char)) else char
    found = []
    for token in cleaned.split():
        changed = token.lower() if lowercase else token
        if strip_accents:
            decomposed = unicodedata.normalize("NFD", changed)
            changed = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
        apart = "".join(f" {char} " if _is_punctuation(char) else char for char in changed)
        found += apart.split()
    return found


def literal_pieces(text: str, ids: Mapping[str, int], **switches: bool) -> list[str]:
    return [piece for word in literal_words(text, **switches) for piece in _spelled(word, ids)]


def _spelled(word: str, ids: Mapping[str, int]) -> list[str]:
    if len(word) > 200:
        return ["[UNK]"]
    found: list[str] = []
    rest = word
    while rest:
        prefix = "##" if found else ""
        fitting = [prefix + rest[:end] for end in range(len(rest), 0, -1) if prefix + rest[:end] in ids]
        if not fitting:
            return ["[UNK]"]
        found.append(fitting[0])
        rest = rest[len(fitting[0]) - len(prefix) :]
    return found


def _is_ideograph(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0x20000 <= code <= 0x2A6DF
        or 0x2A700 <= code <= 0x2B73F
        or 0x2B740 <= code <= 0x2B81F
        or 0x2B820 <= code <= 0x2CEAF
        or 0xF900 <= code <= 0xFAFF
        or 0x2F800 <= code <= 0x2FA1F
    )


def _is_punctuation(char: str) -> bool:
    ascii_symbol = 33 <= ord(char) <= 47 or 58 <= ord(char) <= 64 or 91 <= ord(char) <= 96 or 123 <= ord(char) <= 126
    return ascii_symbol or unicodedata.category(char).startswith("P")
